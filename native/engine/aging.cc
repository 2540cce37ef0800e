// SPDX-License-Identifier: Apache-2.0
//
// aging.cc - the aging sweep: R9's periodic check, in slices, beside running workers and without a system call.
#include "engine/sessions.h"
#include "packet/session.h"

namespace shunt
{

bool free_session(sh_session4 *slot, u64 claim, sh_session_value seen)
{
	return seen.target && sh_session_release(slot, claim, seen);
}

static bool same_flow(const sh_session4 *a, const sh_session4 *b, u8 family)
{
	if (SH_READ_ONCE(a->claim) != SH_READ_ONCE(b->claim))
		return false;
	return family == SH_IPV4 || sh_addr_equal(&reinterpret_cast<const sh_session6 *>(a)->source,
						  &reinterpret_cast<const sh_session6 *>(b)->source);
}

// Two processors that saw a flow's first packets at once may both have made a record in one bucket. The first is the
// one that look-ups find.
static bool is_duplicate(const sh_session4 *slot, u8 family)
{
	uintptr_t bucket = reinterpret_cast<uintptr_t>(slot) & ~(uintptr_t)63;
	size_t stride = family == SH_IPV4 ? sizeof(sh_session4) : sizeof(sh_session6);

	for (uintptr_t p = bucket; p < reinterpret_cast<uintptr_t>(slot); p += stride) {
		const sh_session4 *earlier = reinterpret_cast<const sh_session4 *>(p);

		if (sh_session_read(earlier).target && same_flow(earlier, slot, family))
			return true;
	}
	return false;
}

SweepResult sweep(const Sessions &sessions, u64 from, u64 count, u32 now_tick, const std::vector<u32> &idle_ticks,
		  SessionCounts *counts)
{
	SweepResult result;

	sessions.walk(from, count, [&](sh_session4 *slot, u8 family) {
		u64 claim = SH_READ_ONCE(slot->claim);
		sh_session_value seen;

		if (!claim || (family == SH_IPV6 && claim & SH_CLAIM6_BUSY))
			return;
		seen = sh_session_read(slot);
		if (!seen.target)
			return;
		u32 idle = idle_ticks[claim & 0xffff];
		if (!idle || sh_session_age(now_tick, seen.last) > idle) {
			if (free_session(slot, claim, seen)) {
				result.expired++;
				return;
			}
		} else if (is_duplicate(slot, family) && free_session(slot, claim, seen)) {
			result.duplicates++;
			return;
		}
		result.live++;
		counts->services[claim & 0xffff]++;
		counts->targets[seen.target]++;
	});
	result.next = from + count < sessions.buckets() ? from + count : 0;
	return result;
}

} // namespace shunt
