// SPDX-License-Identifier: Apache-2.0
//
// table_spec.h - a set of tables as plain C++ values. Numbers in host order, addresses in mapped form.
// Generated from native/datapath/table_fields.yaml by scripts/table-fields.mjs; do not edit.
#ifndef SHUNT_ENGINE_TABLE_SPEC_H
#define SHUNT_ENGINE_TABLE_SPEC_H

#include <string>
#include <vector>

#include <engine_platform.h>

namespace shunt
{

// clang-format off
struct TableSpec {
	struct Key {
		u8 id = 0;     // The key id in the header.
		u64 k[2] = {}; // 128 bits.
	};
	struct Service {
		u16 id = 0;                    // Stable across sets of tables: sessions name it.
		sh_addr address = {};          // What clients send to (VIP).
		u16 port = 0;                  // What clients send to; the first of several.
		u16 port_last = 0;             // The last of several ports; no greater than port: there is one.
		u8 address_length = 128;       // Of a prefix of addresses, mapped form; 128: one address.
		u8 protocol = 0;               // 6 (TCP) or 17 (UDP).
		u8 family = 0;                 // Of the address.
		u16 redirection = 0;           // Index into redirections, for a source that no rule matches.
		u32 idle_ms = 0;               // A session expires this long after the client's last packet.
		u32 idle_transitory_ms = 0;    // The same of a TCP session that is half-open or closing; 0: idle_ms.
		u32 idle_sent_ms = 0;          // The same after the backend's; the later of both decides. 0: egress session refresh is disabled.
		bool count_sources = false;    // Its load counts source addresses, not flows (R10).
		bool invited_only = false;     // On a backend: direct packets only of clients that showed a ticket.
		bool refuses_silently = false; // A packet that no target is to serve is dropped, not answered.
		bool no_session = false;       // Each datagram is chosen by itself, and no record is kept.
	};
	struct Direct {
		u16 service = 0;      // A service's id. Where two services listen at one endpoint, the first is taken.
		sh_addr address = {}; // This backend's own.
		u16 port = 0;         // Of the service at that address.
		u16 port_last = 0;    // The last of several ports.
		u8 family = 0;        // Of the address.
	};
	struct Rule {
		u16 service = 0;     // A service's id.
		sh_addr prefix = {}; // Bits beyond the length are zero.
		u8 length = 0;       // Of the mapped form: an IPv4 /24 is 120.
		u16 redirection = 0; // Index into redirections.
	};
	struct Redirection {
		std::vector<u16> rows = {}; // The forwarding table: target ids. Empty: no active target.
		u8 spread = 0;              // Of SPREAD.
		u8 choice = SH_CHOOSE_ROW;  // Of CHOICE.
		u8 deny = SH_DENY_NONE;     // Of DENY; with no rows.
	};
	struct Target {
		u16 id = 0;                    // 1 .. 65534, stable across sets of tables: sessions name it.
		sh_addr address = {};          // Service address: destination of the header and of the outer packet.
		sh_addr source = {};           // Outer source, this host's own; all zero if unknown.
		bool resolved = false;         // next_hop is known.
		u8 next_hop[6] = {};           // Ethernet destination; null: not resolved.
		u8 own_mac[6] = {};            // Ethernet source.
		u16 port = 0;                  // Service port; 0: the port that the client sends to.
		u8 family = 0;                 // Of address and source.
		u8 epoch = 0;                  // Moves when the target goes down: its sessions choose anew.
		u8 state = 0;                  // Of TARGET_STATE.
		u16 mtu = 0;                   // Of the link towards it, bytes of IP packet.
		u32 ifindex = 0;               // Of that link.
		u16 alternative = 0;           // Another target of the same redirection and family, or 0.
		u16 lease_s = 0;               // The terms, as the header carries them: with the leased flag, how long.
		u8 header_flags = 0;           // R, P, O, L as they stand in the header.
		u8 answer = SH_ANSWER_FORWARD; // Of ANSWER: to a packet that carries a capability.
		u16 load = 0;                  // Over capacity, relative to the service's other targets, up to FULL_LOAD.
	};
	struct Station {
		u32 ifindex = 0; // Of the interface.
		u8 mac[6] = {};  // Its own, or one of those configured.
	};
	struct Limits {
		u32 source = 8;  // To one source address.
		u32 burst = 32;  // To one source address before that rate holds.
		u32 all = 10000; // To all sources together.
	};

	u64 seed[2] = {};                           // Secret seeds of the flow hash; the same on all gateways (they must choose alike).
	u64 wall_offset_ns = 0;                     // Add to the monotonic clock for nanoseconds since 1970.
	u32 epoch = 0;                              // Of this set of tables.
	u32 roles = 0;                              // Of ROLE, or-ed.
	u16 window_s = 30;                          // How far a time of issue may be from now.
	u16 tunnel_port = 6081;                     // Of Geneve.
	u8 sign_key = 0;                            // Key id under which this host signs.
	u8 max_hops = 5;                            // How often one packet may be forwarded again (protocol.md).
	u8 own_state = SH_ACTIVE;                   // Of TARGET_STATE: this host as a backend.
	u16 control_port = 3575;                    // Where control datagrams arrive at every service address.
	Limits limits = {};                         // How many answers a gateway sends.
	std::vector<Station> stations = {};         // Frames to other MAC addresses are ignored at these interfaces; an interface without one ignores none.
	std::vector<Key> keys = {};                 // Keys under which headers are verified, sign_key's included.
	std::vector<sh_addr> own = {};              // This host's own addresses; the services' are added by the builder.
	std::vector<sh_addr> members = {};          // On a backend: addresses that the tunnel is accepted from; empty: all.
	std::vector<Service> services = {};
	std::vector<Direct> direct = {};            // On a backend.
	std::vector<Rule> rules = {};
	std::vector<Redirection> redirections = {};
	std::vector<Target> targets = {};
};
// clang-format on

} // namespace shunt

#endif
