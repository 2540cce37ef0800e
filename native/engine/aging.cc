// SPDX-License-Identifier: Apache-2.0
//
// aging.cc - the aging sweep: R9's periodic check, in slices, beside running workers and without a system call.
#include "datapath/session/insert.h"
#include "engine/session_env.h"
#include "engine/sessions.h"

namespace shunt
{

bool free_session(sh_session4 *slot, u64 claim, sh_session_value seen)
{
	return seen.target && sh_session_release(slot, claim, seen);
}

namespace
{

// A record at the moment of its read.
struct Record {
	sh_session4 *slot;
	u64 claim;
	sh_session_value seen;
};

// Finds duplicates: two processors that saw a flow's first packets at once may both have made a record, and so may one that
// looked a record up while another relocated it. Only fresh records can have a duplicate that has not been found yet.
class Duplicates
{
public:
	Duplicates(const Sessions &sessions, const sh_tables &tables) : env_(session_env(sessions, &tables)) {}

	// Of two records of this flow the one that look-ups do not reach; no slot: there is one record only.
	Record unreachable(const sh_session4 *slot, u8 family) const
	{
		struct sh_session_key key;
		sh_session_value seen;
		u32 found = 0;

		if (!sh_session_load_resident(sh_control(&env_), slot, family, &key, &seen))
			return {};
		struct sh_bucket first = sh_bucket_of(&env_, family, key.hash, 0);
		struct sh_bucket second = sh_bucket_of(&env_, family, key.hash, 1);
		if (!first.base || !second.base)
			return {};
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

// Another processor may store a time a moment after this clock was read.
constexpr u32 LATE_TICKS = 1000;

// A session stored under longer idle periods than those in force would end later than any packet could have it end: it gets
// the time of an egress packet of now.
void shorten(sh_session4 *slot, sh_session_value seen, u32 last)
{
	sh_session_value sooner = seen;

	sooner.last = last;
	__sync_bool_compare_and_swap(&slot->value.word, seen.word, sooner.word);
}

// The hash depends on the secret seed, so a client can't choose its register.
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
	Duplicates duplicates(sessions, *block.tables());
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
		// Most are neither idle for too long nor ahead of now: one comparison, modulo 2^32 (sh_session_age).
		u32 age = now_tick - seen.last;
		bool open = (seen.flags & SH_SESSION_STATE) == SH_SESSION_OPEN;
		bool out_of_range = age > (open ? service.idle_ticks : service.transitory_ticks) || !service.idle_ticks;
		if (SH_UNLIKELY(out_of_range) && (age <= 0x80000000u || !service.idle_ticks)) {
			if (free_session(slot, claim, seen)) {
				result.expired++;
				return;
			}
		} else if (seen.flags & SH_SESSION_FRESH) {
			sh_session_value known = seen;

			known.flags &= (u8)~SH_SESSION_FRESH;
			if (duplicates.unreachable(slot, family).slot)
				suspects.push_back({slot, family}); // stays fresh until the next pass
			else
				__sync_bool_compare_and_swap(&slot->value.word, seen.word, known.word);
		}
		if (SH_UNLIKELY(out_of_range) && 0 - age > service.ahead + LATE_TICKS)
			shorten(slot, seen, now_tick + service.ahead);
		result.live++;
		counts->services[claim & 0xffff]++;
		counts->targets[seen.target]++;
		if (service.counts_sources)
			count_source(*block.tables(), slot, claim, family, seen.target, counts);
	});
	// A session in relocation has two records as well, but not for as long as a slice takes: check again. A record that is
	// freed here has been counted in this pass.
	for (auto &[slot, family] : suspects) {
		Record duplicate = duplicates.unreachable(slot, family);

		if (duplicate.slot && free_session(duplicate.slot, duplicate.claim, duplicate.seen))
			result.duplicates++;
	}
	result.next = from + count < sessions.buckets() ? from + count : 0;
	return result;
}

} // namespace shunt
