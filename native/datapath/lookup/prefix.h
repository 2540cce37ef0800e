/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * prefix.h - prefixes of addresses in the mapped form: of the sources of rules, and of services' addresses.
 *
 * Owns: the bits of a prefix. Must never: branch on a length; see sh_addr_prefix.
 */
#ifndef SHUNT_DATAPATH_LOOKUP_PREFIX_H
#define SHUNT_DATAPATH_LOOKUP_PREFIX_H

#include "datapath/types.h"

/* The first n (0 to 63) bits of 64 set. */
SH_INLINE u64 sh_mask_bits(u32 n)
{
	return ~1ULL << (63 - n);
}

/* The address with every bit beyond the first `length` (0 to 128) cleared. Without a branch: the BPF verifier would
 * follow each of them again for every length of every service. */
SH_INLINE struct sh_addr sh_addr_prefix(const struct sh_addr *a, u32 length)
{
	u64 some = sh_mask_bits(length & 63);
	u64 over_63 = 0 - (u64)((length >> 6 | length >> 7) & 1);
	u64 over_127 = 0 - (u64)(length >> 7 & 1);
	struct sh_addr r;

	r.d[0] = a->d[0] & sh_htonll(over_63 | some);
	r.d[1] = a->d[1] & sh_htonll(over_127 | (over_63 & some));
	return r;
}

#endif
