/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * rate_limit.h - how often a source, and all of them together, are answered: so many a second, after a first few.
 *
 * Owns: the table of theoretical arrival times (ITU-T I.371, the generic cell rate algorithm): one word a cell says when the next
 * answer would be due at the steady rate, and an answer is given as long as that is not further ahead than the first few allow.
 * Sources share a cell by a keyed hash, so no sender can choose the cell of another. Two processors at one cell may let one more pass.
 * Must never: limit a packet of the application's.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_RATE_LIMIT_H
#define SHUNT_DATAPATH_SIGNAL_RATE_LIMIT_H

#include "datapath/lookup/hash.h"
#include "datapath/platform.h"

/* Time here is in units of 1,024 ns, modulo 2^32: 73 minutes. */
SH_INLINE int sh_rate_limit_take(u32 *cell, u32 now, u32 period, u32 tolerance)
{
	u32 due, ahead;

	if (!cell || !period)
		return 1;
	due = SH_READ_ONCE(*cell);
	ahead = due - now;
	if (ahead > tolerance + period) /* in the past, or of an earlier round of the clock */
		due = now;
	else if (ahead > tolerance)
		return 0;
	SH_WRITE_ONCE(*cell, due + period);
	return 1;
}

/* May this source be answered now? */
SH_INLINE int sh_rate_limit_allow(const struct sh_env *env, const struct sh_control *control,
                                  const struct sh_addr *source)
{
	u32 now = (u32)(sh_now_ns(env) >> 10);
	u32 cell = (u32)sh_hash_address(control->seed[0] ^ 0x6c696d6974ULL, source) % SH_LIMITS;

	return sh_rate_limit_take(sh_limit_at(env, cell), now, control->limit_period, control->limit_tolerance) &&
	       sh_rate_limit_take(sh_limit_at(env, SH_LIMITS), now, control->limit_all_period,
	                          control->limit_all_tolerance);
}

#endif
