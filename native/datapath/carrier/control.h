/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * control.h - the control datagram: cookie, redirection header, and the service that they are about (docs/protocol.md, 4.2).
 *
 *     sh_control_read     reads a client's
 *     sh_control_compose       composes the payload of a reply
 *     sh_control_reply      turns the client's packet into the reply, from the address and port it was sent to
 *     sh_control_return        the same, with the client's packet behind the payload
 *
 * Owns: the bytes of a control datagram.
 * Must never: write a reply that is longer than the packet it replies to: with a forged source that would be amplification. Each
 * function that writes one checks the length first, and else leaves the frame unchanged.
 */
#ifndef SHUNT_DATAPATH_CARRIER_CONTROL_H
#define SHUNT_DATAPATH_CARRIER_CONTROL_H

#include "datapath/parse/checksum.h"
#include "datapath/parse/parse.h"
#include "datapath/reply.h"
#include "datapath/signal/signal.h"
#include "datapath/signal/ticket.h"

/* A control datagram: cookie, header, and the service that it speaks of. */
enum {
	SH_CONTROL_SERVICE_BYTES = 20,
	SH_CONTROL_BYTES =
		4 + SH_HEADER_MAX + SH_CONTROL_SERVICE_BYTES, /* one that is to be answered is at least so long */
};

SH_INLINE void sh_control_read_service(struct sh_signal *signal, const u8 *about)
{
	signal->flow.protocol = about[0];
	signal->flow.destination_port = sh_load16(about + 2);
	signal->flow.destination.w[0] = sh_load32(about + 4);
	signal->flow.destination.w[1] = sh_load32(about + 8);
	signal->flow.destination.w[2] = sh_load32(about + 12);
	signal->flow.destination.w[3] = sh_load32(about + 16);
}

/* 4.2. The cookie is there. Returns SH_CONTINUE, or why it is refused. */
SH_INLINE u8 sh_control_read(const struct sh_frame *frame, const struct sh_parsed *p, struct sh_signal *signal)
{
	const struct sh_udp *udp = (const struct sh_udp *)(frame->data + SH_OFFSET(p->l4));
	const u8 *payload = (const u8 *)(udp + 1);
	u32 length;
	int refused;

	if (payload + SH_CONTROL_BYTES > frame->end || sh_ntohs(udp->length) < sizeof(*udp) + SH_CONTROL_BYTES)
		return SH_R_control_bad;
	length = sh_header_length(payload[5]);
	refused = sh_header_decode(&signal->header, payload + 4, frame->end, length);
	if (refused)
		return (u8)refused;
	signal->flow.source = p->flow.source;
	signal->flow.source_port = p->flow.source_port;
	signal->flow.family = p->flow.family;
	signal->flow.salt = 0;
	if (length == SH_HEADER_V4)
		sh_control_read_service(signal, payload + 4 + SH_HEADER_V4);
	else if (length == SH_HEADER_V6)
		sh_control_read_service(signal, payload + 4 + SH_HEADER_V6);
	else if (length == SH_HEADER_V4_ALTERNATIVE)
		sh_control_read_service(signal, payload + 4 + SH_HEADER_V4_ALTERNATIVE);
	else
		sh_control_read_service(signal, payload + 4 + SH_HEADER_V6_ALTERNATIVE);
	sh_signal_set_kind(signal);
	return signal->kind ? SH_CONTINUE : (u8)SH_R_header_type;
}

/* The payload, zero behind its end, so that sums need not know how long it is. */
#define SH_CONTROL_WORDS (SH_CONTROL_BYTES / 4)
struct sh_control_payload {
	u32 word[SH_CONTROL_WORDS];
	u32 length; /* bytes of the payload */
};

struct sh_control4 {
	struct sh_ipv4 ip;
	struct sh_udp udp;
} SH_LAYERED;

struct sh_control6 {
	struct sh_ipv6 ip;
	struct sh_udp udp;
} SH_LAYERED;

SH_INLINE void sh_control_write_service(u8 *at, const struct sh_flow *flow)
{
	sh_store32(at, sh_htonl((u32)flow->protocol << 24 | sh_ntohs(flow->destination_port)));
	sh_store32(at + 4, flow->destination.w[0]);
	sh_store32(at + 8, flow->destination.w[1]);
	sh_store32(at + 12, flow->destination.w[2]);
	sh_store32(at + 16, flow->destination.w[3]);
}

/* Signs and writes; returns the payload's length. `flow` is the one that the header speaks of. A RST names no service. */
SH_STAGE_ALONE u32 sh_control_compose(const struct sh_env *env_copy, struct sh_control_payload *room,
                                      struct sh_header *header, const struct sh_flow *flow, u32 names_service)
{
	struct sh_env env;
	u8 *bytes;
	u32 i;

	if (!env_copy || !room || !header || !flow || sh_env_restore(env_copy, &env))
		return 0;
	bytes = (u8 *)room->word;
	for (i = 0; i < SH_CONTROL_WORDS; i++)
		room->word[i] = 0;
	room->word[0] = sh_htonl(SH_COOKIE);
	header->tag = sh_header_tag_of(header, flow, sh_control(&env)->sign.k);
	room->length = 4;
	/* Each form for itself: the BPF verifier wants to see where the rest begins. */
	switch (header->flags & (SH_F_IPV6 | SH_F_ALTERNATIVE)) {
	case 0:
		room->length += sh_header_encode_as(bytes + 4, header, 0);
		sh_control_write_service(bytes + 4 + SH_HEADER_V4, flow);
		break;
	case SH_F_IPV6:
		room->length += sh_header_encode_as(bytes + 4, header, SH_F_IPV6);
		sh_control_write_service(bytes + 4 + SH_HEADER_V6, flow);
		break;
	case SH_F_ALTERNATIVE:
		room->length += sh_header_encode_as(bytes + 4, header, SH_F_ALTERNATIVE);
		sh_control_write_service(bytes + 4 + SH_HEADER_V4_ALTERNATIVE, flow);
		break;
	default:
		room->length += sh_header_encode_as(bytes + 4, header, SH_F_IPV6 | SH_F_ALTERNATIVE);
		sh_control_write_service(bytes + 4 + SH_HEADER_V6_ALTERNATIVE, flow);
	}
	if (names_service) {
		room->length += SH_CONTROL_SERVICE_BYTES;
		return room->length;
	}
	for (i = 4 / 4 + SH_HEADER_V4 / 4; i < SH_CONTROL_WORDS; i++)
		if (4 * i >= room->length)
			room->word[i] = 0;
	return room->length;
}

SH_INLINE u64 sh_control_sum(const struct sh_control_payload *room)
{
	u64 sum = 0;
	u32 i;

	SH_ROLLED
	for (i = 0; i < SH_CONTROL_WORDS; i++)
		sum += room->word[i];
	return sum;
}

/* As many words as the frame has room for behind `at`: it has been cut to the answer's length. */
SH_INLINE void sh_control_copy(const struct sh_frame *frame, u8 *at, const struct sh_control_payload *room)
{
	u32 i;

	SH_ROLLED
	for (i = 0; i < SH_CONTROL_WORDS; i++) {
		if (4 * i >= room->length || at + 4 * i + 4 > frame->end)
			break;
		sh_store32(at + 4 * i, room->word[i]);
	}
}

SH_INLINE void sh_control_udp(struct sh_udp *udp, const struct sh_flow *flow, u32 length, u64 sum)
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
SH_INLINE int sh_control_write(const struct sh_frame *frame, const struct sh_parsed *p,
                               const struct sh_control_payload *room, u32 length, u64 sum)
{
	if (p->flow.family == SH_IPV4) {
		struct sh_control4 *answer = (struct sh_control4 *)(frame->data + SH_OFFSET(p->l3));

		if ((u8 *)(answer + 1) > frame->end)
			return -1;
		sh_reply_ipv4(&answer->ip, &p->flow, sizeof(answer->ip) + length, SH_UDP);
		sh_control_udp(&answer->udp, &p->flow, length, sum);
		sh_control_copy(frame, (u8 *)(answer + 1), room);
	} else {
		struct sh_control6 *answer = (struct sh_control6 *)(frame->data + SH_OFFSET(p->l3));

		if ((u8 *)(answer + 1) > frame->end)
			return -1;
		sh_reply_ipv6(&answer->ip, &p->flow, sizeof(answer->ip) + length, SH_UDP);
		sh_control_udp(&answer->udp, &p->flow, length, sum);
		sh_control_copy(frame, (u8 *)(answer + 1), room);
	}
	return 0;
}

SH_INLINE u32 sh_control_bytes(const struct sh_parsed *p, const struct sh_control_payload *room)
{
	return sh_ip_bytes(p->flow.family) + (u32)sizeof(struct sh_udp) + room->length;
}

/* 0, or -1: it would be longer than what it answers. */
SH_INLINE int sh_control_reply(struct sh_frame *frame, const struct sh_parsed *p, const struct sh_control_payload *room)
{
	u32 length = sh_control_bytes(p, room);

	if (length > p->ip_length || sh_reply_reverse_link(frame, p, length, 0))
		return -1;
	return sh_control_write(frame, p, room, (u32)sizeof(struct sh_udp) + room->length, sh_control_sum(room));
}

/* The IP header of a packet that travels back without its surplus area. 0, or -1. */
SH_INLINE int sh_control_shorten(const struct sh_frame *frame, const struct sh_parsed *p, u32 keep, u64 *sum)
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
SH_INLINE int sh_control_return(struct sh_frame *frame, const struct sh_parsed *p,
                                const struct sh_control_payload *room, u16 kept)
{
	const struct sh_udp *udp = (const struct sh_udp *)(frame->data + SH_OFFSET(p->l4));
	u32 before = sh_control_bytes(p, room);
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

		if (sh_control_shorten(frame, p, keep, &header))
			return -1;
		sum += header + sh_control_sum(room);
	}
	if (sh_reply_reverse_link(frame, p, keep, before))
		return -1;
	return sh_control_write(frame, p, room, (u32)sizeof(struct sh_udp) + room->length + keep, sum);
}

#endif
