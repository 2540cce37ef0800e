// SPDX-License-Identifier: Apache-2.0
//
// aging.cc - the aging sweep: R9's periodic check, in slices, beside running workers and without a system call.
#include "datapath/session/insert.h"
#include "engine/sessions.h"

namespace shunt
{

bool free_session(sh_session4 *slot, u64 claim, sh_session_value seen)
{
	return seen.target && sh_session_release(slot, claim, seen);
}

namespace
{

// A record as it was read.
struct Record {
	sh_session4 *slot;
	u64 claim;
	sh_session_value seen;
};

// Two processors that saw a flow's first packets at once may both have made a record; so may one that looked for a record
// while another moved it. It is enough to look for the second one of records that are fresh.
class Twins
{
public:
	Twins(const Sessions &sessions, const sh_tables &tables)
	    : env_{0,
	           &tables,
	           sessions.bucket4(),
	           sessions.bucket6(),
	           sessions.fragments(),
	           nullptr,
	           nullptr,
	           nullptr,
	           nullptr,
	           nullptr}
	{
	}

	// Of the two records of this one's flow the one that look-ups don't come to; no slot: it is alone.
	Record spare(const sh_session4 *slot, u8 family) const
	{
		struct sh_session_key key;
		sh_session_value seen;
		u32 found = 0;

		if (!sh_session_load_resident(sh_control(&env_), slot, family, &key, &seen))
			return {};
		struct sh_bucket first = sh_bucket_of(&env_, family, key.hash, 0);
		struct sh_bucket second = sh_bucket_of(&env_, family, key.hash, 1);
		for (u32 i = 0; i < (first.base == second.base ? 1 : 2) * first.slots; i++) {
			sh_session4 *one = i < first.slots ? SH_SLOT(first, i) : SH_SLOT(second, i - first.slots);

			if (!sh_session_matches(one, SH_READ_FIRST(one->claim), family, &key))
				continue;
			seen = sh_session_read_as(one, key.claim);
			if (seen.target && found++)
				return {one, key.claim, seen};
		}
		return {};
	}

private:
	sh_env env_;
};

// What another processor stores a moment after our clock was read is ahead of it, too.
constexpr u32 LATE_TICKS = 1000;

// By longer periods than those in force now a session was to end later than any packet can have it end: it ends as if the
// backend had sent something just now.
void draw_back(sh_session4 *slot, sh_session_value seen, u32 last)
{
	sh_session_value sooner = seen;

	sooner.last = last;
	__sync_bool_compare_and_swap(&slot->value.word, seen.word, sooner.word);
}

// The hash is of the secret seed: nobody can aim at a register.
void count_source(const sh_tables &tables, const sh_session4 *slot, u64 claim, u8 family, u16 target,
                  SessionCounts *counts)
{
	u64 hash = family == SH_IPV4 ? sh_mix(sh_mix(tables.control.seed[0]) ^ claim >> 32)
	                             : sh_hash_address(tables.control.seed[0],
	                                               &reinterpret_cast<const sh_session6 *>(slot)->source);

	counts->sources.add((u16)claim, hash);
	counts->target_sources.add(target, sh_mix(hash ^ (u16)claim));
	counts->target_records[target]++;
}

} // namespace

SweepResult sweep(const Sessions &sessions, u64 from, u64 count, u32 now_tick, const TableBlock &block,
                  SessionCounts *counts)
{
	const Aging *aging = block.aging().data();
	Twins twins(sessions, *block.tables());
	std::vector<std::pair<sh_session4 *, u8>> suspects;
	SweepResult result;

	sessions.walk(from, count, [&](sh_session4 *slot, u8 family) {
		u64 claim = SH_READ_FIRST(slot->claim);
		sh_session_value seen;

		if (!claim || (family == SH_IPV6 && claim & SH_CLAIM6_BUSY))
			return;
		seen = sh_session_read_as(slot, claim);
		if (!seen.target)
			return;
		const Aging service = aging[claim & 0xffff];
		// Most are neither too old nor ahead of now: one comparison, modulo 2^32 (sh_session_age).
		u32 age = now_tick - seen.last;
		bool apart = age > service.idle_ticks || !service.idle_ticks;
		if (SH_UNLIKELY(apart) && (age <= 0x80000000u || !service.idle_ticks)) {
			if (free_session(slot, claim, seen)) {
				result.expired++;
				return;
			}
		} else if (seen.flags & SH_SESSION_FRESH) {
			sh_session_value known = seen;

			known.flags &= (u8)~SH_SESSION_FRESH;
			if (twins.spare(slot, family).slot)
				suspects.push_back({slot, family}); // fresh still, at the next pass
			else
				__sync_bool_compare_and_swap(&slot->value.word, seen.word, known.word);
		}
		if (SH_UNLIKELY(apart) && 0 - age > service.ahead + LATE_TICKS)
			draw_back(slot, seen, now_tick + service.ahead);
		result.live++;
		counts->services[claim & 0xffff]++;
		counts->targets[seen.target]++;
		if (service.counts_sources)
			count_source(*block.tables(), slot, claim, family, seen.target, counts);
	});
	// A session that is just being moved has two records as well, but not for as long as a slice takes: ask again. What is
	// freed here has been counted in this pass.
	for (auto &[slot, family] : suspects) {
		Record spare = twins.spare(slot, family);

		if (spare.slot && free_session(spare.slot, spare.claim, spare.seen))
			result.duplicates++;
	}
	result.next = from + count < sessions.buckets() ? from + count : 0;
	return result;
}

} // namespace shunt
