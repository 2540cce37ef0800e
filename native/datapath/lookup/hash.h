/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * hash.h - where things stand in tables.
 *
 * Owns: the mixing function and what is hashed for each table. Every hash takes the cluster's secret seeds, so that
 * a sender cannot choose a slot. The builder of the tables calls these same functions.
 * Must never: be used as a MAC. The header's tag is SipHash (siphash.h).
 */
#ifndef SHUNT_DATAPATH_LOOKUP_HASH_H
#define SHUNT_DATAPATH_LOOKUP_HASH_H

#include "datapath/tables.h"

/* Two rounds of xor-shift and multiply: a permutation of 64 bits with full avalanche. */
SH_INLINE u64 sh_mix(u64 h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	h ^= h >> 32;
	return h;
}

SH_INLINE u64 sh_hash_address(u64 h, const struct sh_addr *a)
{
	return sh_mix(sh_mix(h ^ a->d[0]) ^ a->d[1]);
}

/* Of an address that may be ours. Where a service stands is hashed from this on, so that a packet pays for it once. */
SH_INLINE u64 sh_hash_own(const struct sh_control *control, const struct sh_addr *address)
{
	u64 half = address->d[0] ? sh_mix(control->seed[0] ^ address->d[0]) : control->seed_ipv4;

	return sh_mix(half ^ address->d[1]);
}

SH_INLINE u32 sh_hash_service(u64 own_hash, be16 port, u8 protocol)
{
	return (u32)sh_mix(own_hash ^ ((u64)port << 8 | protocol));
}

SH_INLINE u32 sh_hash_rule(const struct sh_control *control, u16 service, u8 length, const struct sh_addr *prefix)
{
	return (u32)sh_hash_address(control->seed[0] ^ ((u64)service << 8 | length), prefix);
}

/* What rows are chosen by: its halves are two hashes, each as good as if the other were not known, for one price. It holds
 * nothing that differs between gateways (no ids), so all of them choose alike. */
SH_INLINE u64 sh_hash_spread(const struct sh_control *control, const struct sh_flow *flow, u8 spread)
{
	u64 h = sh_hash_address(control->seed[1], &flow->source);

	if (spread == SH_SPREAD_BY_CLIENT) {
		h = sh_mix(h ^ ((u64)flow->source_port << 32 | flow->protocol));
	} else if (spread != SH_SPREAD_BY_SOURCE) {
		h = sh_hash_address(h, &flow->destination);
		h = sh_mix(h ^ ((u64)flow->salt << 48 | (u64)flow->source_port << 32 |
		                (u64)flow->destination_port << 16 | flow->protocol));
	}
	return h;
}

#endif
