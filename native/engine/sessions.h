// SPDX-License-Identifier: Apache-2.0
//
// sessions.h - the memory of the session table, and what the control plane does with it while packets use it.
//
// Owns: the one mapping that all workers share; the aging sweep (aging.cc); listing and removing (listing.cc).
// Must never: take a lock, or write a record that it has not won by compare-and-swap (datapath/session/insert.h has the
// protocol).
#ifndef SHUNT_ENGINE_SESSIONS_H
#define SHUNT_ENGINE_SESSIONS_H

#include <memory>
#include <vector>

#include "engine/distinct.h"
#include "engine/mapping.h"
#include "engine/tables.h"

namespace shunt
{

class Sessions
{
public:
	// Percent of the slots that are used before the first eviction. Two relocations through buckets of two slots find a free
	// slot less often: tables of IPv6 reach a lower occupancy.
	static constexpr u32 OCCUPANCY4 = 85, OCCUPANCY6 = 40;
	// Capacities in records; each is rounded up so that it is reached before the first eviction. With `touch`, the
	// memory is present before the first packet: a huge page's first touch takes milliseconds, and packets would be lost.
	bool allocate(u64 records4, u64 records6, u64 fragments, bool touch = false);
	// Tables that exist already, in BPF maps. Takes the mappings over.
	void adopt(Mapping memory4, Mapping memory6, Mapping fragments, Mapping failures,
	           const SessionGeometry &geometry);
	// What allocate() makes for these capacities.
	static SessionGeometry geometry_for(u64 records4, u64 records6, u64 fragments);
	void clear(); // only while no worker runs

	const SessionGeometry &geometry() const { return geometry_; }
	sh_bucket4 *bucket4() const { return bucket4_; }
	sh_bucket6 *bucket6() const { return bucket6_; }
	sh_fragment *fragments() const { return fragments_; }
	// Limits and pending signals of answers to clients; NULL if the kernel's engine has them.
	u32 *limits() const { return limits_; }
	sh_pending_redirect *told() const { return told_; }
	// SH_FAILURE_REPORTS of them.
	sh_failure_report *failures() const { return failures_; }
	// Buckets of both families on one scale: IPv4 first.
	u64 buckets() const { return (u64)geometry_.buckets4 + geometry_.buckets6; }
	u64 slots4() const { return (u64)geometry_.buckets4 * SH_SLOTS4; }
	u64 slots6() const { return (u64)geometry_.buckets6 * SH_SLOTS6; }
	// Calls visit(slot, family) for each slot of `count` buckets from `from` on.
	template <typename Visit> void walk(u64 from, u64 count, Visit visit) const
	{
		u64 end = from + count < buckets() ? from + count : buckets();

		for (u64 i = from; i < end; i++) {
			if (i < geometry_.buckets4) {
				for (sh_session4 &slot : bucket4_[i].slot)
					visit(&slot, (u8)SH_IPV4);
			} else {
				for (sh_session6 &slot : bucket6_[i - geometry_.buckets4].slot)
					visit(reinterpret_cast<sh_session4 *>(&slot), (u8)SH_IPV6);
			}
		}
	}

private:
	Mapping memory_, memory6_, memory_fragments_, memory_failures_; // one for all, or one each
	SessionGeometry geometry_;
	sh_bucket4 *bucket4_ = nullptr;
	sh_bucket6 *bucket6_ = nullptr;
	sh_fragment *fragments_ = nullptr;
	u32 *limits_ = nullptr;
	sh_pending_redirect *told_ = nullptr;
	sh_failure_report *failures_ = nullptr;
};

// Copies every session of `from` that `to` does not have. Packets may use both meanwhile. `tables` are those by which `to`
// is looked up in. Returns how many `to` had no room for.
u64 copy_sessions(const Sessions &from, const Sessions &to, const sh_tables &tables);

// Ends a session that was read as {claim, seen} and frees its slot; false when it has changed since.
bool free_session(sh_session4 *slot, u64 claim, sh_session_value seen);

// Distinct senders, for each of 65536 ids; only ids that have some take memory.
class Sources
{
public:
	void add(u16 id, u64 hash)
	{
		if (sets_.empty())
			sets_.resize(65536);
		if (!sets_[id])
			sets_[id].reset(new Distinct);
		sets_[id]->add(hash);
	}
	u32 count(u16 id) const { return id < sets_.size() && sets_[id] ? sets_[id]->count() : 0; }

private:
	std::vector<std::unique_ptr<Distinct>> sets_;
};

// What one pass over the whole table found, by service id and by target id. 65536 entries each.
struct SessionCounts {
	std::vector<u32> services = std::vector<u32>(65536); // records
	std::vector<u32> targets = std::vector<u32>(65536);
	// Of services whose sessions are counted by sender (R10): distinct senders of each service; distinct pairs of service and
	// sender of each target, and the records that those pairs replace in the count.
	Sources sources, target_sources;
	std::vector<u32> target_records = std::vector<u32>(65536);
};

struct SweepResult {
	u64 next = 0;       // bucket to continue at; 0: the pass is complete
	u64 live = 0;       // records left alive in this slice
	u64 expired = 0;    // freed because they were idle for too long, or their service is gone
	u64 duplicates = 0; // freed because the same flow had another record
};

// One slice of the aging sweep, by the idle times of this set of tables. Counts are added up.
SweepResult sweep(const Sessions &sessions, u64 from, u64 count, u32 now_tick, const TableBlock &block,
                  SessionCounts *counts);

struct SessionFilter {
	bool by_service = false, by_target = false, by_source = false, by_port = false;
	u16 service = 0, source_port = 0; // port in host order
	std::vector<u16> targets;         // by_target: any of these, sorted
	u32 idle_at_least = 0;            // ticks
	sh_addr source = {};
};

struct SessionRow {
	sh_addr source;
	u16 source_port; // host order
	u16 service;
	u16 target;
	u8 family;
	bool proven;
	u8 state; // SH_SESSION_STATE
	u32 idle_ticks;
};

// At most `limit` sessions that match, from bucket `*from` on; `*from` becomes the bucket to continue at, 0 at the end.
std::vector<SessionRow> list_sessions(const Sessions &sessions, const SessionFilter &filter, u64 limit, u32 now_tick,
                                      u64 *from);
struct RemoveResult {
	u64 next = 0; // bucket to continue at, 0 at the end
	u64 removed = 0;
};

// Removes every session that matches, of `count` buckets from `from` on.
RemoveResult remove_sessions(const Sessions &sessions, const SessionFilter &filter, u32 now_tick, u64 from, u64 count);

} // namespace shunt

#endif
