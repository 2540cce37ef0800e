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
#include "datapath/tag/siphash.h"
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

/* The flow block: source, destination, ports, protocol, three zero bytes. This is its last word, read little-endian. */
SH_INLINE u64 sh_header_flow_ports(const struct sh_flow *flow)
{
	return (u64)flow->protocol << 32 | (u64)sh_header_le16(flow->destination_port) << 16 |
	       sh_header_le16(flow->source_port);
}

SH_INLINE u64 sh_header_pair(be32 first, be32 second)
{
	return (u64)sh_header_le32(second) << 32 | sh_header_le32(first);
}

/* A word of the flow block. After a header of 44 bytes the block stands half a word later: `carry` is what is left. */
SH_INLINE void sh_header_flow_word(struct sh_siphash *s, u64 *carry, int shifted, u64 word)
{
	if (shifted) {
		sh_siphash_word(s, *carry | word << 32);
		*carry = word >> 32;
	} else {
		sh_siphash_word(s, word);
	}
}

/* The tag where an address is IPv6 or an alternative follows. A function of its own, so that the way of IPv4 stays
 * short in the instruction cache; it keeps to registers because its stack frame counts against BPF's 512 bytes. */
#ifdef __bpf__
__attribute__((noinline))
#else
static
	__attribute__((noinline, unused))
#endif
u64 sh_header_tag_long(const struct sh_header *h, const struct sh_flow *flow, const struct sh_secret *secret, u32 head,
		       u64 ports)
{
	u64 nonce;
	struct sh_siphash s;
	u64 carry = 0;
	int shifted = 0;
	u32 length;

	if (!h || !flow || !secret) /* the kernel verifies this function alone, and wants to see it asked */
		return 0;
	nonce = __builtin_bswap64(h->nonce);
	length = sh_header_length(h->flags);
	sh_siphash_start(&s, secret->k);
	sh_siphash_word(&s, (u64)sh_header_word1(h) << 32 | head);
	sh_siphash_word(&s, nonce << 32 | __builtin_bswap32(h->issued));
	if (!(h->flags & SH_F_IPV6)) {
		sh_siphash_word(&s, (u64)sh_header_le32(h->address.w[3]) << 32 | nonce >> 32);
		if (h->flags & SH_F_ALTERNATIVE)
			sh_siphash_word(&s, (u64)sh_header_le16(h->alternative_port) << 32 |
			                            sh_header_le32(h->alternative.w[3]));
		sh_siphash_word(&s, 0);
	} else {
		sh_siphash_word(&s, (u64)sh_header_le32(h->address.w[0]) << 32 | nonce >> 32);
		sh_siphash_word(&s, sh_header_pair(h->address.w[1], h->address.w[2]));
		if (h->flags & SH_F_ALTERNATIVE) {
			sh_siphash_word(&s, sh_header_pair(h->address.w[3], h->alternative.w[0]));
			sh_siphash_word(&s, sh_header_pair(h->alternative.w[1], h->alternative.w[2]));
			sh_siphash_word(&s, (u64)sh_header_le16(h->alternative_port) << 32 |
			                            sh_header_le32(h->alternative.w[3]));
			sh_siphash_word(&s, 0);
		} else {
			/* The first four zero bytes of the tag end this word, the last four begin the next. */
			sh_siphash_word(&s, sh_header_le32(h->address.w[3]));
			shifted = 1;
		}
	}
	if (flow->family == SH_IPV4) {
		sh_header_flow_word(&s, &carry, shifted, sh_header_pair(flow->source.w[3], flow->destination.w[3]));
		length += 16;
	} else {
		sh_header_flow_word(&s, &carry, shifted, sh_header_pair(flow->source.w[0], flow->source.w[1]));
		sh_header_flow_word(&s, &carry, shifted, sh_header_pair(flow->source.w[2], flow->source.w[3]));
		sh_header_flow_word(&s, &carry, shifted,
		                    sh_header_pair(flow->destination.w[0], flow->destination.w[1]));
		sh_header_flow_word(&s, &carry, shifted,
		                    sh_header_pair(flow->destination.w[2], flow->destination.w[3]));
		length += 40;
	}
	sh_header_flow_word(&s, &carry, shifted, ports);
	return sh_siphash_finish(&s, carry, length);
}

/* By far the most headers: IPv4 in IPv4 without an alternative, 32 bytes and a flow of 16. Their tag is made in two steps, since
 * the first, over the header, comes out the same for every flow that is sent to one target in one second. */
SH_INLINE void sh_header_tag_start(struct sh_siphash *s, const struct sh_header *h, u32 head, const u64 key[2])
{
	u64 nonce = __builtin_bswap64(h->nonce);

	sh_siphash_start(s, key);
	sh_siphash_word(s, (u64)sh_header_word1(h) << 32 | head);
	sh_siphash_word(s, nonce << 32 | __builtin_bswap32(h->issued));
	sh_siphash_word(s, (u64)sh_header_le32(h->address.w[3]) << 32 | nonce >> 32);
	sh_siphash_word(s, 0);
}

SH_INLINE u64 sh_header_tag_finish(struct sh_siphash *s, const struct sh_flow *flow, u64 ports)
{
	sh_siphash_word(s, sh_header_pair(flow->source.w[3], flow->destination.w[3]));
	sh_siphash_word(s, ports);
	return sh_siphash_finish(s, 0, 48);
}

/* The tag of a header, from its fields: SipHash-2-4 over the header with the tag zero, then the flow block. `h->tag`
 * is not looked at. A failure or a probe carries the tag of the redirect that it speaks of, so that any server that
 * has the keys recognises it without having kept it: those three are tagged as a redirect with F and X clear, and for
 * the client's address whatever its port, since a lease outlives the flow that it was given to. */
SH_INLINE u64 sh_header_tag_of(const struct sh_header *h, const struct sh_flow *flow, const u64 key[2])
{
	u64 ports = sh_header_flow_ports(flow);
	struct sh_siphash s;
	u8 type = h->type;
	u8 flags = h->flags;
	u32 head;

	if (type >= SH_T_REDIRECT && type <= SH_T_PROBE) {
		type = SH_T_REDIRECT;
		flags &= (u8) ~(SH_F_FAILURE | SH_F_PACKET);
		ports &= ~0xffffULL;
	}
	head = sh_header_word0(h, type, flags);
	if (SH_UNLIKELY(flags & (SH_F_IPV6 | SH_F_ALTERNATIVE)) || SH_UNLIKELY(flow->family != SH_IPV4))
		return sh_header_tag_long(h, flow, (const struct sh_secret *)key, head, ports);

	sh_header_tag_start(&s, h, head, key);
	return sh_header_tag_finish(&s, flow, ports);
}

/* The same from the bytes of a header that sh_header_decode has accepted, or sh_header_encode made, in plain memory. */
SH_INLINE u64 sh_header_tag(const u8 *header, u32 length, const struct sh_flow *flow, const u64 key[2])
{
	struct sh_header h;

	if (sh_header_decode(&h, header, header + length, length))
		return 0;
	return sh_header_tag_of(&h, flow, key);
}

/* Signs and writes in one: sets h->tag and encodes. Returns the length. */
SH_INLINE u32 sh_header_seal(u8 *out, struct sh_header *h, const struct sh_flow *flow, const u64 key[2])
{
	h->tag = sh_header_tag_of(h, flow, key);
	return sh_header_encode(out, h);
}

#endif
