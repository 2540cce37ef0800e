/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * header.h - the redirection header: bytes <-> struct sh_header, and its tag. docs/protocol.md draws it.
 *
 * Owns: every offset, type and flag of the header, and the refusals that need nothing but the header's own bytes.
 * Whether key, tag, age and address are right is the receiver's business (protocol.md, "What a receiver does").
 * Must never: read a byte before comparing with the packet's end, or use a size that is not a constant: the BPF
 * verifier has to follow it. src/wire/header.ts does the same in TypeScript; test/vectors holds both together.
 */
#ifndef SHUNT_DATAPATH_HEADER_H
#define SHUNT_DATAPATH_HEADER_H

#include "datapath/reasons.h"
#include "datapath/types.h"

#define SH_HEADER_VERSION 1
#define SH_HEADER_HOPS 5 /* the most a header may have been forwarded anew */

enum sh_type {
	SH_T_CAPABILITY = 1, /* client -> gateway: can act on a redirection */
	SH_T_FORWARD = 2,    /* server -> server: the packet that follows is for this service address */
	SH_T_REDIRECT = 3,   /* server -> client: go to this service address */
	SH_T_FAILURE = 4,    /* client -> server: this service address failed me */
	SH_T_PROBE = 5,      /* client -> service address: are you there? */
	SH_T_PROBE_ACK = 6,  /* service address -> client: yes */
	SH_T_REVOKE = 7,     /* server -> client: forget this service address */
};

enum sh_header_flag {
	SH_F_REDIRECT = 0x80,    /* R: the client is expected to redirect itself */
	SH_F_PERMANENT = 0x40,   /* P */
	SH_F_ONCE = 0x20,        /* O */
	SH_F_LEASED = 0x10,      /* L; of P, O, L at most one, none means once */
	SH_F_FAILURE = 0x08,     /* F: a failure, or the answer to one */
	SH_F_PACKET = 0x04,      /* X: the original packet follows the header */
	SH_F_IPV6 = 0x02,        /* V: the service address, and the alternative, are IPv6 */
	SH_F_ALTERNATIVE = 0x01, /* A: one alternative follows the service address */
};
#define SH_F_TERMS (SH_F_PERMANENT | SH_F_ONCE | SH_F_LEASED)

/* Whole header, by the flags V and A. */
#define SH_HEADER_V4 32
#define SH_HEADER_V6 44
#define SH_HEADER_V4_ALTERNATIVE 40
#define SH_HEADER_V6_ALTERNATIVE 64
#define SH_HEADER_MAX 64

/* A decoded header. Host order, except ports (_be by type) and addresses. IPv4 addresses are in mapped form. */
struct sh_header {
	struct sh_addr address;     /* with port: the service address */
	struct sh_addr alternative; /* zero without A */
	u64 nonce;
	u64 tag; /* SipHash's number; on the wire its eight bytes stand little-endian, as its paper prints them */
	u32 issued;
	be16 port;
	be16 alternative_port;
	u16 lease_s;
	u8 type;
	u8 flags;
	u8 hops;
	u8 key_id;
	u8 reserved[2];
};

/* Eight or four bytes, read little-endian. */
SH_INLINE u32 sh_header_get32(const u8 *p)
{
	return __builtin_bswap32(sh_ntohl(sh_load32(p)));
}

SH_INLINE void sh_header_put32(u8 *p, u32 x)
{
	sh_store32(p, sh_htonl(__builtin_bswap32(x)));
}

SH_INLINE u64 sh_header_get64(const u8 *p)
{
	return (u64)sh_header_get32(p + 4) << 32 | sh_header_get32(p);
}

SH_INLINE void sh_header_put64(u8 *p, u64 x)
{
	sh_header_put32(p, (u32)x);
	sh_header_put32(p + 4, (u32)(x >> 32));
}

/* Values that stand in network order, as the number that their bytes are when read little-endian. */
SH_INLINE u32 sh_header_le32(be32 x)
{
	return __builtin_bswap32(sh_ntohl(x));
}

SH_INLINE u16 sh_header_le16(be16 x)
{
	return __builtin_bswap16(sh_ntohs(x));
}

SH_INLINE u32 sh_header_length(u8 flags)
{
	switch (flags & (SH_F_IPV6 | SH_F_ALTERNATIVE)) {
	case 0:
		return SH_HEADER_V4;
	case SH_F_IPV6:
		return SH_HEADER_V6;
	case SH_F_ALTERNATIVE:
		return SH_HEADER_V4_ALTERNATIVE;
	default:
		return SH_HEADER_V6_ALTERNATIVE;
	}
}

/* The header's first five words of 32 bits, which every form shares, read little-endian. */
SH_INLINE u32 sh_header_word0(const struct sh_header *h, u8 type, u8 flags)
{
	return (u32)sh_header_le16(h->port) << 16 | (u32)flags << 8 | SH_HEADER_VERSION << 4 | type;
}

SH_INLINE u32 sh_header_word1(const struct sh_header *h)
{
	return (u32)h->key_id << 24 | (u32)h->hops << 16 | __builtin_bswap16(h->lease_s);
}

/* The same as sh_header_encode for a header whose flags V and A are `form`: where that is a constant, so are all offsets. */
SH_INLINE u32 sh_header_encode_as(u8 *out, const struct sh_header *h, u8 form)
{
	u64 nonce = __builtin_bswap64(h->nonce);

	sh_header_put32(out, sh_header_word0(h, h->type, h->flags));
	sh_header_put32(out + 4, sh_header_word1(h));
	sh_header_put32(out + 8, __builtin_bswap32(h->issued));
	sh_header_put64(out + 12, nonce);
	if (!(form & SH_F_IPV6)) {
		sh_header_put32(out + 20, sh_header_le32(h->address.w[3]));
		if (!(form & SH_F_ALTERNATIVE)) {
			sh_header_put64(out + 24, h->tag);
			return SH_HEADER_V4;
		}
		sh_header_put32(out + 24, sh_header_le32(h->alternative.w[3]));
		sh_header_put32(out + 28, sh_header_le16(h->alternative_port));
		sh_header_put64(out + 32, h->tag);
		return SH_HEADER_V4_ALTERNATIVE;
	}
	sh_header_put32(out + 20, sh_header_le32(h->address.w[0]));
	sh_header_put32(out + 24, sh_header_le32(h->address.w[1]));
	sh_header_put32(out + 28, sh_header_le32(h->address.w[2]));
	sh_header_put32(out + 32, sh_header_le32(h->address.w[3]));
	if (!(form & SH_F_ALTERNATIVE)) {
		sh_header_put64(out + 36, h->tag);
		return SH_HEADER_V6;
	}
	sh_header_put32(out + 36, sh_header_le32(h->alternative.w[0]));
	sh_header_put32(out + 40, sh_header_le32(h->alternative.w[1]));
	sh_header_put32(out + 44, sh_header_le32(h->alternative.w[2]));
	sh_header_put32(out + 48, sh_header_le32(h->alternative.w[3]));
	sh_header_put32(out + 52, sh_header_le16(h->alternative_port));
	sh_header_put64(out + 56, h->tag);
	return SH_HEADER_V6_ALTERNATIVE;
}

/* Writes the header, its tag as given, to `out` (SH_HEADER_MAX bytes, or what sh_header_length says, aligned to four
 * on the BPF stack). Returns its length. */
SH_INLINE u32 sh_header_encode(u8 *out, const struct sh_header *h)
{
	return sh_header_encode_as(out, h, h->flags & (SH_F_IPV6 | SH_F_ALTERNATIVE));
}

/* The flags that a header of this type may carry (protocol.md, "Fields by type"). */
SH_INLINE u8 sh_header_flags_allowed(u8 type)
{
	switch (type) {
	case SH_T_CAPABILITY:
		return 0;
	case SH_T_FORWARD:
		return 0xff & ~SH_F_PACKET; /* its packet always follows */
	case SH_T_REDIRECT:
	case SH_T_FAILURE:
		return 0xff;
	case SH_T_PROBE:
		return 0xff & ~(SH_F_PACKET | SH_F_FAILURE);
	default: /* probe-ack, revoke */
		return SH_F_REDIRECT | SH_F_TERMS | SH_F_IPV6;
	}
}

SH_INLINE int sh_header_flags_wrong(u8 type, u8 flags)
{
	u8 terms = flags & SH_F_TERMS;

	if (terms & (u8)(terms - 1)) /* more than one */
		return 1;
	if (flags & ~sh_header_flags_allowed(type))
		return 1;
	return type == SH_T_FAILURE && !(flags & SH_F_FAILURE);
}

SH_INLINE struct sh_addr sh_header_get_v4(const u8 *p)
{
	return sh_addr_v4(sh_htonl(__builtin_bswap32(sh_header_get32(p))));
}

SH_INLINE struct sh_addr sh_header_get_v6(const u8 *p)
{
	struct sh_addr a;

	a.w[0] = sh_htonl(__builtin_bswap32(sh_header_get32(p)));
	a.w[1] = sh_htonl(__builtin_bswap32(sh_header_get32(p + 4)));
	a.w[2] = sh_htonl(__builtin_bswap32(sh_header_get32(p + 8)));
	a.w[3] = sh_htonl(__builtin_bswap32(sh_header_get32(p + 12)));
	return a;
}

/* The alternative's port and, zero, the two bytes after it. */
SH_INLINE int sh_header_get_alternative_port(struct sh_header *h, const u8 *p)
{
	u32 w = sh_header_get32(p);

	h->alternative_port = sh_htons(__builtin_bswap16((u16)w));
	return w >> 16 ? SH_R_header_flags : 0;
}

/* Reads the header of `length` bytes (what the carrier says) at p. Returns 0, or the reason of the refusal; *h is
 * then not to be used. The order of the refusals is part of the protocol: version, type, flags, length, hops, port. */
SH_INLINE int sh_header_decode(struct sh_header *h, const u8 *p, const u8 *end, u32 length)
{
	int wrong = 0;
	u32 w;

	if (length < 4 || p + 4 > end)
		return SH_R_header_length;
	w = sh_header_get32(p);
	if ((w >> 4 & 15) != SH_HEADER_VERSION)
		return SH_R_header_version;
	h->type = w & 15;
	if (h->type < SH_T_CAPABILITY || h->type > SH_T_REVOKE)
		return SH_R_header_type;
	h->flags = w >> 8 & 0xff;
	if (sh_header_flags_wrong(h->type, h->flags))
		return SH_R_header_flags;
	h->port = sh_htons(__builtin_bswap16((u16)(w >> 16)));
	h->reserved[0] = h->reserved[1] = 0;
	h->alternative.d[0] = h->alternative.d[1] = 0;
	h->alternative_port = 0;

	if (!(h->flags & SH_F_IPV6)) {
		if (!(h->flags & SH_F_ALTERNATIVE)) {
			if (length != SH_HEADER_V4 || p + SH_HEADER_V4 > end)
				return SH_R_header_length;
			h->tag = sh_header_get64(p + 24);
		} else {
			if (length != SH_HEADER_V4_ALTERNATIVE || p + SH_HEADER_V4_ALTERNATIVE > end)
				return SH_R_header_length;
			h->alternative = sh_header_get_v4(p + 24);
			wrong = sh_header_get_alternative_port(h, p + 28);
			h->tag = sh_header_get64(p + 32);
		}
		h->address = sh_header_get_v4(p + 20);
	} else {
		if (!(h->flags & SH_F_ALTERNATIVE)) {
			if (length != SH_HEADER_V6 || p + SH_HEADER_V6 > end)
				return SH_R_header_length;
			h->tag = sh_header_get64(p + 36);
		} else {
			if (length != SH_HEADER_V6_ALTERNATIVE || p + SH_HEADER_V6_ALTERNATIVE > end)
				return SH_R_header_length;
			h->alternative = sh_header_get_v6(p + 36);
			wrong = sh_header_get_alternative_port(h, p + 52);
			h->tag = sh_header_get64(p + 56);
		}
		h->address = sh_header_get_v6(p + 20);
	}
	w = sh_header_get32(p + 4);
	h->lease_s = __builtin_bswap16((u16)w);
	h->hops = w >> 16 & 0xff;
	h->key_id = (u8)(w >> 24);
	h->issued = __builtin_bswap32(sh_header_get32(p + 8));
	h->nonce = __builtin_bswap64(sh_header_get64(p + 12));

	if (wrong) /* reserved bytes that are not zero */
		return wrong;
	if (h->hops > SH_HEADER_HOPS)
		return SH_R_header_hops;
	if (!h->port && h->type != SH_T_CAPABILITY)
		return SH_R_header_port;
	if (!h->alternative_port && (h->flags & SH_F_ALTERNATIVE))
		return SH_R_header_port;
	return 0;
}

#endif
