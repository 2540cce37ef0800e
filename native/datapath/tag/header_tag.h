/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * header_tag.h - the redirection header's tag: SipHash-2-4 over header and flow (docs/protocol.md, "Tag").
 *
 * Owns: which bytes a tag covers, in which order.
 * Must never: read a header from a packet; it takes the decoded fields (header.h).
 */
#ifndef SHUNT_DATAPATH_TAG_HEADER_TAG_H
#define SHUNT_DATAPATH_TAG_HEADER_TAG_H

#include "datapath/header.h"
#include "datapath/tag/siphash.h"

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
