/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * refuse.h - the answer to a packet that no target is to serve: its service has no active target for its source, or denies
 * the source.
 *
 *     TCP    a reset (RFC 9293 3.10.7.1, as of a closed port)
 *     UDP    ICMP or ICMPv6 port unreachable (RFC 1122 3.2.2.1, RFC 4443 3.1), which quotes the headers
 *
 * Owns: these answers, from the service's address to the packet's source, back over the link it came from.
 * Must never: be longer than the packet it answers, or answer a reset, an ICMP error or a fragment (RFC 1122 3.2.2; frames to
 * several stations have passed, station.h). Answers count against the rate limit of all answers.
 */
#ifndef SHUNT_DATAPATH_REFUSE_H
#define SHUNT_DATAPATH_REFUSE_H

#include "datapath/reply.h"
#include "datapath/signal/rate_limit.h"
#include "datapath/work.h"

/* The quote is there already: the packet's IP header, without options or extension headers, and its UDP header. */
struct sh_unreachable4 {
	struct sh_ipv4 ip;
	struct sh_icmp icmp;
	struct sh_ipv4 quoted;
	struct sh_udp quoted_udp;
} SH_LAYERED;

struct sh_unreachable6 {
	struct sh_ipv6 ip;
	struct sh_icmp icmp;
	struct sh_ipv6 quoted;
	struct sh_udp quoted_udp;
} SH_LAYERED;

struct sh_refusal4 {
	struct sh_ipv4 ip;
	struct sh_tcp tcp;
} SH_LAYERED;

struct sh_refusal6 {
	struct sh_ipv6 ip;
	struct sh_tcp tcp;
} SH_LAYERED;

/* `sum` is that of the pseudo-header, which ICMP has none of. */
SH_INLINE void sh_refuse_icmp(struct sh_icmp *icmp, u8 type, u8 code, u32 length, u64 sum)
{
	icmp->type = type;
	icmp->code = code;
	icmp->checksum = 0;
	icmp->rest = 0;
	icmp->mtu = 0;
	icmp->checksum = sh_checksum(sum + sh_sum(icmp, length / 4));
}

SH_INLINE int sh_refuse_udp(struct sh_frame *frame, const struct sh_parsed *p)
{
	if (p->flow.family == SH_IPV4) {
		const u32 length = sizeof(struct sh_unreachable4), quote = length / 2;
		struct sh_unreachable4 *answer;

		if (p->l4 - p->l3 != sizeof(answer->quoted) || p->ip_length < length ||
		    sh_reply_reverse_link(frame, p, quote, length - quote))
			return -1;
		answer = (struct sh_unreachable4 *)(frame->data + SH_OFFSET(p->l3));
		if ((u8 *)(answer + 1) > frame->end)
			return -1;
		sh_reply_ipv4(&answer->ip, &p->flow, length, SH_ICMP);
		sh_refuse_icmp(&answer->icmp, SH_ICMP_UNREACHABLE, SH_ICMP_PORT_UNREACHABLE,
		               length - sizeof(answer->ip), 0);
	} else {
		const u32 length = sizeof(struct sh_unreachable6), quote = length / 2;
		struct sh_unreachable6 *answer;

		if (p->l4 - p->l3 != sizeof(answer->quoted) || p->ip_length < length ||
		    sh_reply_reverse_link(frame, p, quote, length - quote))
			return -1;
		answer = (struct sh_unreachable6 *)(frame->data + SH_OFFSET(p->l3));
		if ((u8 *)(answer + 1) > frame->end)
			return -1;
		sh_reply_ipv6(&answer->ip, &p->flow, length, SH_ICMPV6);
		sh_refuse_icmp(&answer->icmp, SH_ICMPV6_UNREACHABLE, SH_ICMPV6_PORT_UNREACHABLE,
		               length - sizeof(answer->ip),
		               sh_pseudo_sum(&p->flow, length - sizeof(answer->ip), SH_ICMPV6));
	}
	return 0;
}

/* What a reset takes over from the segment that it answers. */
struct sh_refused_segment {
	be32 sequence;
	be32 acknowledgement;
	u8 flags;
};

SH_INLINE void sh_refuse_tcp_header(struct sh_tcp *tcp, const struct sh_flow *flow,
                                    const struct sh_refused_segment *segment)
{
	tcp->source = flow->destination_port;
	tcp->destination = flow->source_port;
	tcp->sequence = segment->sequence;
	tcp->acknowledgement = segment->acknowledgement;
	tcp->offset = (u8)(sizeof(*tcp) / 4 << 4);
	tcp->flags = segment->flags;
	tcp->window = 0;
	tcp->checksum = 0;
	tcp->urgent = 0;
	tcp->checksum = sh_checksum(sh_pseudo_sum(flow, sizeof(*tcp), SH_TCP) + sh_sum(tcp, sizeof(*tcp) / 4));
}

/* RFC 9293 3.10.7.1: to a segment with ACK, a reset at the number that it acknowledges; to any other, one that acknowledges
 * the whole segment. 0; or -1: it is a reset itself. */
SH_INLINE int sh_refuse_segment(const struct sh_frame *frame, const struct sh_parsed *p,
                                struct sh_refused_segment *segment)
{
	const struct sh_tcp *tcp = (const struct sh_tcp *)(frame->data + SH_OFFSET(p->l4));
	u32 bytes;

	if ((const u8 *)(tcp + 1) > frame->end || tcp->flags & SH_TCP_RST)
		return -1;
	if (tcp->flags & SH_TCP_ACK) {
		*segment = (struct sh_refused_segment){tcp->acknowledgement, 0, SH_TCP_RST};
		return 0;
	}
	bytes = (u32)p->l3 + p->ip_length - p->l4 - (u32)(tcp->offset >> 4) * 4;
	bytes += (tcp->flags & SH_TCP_SYN ? 1 : 0) + (tcp->flags & SH_TCP_FIN ? 1 : 0);
	*segment = (struct sh_refused_segment){0, sh_htonl(sh_ntohl(tcp->sequence) + bytes), SH_TCP_RST | SH_TCP_ACK};
	return 0;
}

SH_INLINE int sh_refuse_tcp(struct sh_frame *frame, const struct sh_parsed *p)
{
	struct sh_refused_segment segment;

	if (sh_refuse_segment(frame, p, &segment))
		return -1;
	if (p->flow.family == SH_IPV4) {
		struct sh_refusal4 *answer;

		if (sh_reply_reverse_link(frame, p, sizeof(*answer), 0))
			return -1;
		answer = (struct sh_refusal4 *)(frame->data + SH_OFFSET(p->l3));
		if ((u8 *)(answer + 1) > frame->end)
			return -1;
		sh_reply_ipv4(&answer->ip, &p->flow, sizeof(*answer), SH_TCP);
		sh_refuse_tcp_header(&answer->tcp, &p->flow, &segment);
	} else {
		struct sh_refusal6 *answer;

		if (sh_reply_reverse_link(frame, p, sizeof(*answer), 0))
			return -1;
		answer = (struct sh_refusal6 *)(frame->data + SH_OFFSET(p->l3));
		if ((u8 *)(answer + 1) > frame->end)
			return -1;
		sh_reply_ipv6(&answer->ip, &p->flow, sizeof(*answer), SH_TCP);
		sh_refuse_tcp_header(&answer->tcp, &p->flow, &segment);
	}
	return 0;
}

/* Turns the frame into the answer. Every pointer into the packet is void afterwards. 0: it is not to be answered, or not now. */
SH_STAGE_ALONE u32 sh_refuse(sh_packet *packet, struct sh_work *work, const struct sh_env *env_copy)
{
	const struct sh_parsed *p;
	struct sh_frame room, *frame;
	struct sh_env env;

	if (!packet || !work || !env_copy || sh_env_restore(env_copy, &env))
		return 0;
	p = &work->passage.parsed;
	frame = sh_frame_of(packet, &room);
	if (p->icmp_error || p->fragmentation != SH_WHOLE ||
	    !sh_rate_limit_allow(&env, sh_control(&env), &p->flow.source))
		return 0;
	return p->protocol == SH_TCP ? !sh_refuse_tcp(frame, p) : !sh_refuse_udp(frame, p);
}

#endif
