/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * tcp_reset.h - a redirect in a RST, the reply to a SYN that carries the capability (docs/protocol.md, 4.5).
 *
 * Owns: the bytes of the RST. Its payload is a control datagram's, without the service.
 * Must never: be longer than the SYN.
 */
#ifndef SHUNT_DATAPATH_CARRIER_TCP_RESET_H
#define SHUNT_DATAPATH_CARRIER_TCP_RESET_H

#include "datapath/carrier/control.h"

struct sh_reset4 {
	struct sh_ipv4 ip;
	struct sh_tcp tcp;
} SH_LAYERED;

struct sh_reset6 {
	struct sh_ipv6 ip;
	struct sh_tcp tcp;
} SH_LAYERED;

SH_INLINE void sh_tcp_reset_header(struct sh_tcp *tcp, const struct sh_flow *flow, u32 syn_sequence, u32 length,
                                   u64 sum)
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
SH_INLINE int sh_tcp_reset(struct sh_frame *frame, const struct sh_parsed *p, const struct sh_control_payload *room,
                           u32 syn_sequence)
{
	u32 below = (u32)sizeof(struct sh_tcp) + room->length;
	u32 length = sh_ip_bytes(p->flow.family) + below;
	u64 sum = sh_control_sum(room);

	if (length > p->ip_length || sh_reply_reverse_link(frame, p, length, 0))
		return -1;
	if (p->flow.family == SH_IPV4) {
		struct sh_reset4 *answer = (struct sh_reset4 *)(frame->data + SH_OFFSET(p->l3));

		if ((u8 *)(answer + 1) > frame->end)
			return -1;
		sh_reply_ipv4(&answer->ip, &p->flow, length, SH_TCP);
		sh_tcp_reset_header(&answer->tcp, &p->flow, syn_sequence, below, sum);
		sh_control_copy(frame, (u8 *)(answer + 1), room);
	} else {
		struct sh_reset6 *answer = (struct sh_reset6 *)(frame->data + SH_OFFSET(p->l3));

		if ((u8 *)(answer + 1) > frame->end)
			return -1;
		sh_reply_ipv6(&answer->ip, &p->flow, length, SH_TCP);
		sh_tcp_reset_header(&answer->tcp, &p->flow, syn_sequence, below, sum);
		sh_control_copy(frame, (u8 *)(answer + 1), room);
	}
	return 0;
}

#endif
