/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * answer.h - a client's packet becomes the answer to what it asks: docs/protocol.md, 4.2 and 4.5, and section 6.
 *
 *     sh_answer_compose     the payload: cookie, header, the service that it speaks of
 *     sh_answer_datagram    in a control datagram, from the address and port that were asked
 *     sh_answer_reset       in a RST, to a SYN
 *     sh_answer_return      in a control datagram, before the packet itself
 *
 * Owns: the bytes of these three frames.
 * Must never: make an answer that is longer than what it answers: whoever forges a source would have it sent for him. So each of the
 * three is told first, by sh_answer_fits or the sizes here, whether there is room, and else is not given.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_ANSWER_H
#define SHUNT_DATAPATH_SIGNAL_ANSWER_H

#include "datapath/header.h"
#include "datapath/parse/checksum.h"
#include "datapath/signal/question.h"
#include "datapath/signal/ticket.h"
#include "datapath/turn.h"

/* The payload, zero behind its end, so that sums need not know how long it is. */
#define SH_ANSWER_WORDS (SH_CONTROL_BYTES / 4)
struct sh_answer_room {
	u32 word[SH_ANSWER_WORDS];
	u32 length; /* bytes of the payload */
};

struct sh_answer4 {
	struct sh_ipv4 ip;
	struct sh_udp udp;
} SH_LAYERED;

struct sh_answer6 {
	struct sh_ipv6 ip;
	struct sh_udp udp;
} SH_LAYERED;

struct sh_reset4 {
	struct sh_ipv4 ip;
	struct sh_tcp tcp;
} SH_LAYERED;

struct sh_reset6 {
	struct sh_ipv6 ip;
	struct sh_tcp tcp;
} SH_LAYERED;

SH_INLINE u32 sh_ip_bytes(u8 family)
{
	return family == SH_IPV4 ? (u32)sizeof(struct sh_ipv4) : (u32)sizeof(struct sh_ipv6);
}

SH_INLINE void sh_answer_about(u8 *at, const struct sh_flow *flow)
{
	sh_store32(at, sh_htonl((u32)flow->protocol << 24 | sh_ntohs(flow->destination_port)));
	sh_store32(at + 4, flow->destination.w[0]);
	sh_store32(at + 8, flow->destination.w[1]);
	sh_store32(at + 12, flow->destination.w[2]);
	sh_store32(at + 16, flow->destination.w[3]);
}

/* Signs and writes; returns the payload's length. `flow` is the one that the header speaks of. A RST names no service. */
SH_STAGE_ALONE u32 sh_answer_compose(const struct sh_env *handed, struct sh_answer_room *room, struct sh_header *header,
                                     const struct sh_flow *flow, u32 names_service)
{
	struct sh_env env;
	u8 *bytes;
	u32 i;

	if (!handed || !room || !header || !flow || sh_env_again(handed, &env))
		return 0;
	bytes = (u8 *)room->word;
	for (i = 0; i < SH_ANSWER_WORDS; i++)
		room->word[i] = 0;
	room->word[0] = sh_htonl(SH_COOKIE);
	header->tag = sh_header_tag_of(header, flow, sh_control(&env)->sign.k);
	room->length = 4;
	/* Each form for itself: the BPF verifier wants to see where the rest begins. */
	switch (header->flags & (SH_F_IPV6 | SH_F_ALTERNATIVE)) {
	case 0:
		room->length += sh_header_encode_as(bytes + 4, header, 0);
		sh_answer_about(bytes + 4 + SH_HEADER_V4, flow);
		break;
	case SH_F_IPV6:
		room->length += sh_header_encode_as(bytes + 4, header, SH_F_IPV6);
		sh_answer_about(bytes + 4 + SH_HEADER_V6, flow);
		break;
	case SH_F_ALTERNATIVE:
		room->length += sh_header_encode_as(bytes + 4, header, SH_F_ALTERNATIVE);
		sh_answer_about(bytes + 4 + SH_HEADER_V4_ALTERNATIVE, flow);
		break;
	default:
		room->length += sh_header_encode_as(bytes + 4, header, SH_F_IPV6 | SH_F_ALTERNATIVE);
		sh_answer_about(bytes + 4 + SH_HEADER_V6_ALTERNATIVE, flow);
	}
	if (names_service) {
		room->length += SH_ABOUT_BYTES;
		return room->length;
	}
	for (i = 4 / 4 + SH_HEADER_V4 / 4; i < SH_ANSWER_WORDS; i++)
		if (4 * i >= room->length)
			room->word[i] = 0;
	return room->length;
}

SH_INLINE u64 sh_answer_sum(const struct sh_answer_room *room)
{
	u64 sum = 0;
	u32 i;

	SH_ROLLED
	for (i = 0; i < SH_ANSWER_WORDS; i++)
		sum += room->word[i];
	return sum;
}

/* As many words as the frame has room for behind `at`: it has been cut to the answer's length. */
SH_INLINE void sh_answer_copy(const struct sh_frame *frame, u8 *at, const struct sh_answer_room *room)
{
	u32 i;

	SH_ROLLED
	for (i = 0; i < SH_ANSWER_WORDS; i++) {
		if (4 * i >= room->length || at + 4 * i + 4 > frame->end)
			break;
		sh_store32(at + 4 * i, room->word[i]);
	}
}

SH_INLINE void sh_answer_ipv4(struct sh_ipv4 *ip, const struct sh_flow *flow, u32 length, u8 protocol)
{
	ip->version_ihl = 0x45;
	ip->tos = 0;
	ip->length = sh_htons(length);
	ip->id = 0;
	ip->fragment = sh_htons(SH_IPV4_DF);
	ip->ttl = 64;
	ip->protocol = protocol;
	ip->checksum = 0;
	ip->source = flow->destination.w[3];
	ip->destination = flow->source.w[3];
	ip->checksum = sh_checksum(sh_sum(ip, sizeof(*ip) / 4));
}

SH_INLINE void sh_answer_ipv6(struct sh_ipv6 *ip, const struct sh_flow *flow, u32 length, u8 protocol)
{
	ip->version_class_label = sh_htonl(6u << 28);
	ip->length = sh_htons(length - sizeof(*ip));
	ip->next = protocol;
	ip->hops = 64;
	__builtin_memcpy(&ip->source, &flow->destination, 16);
	__builtin_memcpy(&ip->destination, &flow->source, 16);
}

/* RFC 768, RFC 8200 8.1: both addresses, the length and the protocol. Which of the two is the source makes no difference. */
SH_INLINE u64 sh_pseudo_sum(const struct sh_flow *flow, u32 length, u8 protocol)
{
	u64 sum = sh_htons(length) + (u64)sh_htons(protocol);

	if (flow->family == SH_IPV4)
		return sum + flow->source.w[3] + flow->destination.w[3];
	return sum + sh_sum(&flow->source, 4) + sh_sum(&flow->destination, 4);
}

SH_INLINE void sh_answer_udp(struct sh_udp *udp, const struct sh_flow *flow, u32 length, u64 sum)
{
	udp->source = flow->destination_port;
	udp->destination = flow->source_port;
	udp->length = sh_htons(length);
	udp->checksum = 0;
	udp->checksum = sh_checksum(sum + sh_pseudo_sum(flow, length, SH_UDP) + sh_sum(udp, sizeof(*udp) / 4));
	if (!udp->checksum)
		udp->checksum = 0xffff;
}

/* Puts the IP and UDP headers at p->l3, and the payload behind them. `length` is the UDP datagram's, `sum` the sum over all that
 * follows its header. p->flow is the packet's own, as it came: the answer goes back between its ends. 0, or -1. */
SH_INLINE int sh_answer_write(const struct sh_frame *frame, const struct sh_parsed *p,
                              const struct sh_answer_room *room, u32 length, u64 sum)
{
	if (p->flow.family == SH_IPV4) {
		struct sh_answer4 *answer = (struct sh_answer4 *)(frame->data + SH_OFFSET(p->l3));

		if ((u8 *)(answer + 1) > frame->end)
			return -1;
		sh_answer_ipv4(&answer->ip, &p->flow, sizeof(answer->ip) + length, SH_UDP);
		sh_answer_udp(&answer->udp, &p->flow, length, sum);
		sh_answer_copy(frame, (u8 *)(answer + 1), room);
	} else {
		struct sh_answer6 *answer = (struct sh_answer6 *)(frame->data + SH_OFFSET(p->l3));

		if ((u8 *)(answer + 1) > frame->end)
			return -1;
		sh_answer_ipv6(&answer->ip, &p->flow, sizeof(answer->ip) + length, SH_UDP);
		sh_answer_udp(&answer->udp, &p->flow, length, sum);
		sh_answer_copy(frame, (u8 *)(answer + 1), room);
	}
	return 0;
}

SH_INLINE u32 sh_answer_datagram_bytes(const struct sh_parsed *p, const struct sh_answer_room *room)
{
	return sh_ip_bytes(p->flow.family) + (u32)sizeof(struct sh_udp) + room->length;
}

/* 0, or -1: it would be longer than what it answers. */
SH_INLINE int sh_answer_datagram(struct sh_frame *frame, const struct sh_parsed *p, const struct sh_answer_room *room)
{
	u32 length = sh_answer_datagram_bytes(p, room);

	if (length > p->ip_length || sh_turn_round(frame, p, length, 0))
		return -1;
	return sh_answer_write(frame, p, room, (u32)sizeof(struct sh_udp) + room->length, sh_answer_sum(room));
}

SH_INLINE void sh_answer_tcp(struct sh_tcp *tcp, const struct sh_flow *flow, u32 syn_sequence, u32 length, u64 sum)
{
	tcp->source = flow->destination_port;
	tcp->destination = flow->source_port;
	tcp->sequence = 0;
	tcp->acknowledgement = sh_htonl(sh_ntohl(syn_sequence) + 1);
	tcp->offset = (u8)(sizeof(*tcp) / 4 << 4);
	tcp->flags = SH_TCP_RST | SH_TCP_ACK;
	tcp->window = 0;
	tcp->checksum = 0;
	tcp->urgent = 0;
	tcp->checksum = sh_checksum(sum + sh_pseudo_sum(flow, length, SH_TCP) + sh_sum(tcp, sizeof(*tcp) / 4));
}

/* RFC 9293 3.5.3: to a SYN, before there is a connection, a RST that acknowledges it. 0, or -1: it would be longer. */
SH_INLINE int sh_answer_reset(struct sh_frame *frame, const struct sh_parsed *p, const struct sh_answer_room *room,
                              u32 syn_sequence)
{
	u32 below = (u32)sizeof(struct sh_tcp) + room->length;
	u32 length = sh_ip_bytes(p->flow.family) + below;
	u64 sum = sh_answer_sum(room);

	if (length > p->ip_length || sh_turn_round(frame, p, length, 0))
		return -1;
	if (p->flow.family == SH_IPV4) {
		struct sh_reset4 *answer = (struct sh_reset4 *)(frame->data + SH_OFFSET(p->l3));

		if ((u8 *)(answer + 1) > frame->end)
			return -1;
		sh_answer_ipv4(&answer->ip, &p->flow, length, SH_TCP);
		sh_answer_tcp(&answer->tcp, &p->flow, syn_sequence, below, sum);
		sh_answer_copy(frame, (u8 *)(answer + 1), room);
	} else {
		struct sh_reset6 *answer = (struct sh_reset6 *)(frame->data + SH_OFFSET(p->l3));

		if ((u8 *)(answer + 1) > frame->end)
			return -1;
		sh_answer_ipv6(&answer->ip, &p->flow, length, SH_TCP);
		sh_answer_tcp(&answer->tcp, &p->flow, syn_sequence, below, sum);
		sh_answer_copy(frame, (u8 *)(answer + 1), room);
	}
	return 0;
}

/* The IP header of a packet that travels back without its surplus area. 0, or -1. */
SH_INLINE int sh_answer_shorten(const struct sh_frame *frame, const struct sh_parsed *p, u32 keep, u64 *sum)
{
	u8 *at = frame->data + SH_OFFSET(p->l3);

	if (p->flow.family == SH_IPV4) {
		struct sh_ipv4 *ip = (struct sh_ipv4 *)at;

		if ((u8 *)(ip + 1) > frame->end)
			return -1;
		ip->checksum = sh_checksum_update(ip->checksum, ip->length, sh_htons(keep));
		ip->length = sh_htons(keep);
		*sum = 0; /* of a header with its right checksum, options included */
	} else {
		struct sh_ipv6 *ip = (struct sh_ipv6 *)at;

		if ((u8 *)(ip + 1) > frame->end)
			return -1;
		ip->length = sh_htons(keep - sizeof(*ip));
		*sum = sh_sum(ip, sizeof(*ip) / 4);
	}
	return 0;
}

/* A datagram, back behind the redirect. Its data need not be read for the checksum: a datagram and its pseudo-header sum to
 * zero. 0; or -1, and nothing has changed: it would be longer, or can't be summed so. */
SH_INLINE int sh_answer_return(struct sh_frame *frame, const struct sh_parsed *p, const struct sh_answer_room *room,
                               u16 kept)
{
	const struct sh_udp *udp = (const struct sh_udp *)(frame->data + SH_OFFSET(p->l4));
	u32 before = sh_answer_datagram_bytes(p, room);
	u32 keep = kept;
	u64 sum;

	if ((const u8 *)(udp + 1) > frame->end || !udp->checksum || before + keep > p->ip_length)
		return -1;
	if (p->flow.family == SH_IPV6 && p->l4 - p->l3 != sizeof(struct sh_ipv6))
		return -1;
	/* ~x is -x in ones' complement. */
	sum = sh_checksum(sh_pseudo_sum(&p->flow, sh_ntohs(udp->length), SH_UDP));
	{
		u64 header;

		if (sh_answer_shorten(frame, p, keep, &header))
			return -1;
		sum += header + sh_answer_sum(room);
	}
	if (sh_turn_round(frame, p, keep, before))
		return -1;
	return sh_answer_write(frame, p, room, (u32)sizeof(struct sh_udp) + room->length + keep, sum);
}

#endif
