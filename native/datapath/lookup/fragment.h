/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * fragment.h - later fragments go where their first fragment went.
 *
 * Owns: the fragment table, direct-mapped: a newer datagram takes the place of an older one.
 * Must never: reassemble. Fragments travel to the target as they came.
 */
#ifndef SHUNT_DATAPATH_LOOKUP_FRAGMENT_H
#define SHUNT_DATAPATH_LOOKUP_FRAGMENT_H

#include "datapath/lookup/hash.h"
#include "datapath/parse/parse.h"
#include "datapath/platform.h"

/* RFC 8200 4.5 and RFC 1122 3.3.2 let a receiver wait 60 s for the rest; networks keep a datagram's parts together. */
#define SH_FRAGMENT_TICKS (30000000000ULL >> SH_TICK_SHIFT)

/* What RFC 791 and RFC 8200 name a datagram by: source, destination, identification and protocol. Never 0. */
SH_INLINE u64 sh_fragment_key(const struct sh_control *control, const struct sh_parsed *p)
{
	u64 h = sh_hash_address(sh_mix(control->seed[0] ^ ((u64)p->fragment_id << 8 | p->protocol)), &p->flow.source);

	return sh_hash_address(h, &p->flow.destination) | 1;
}

SH_INLINE void sh_fragment_store(const struct sh_env *env, const struct sh_control *control, u64 key, u16 target,
                                 u16 service)
{
	struct sh_fragment *slot = sh_fragment_at(env, (u32)(key >> 32) & control->fragment_mask);
	union sh_fragment_value value;

	if (!slot)
		return;
	value.last = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT);
	value.target = target;
	value.service = service;
	SH_WRITE_ONCE(slot->value.word, value.word);
	SH_WRITE_ONCE(slot->check, key ^ value.word);
}

SH_INLINE int sh_fragment_find(const struct sh_env *env, const struct sh_control *control, u64 key, u16 *target,
                               u16 *service)
{
	const struct sh_fragment *slot = sh_fragment_at(env, (u32)(key >> 32) & control->fragment_mask);
	union sh_fragment_value value;

	if (!slot)
		return 0;
	value.word = SH_READ_ONCE(slot->value.word);
	if ((SH_READ_ONCE(slot->check) ^ value.word) != key ||
	    (u32)(sh_now_ns(env) >> SH_TICK_SHIFT) - value.last > SH_FRAGMENT_TICKS)
		return 0;
	*target = value.target;
	*service = value.service;
	return *target != 0;
}

#endif
