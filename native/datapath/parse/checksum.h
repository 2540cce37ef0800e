/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * checksum.h - the Internet checksum (RFC 1071) over a number of bytes that the compiler knows.
 *
 * Owns: the ones' complement sum. Sums are kept unfolded in 64 bits, so that they can be added in any order.
 * Must never: loop over a length from the wire without a constant bound (the BPF verifier would refuse it).
 */
#ifndef SHUNT_DATAPATH_PARSE_CHECKSUM_H
#define SHUNT_DATAPATH_PARSE_CHECKSUM_H

#include "datapath/types.h"

/* Adds `words` words of 32 bits: the sum of 16-bit words comes out the same once it is folded (RFC 1071 2(C)). The
 * caller has checked that they are inside the packet. */
SH_INLINE u64 sh_sum(const void *p, u32 words)
{
	const u8 *b = (const u8 *)p;
	u64 sum = 0;
	u32 i;

	for (i = 0; i < words; i++)
		sum += sh_load32(b + 4 * i);
	return sum;
}

/* The sum folded and complemented: what stands in a checksum field. 0 over data that holds its right checksum. */
SH_INLINE u16 sh_checksum(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)~sum;
}

/* A checksum field after one 16-bit word below it has changed (RFC 1624, equation 3). */
SH_INLINE u16 sh_checksum_update(u16 checksum, u16 before, u16 after)
{
	return sh_checksum((u64)(u16)~checksum + (u16)~before + after);
}

#endif
