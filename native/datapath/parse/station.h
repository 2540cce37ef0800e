/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * station.h - is a frame for this host? By the destination's MAC address, at the interface that received it.
 *
 * A promiscuous interface, a bridge's port and a flooded segment bring frames for other hosts. They are left to the host's
 * stack, which ignores them or, on a bridge, forwards them.
 *
 * Owns: the comparison, and how the MAC address and the interface become one word.
 * Must never: read beyond the Ethernet header.
 */
#ifndef SHUNT_DATAPATH_PARSE_STATION_H
#define SHUNT_DATAPATH_PARSE_STATION_H

#include "datapath/parse/parse.h"

/* Two interfaces on one segment have a MAC address each, and a flooded frame reaches both: so the interface is a part of it,
 * by the low half of its index. */
SH_INLINE u64 sh_station_key(const u8 *mac, u32 ifindex)
{
	return (u64)sh_load32(mac) | (u64)sh_load16(mac + 4) << 32 | (u64)(u16)ifindex << 48;
}

/* All but the first. An interface of which no MAC address is listed (a bond's port) takes frames for any. */
SH_STAGE_ALONE u32 sh_station_listed(const struct sh_env *env_copy, u64 key)
{
	const struct sh_control *control;
	struct sh_env env;
	u32 i, known = 0;

	if (!env_copy || sh_env_restore(env_copy, &env))
		return 1;
	control = sh_control(&env);
	for (i = 0; i < SH_STATIONS; i++) {
		if (i >= control->station_count)
			break;
		if (control->stations[i] == key)
			return 1;
		known |= control->stations[i] >> 48 == key >> 48;
	}
	return !known;
}

/* `env_copy` is scratch memory. */
SH_INLINE u8 sh_station_check(const struct sh_env *env, struct sh_env *env_copy, const struct sh_frame *frame,
                              const struct sh_control *control)
{
	const struct sh_ethernet *eth = (const struct sh_ethernet *)frame->data;
	u64 key;

	if ((const u8 *)(eth + 1) > frame->end)
		return SH_R_truncated;
	key = sh_station_key(eth->destination, sh_ingress(env, frame));
	if (SH_LIKELY(key == control->stations[0]) || !control->station_count)
		return SH_CONTINUE;
	*env_copy = *env;
	return sh_station_listed(env_copy, key) ? SH_CONTINUE : SH_R_not_our_station;
}

#endif
