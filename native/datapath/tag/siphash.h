/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * siphash.h - SipHash-2-4 (Aumasson and Bernstein, 2012), fed eight bytes at a time.
 *
 * Owns: the rounds, and the four calls start, word, finish and key. Every input we authenticate is a multiple of four
 * bytes of known length, so the caller packs words (in registers, where it can) and nothing here looks at memory.
 * Must never: loop over a length or touch a packet pointer: this is compiled for BPF too.
 */
#ifndef SHUNT_DATAPATH_TAG_SIPHASH_H
#define SHUNT_DATAPATH_TAG_SIPHASH_H

#include "datapath/types.h"

struct sh_secret {
	u64 k[2];
};

struct sh_siphash {
	u64 v0, v1, v2, v3;
};

SH_INLINE u64 sh_rotl64(u64 x, unsigned int n)
{
	return x << n | x >> (64 - n);
}

SH_INLINE void sh_siphash_round(struct sh_siphash *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = sh_rotl64(s->v1, 13) ^ s->v0;
	s->v3 = sh_rotl64(s->v3, 16) ^ s->v2;
	s->v0 = sh_rotl64(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = sh_rotl64(s->v1, 17) ^ s->v2;
	s->v3 = sh_rotl64(s->v3, 21) ^ s->v0;
	s->v2 = sh_rotl64(s->v2, 32);
}

/* key[0] is the secret's first eight bytes read little-endian, key[1] its last eight (sh_siphash_key). */
SH_INLINE void sh_siphash_start(struct sh_siphash *s, const u64 key[2])
{
	s->v0 = key[0] ^ 0x736f6d6570736575ULL;
	s->v1 = key[1] ^ 0x646f72616e646f6dULL;
	s->v2 = key[0] ^ 0x6c7967656e657261ULL;
	s->v3 = key[1] ^ 0x7465646279746573ULL;
}

/* The next eight bytes, read little-endian. */
SH_INLINE void sh_siphash_word(struct sh_siphash *s, u64 m)
{
	s->v3 ^= m;
	sh_siphash_round(s);
	sh_siphash_round(s);
	s->v0 ^= m;
}

/* The last zero to seven bytes, read little-endian, and the length of the whole input in bytes. */
SH_INLINE u64 sh_siphash_finish(struct sh_siphash *s, u64 tail, u32 length)
{
	sh_siphash_word(s, (u64)length << 56 | tail);
	s->v2 ^= 0xff;
	sh_siphash_round(s);
	sh_siphash_round(s);
	sh_siphash_round(s);
	sh_siphash_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* The two words of a 16-byte secret. For the control side; the packet program finds them ready in sh_key. */
SH_INLINE void sh_siphash_key(u64 key[2], const u8 secret[16])
{
	key[0] = key[1] = 0;
	for (int i = 7; i >= 0; i--) {
		key[0] = key[0] << 8 | secret[i];
		key[1] = key[1] << 8 | secret[8 + i];
	}
}

#endif
