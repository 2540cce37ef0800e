// SPDX-License-Identifier: Apache-2.0
//
// tables.h (engine) - from a plain description of a set of tables to the block that the packet program reads.
//
// Owns: the description (TableSpec), the block (TableBlock) and the building of the open-addressed tables.
// Must never: change a block once it is built; a change is a new block with epoch + 1.
#ifndef SHUNT_ENGINE_TABLES_H
#define SHUNT_ENGINE_TABLES_H

#include <memory>
#include <string>
#include <vector>

#include <engine_platform.h>

namespace shunt
{

// Numbers in host order; addresses in mapped form.
struct TableSpec {
	struct Key {
		u8 id;
		u64 k[2];
	};
	struct Service {
		u16 id;
		sh_addr address;
		u16 port;
		u8 protocol;
		u8 family;
		u16 redirection;
		u32 idle_ms;
		u32 idle_sent_ms = 0;        // 0: what is sent keeps no session alive
		bool counts_sources = false; // in the load: sender addresses, not flows (R10)
		bool invited_only = false;   // on a backend: direct packets only of clients that showed a ticket
	};
	// On a backend: an address of its own, and the port where the service listens there.
	struct Direct {
		u16 service;
		sh_addr address;
		u16 port;
		u8 family; // of the address
	};
	struct Rule {
		u16 service;
		sh_addr prefix;
		u8 length;
		u16 redirection;
	};
	struct Redirection {
		std::vector<u16> rows;
		u8 spread;
		u8 choice = SH_CHOOSE_ROW;
	};
	struct Target {
		u16 id;
		sh_addr address;
		sh_addr source;
		bool resolved;
		u8 next_hop[6];
		u8 own_mac[6];
		u16 port;
		u8 family;
		u8 epoch;
		u8 state;
		u16 mtu;
		u32 ifindex;
		u16 alternative;
		u16 lease_s;
		u8 header_flags;
		u16 load;
		u8 answer = SH_ANSWER_FORWARD; // to a packet that carries a question
	};

	u32 epoch = 0;
	u32 roles = 0;
	u64 seed[2] = {0, 0};
	u64 wall_offset_ns = 0;
	u16 window_s = 30;
	u16 tunnel_port = 6081;
	u8 sign_key = 0;
	u8 max_hops = 5;
	u16 control_port = 3575;
	u8 own_state = SH_ACTIVE; // of this host as a backend
	// Answers to one source, and to all together: so many a second, after so many at once. 0: no limit.
	u32 limit_source = 8, limit_burst = 32, limit_all = 10000;
	std::vector<Key> keys;
	std::vector<sh_addr> own; // this host's own addresses (SH_OWN_HOST); those of services are added by the builder
	std::vector<Service> services;
	std::vector<Direct> direct;
	std::vector<Rule> rules;
	std::vector<Redirection> redirections;
	std::vector<Target> targets;
};

// Buckets of the session tables that go with a set of tables. Each a power of two.
struct SessionGeometry {
	u32 buckets4 = 1;
	u32 buckets6 = 1;
	u32 fragments = 1;
};

// What the aging sweep knows of a service.
struct Aging {
	u32 idle_ticks;         // 0: there is no such service
	u32 ahead : 31;         // how far what the backend sends may set a session's time ahead of now
	u32 counts_sources : 1; // distinct sources are counted, beside records
};

class TableBlock
{
public:
	// NULL when the description contradicts itself; `problem` then says where.
	static std::unique_ptr<TableBlock> build(const TableSpec &spec, const SessionGeometry &geometry,
	                                         std::string *problem);

	TableBlock(const TableBlock &) = delete;
	const sh_tables *tables() const { return &tables_; }
	// By service id, 65536 entries.
	const std::vector<Aging> &aging() const { return aging_; }
	// The links that targets are reached by, each once.
	const std::vector<u32> &links() const { return links_; }

private:
	TableBlock() = default;

	sh_tables tables_ = {};
	std::vector<sh_service> services_;
	std::vector<sh_rule> rules_;
	std::vector<sh_redirection> redirections_;
	std::vector<u16> rows_;
	std::vector<sh_target> targets_;
	std::vector<sh_own> own_;
	std::vector<sh_key> keys_;
	std::vector<Aging> aging_;
	std::vector<u32> links_;
};

} // namespace shunt

#endif
