/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * incoming.h - a packet that this host receives from a target or a service.
 *
 * Owns: the reversal of the redirection, and the redirects that packets carry: in a RST, behind a datagram, in ICMP errors.
 * Must never: deliver a redirect to the application.
 */
#ifndef SHUNT_AGENT_INCOMING_H
#define SHUNT_AGENT_INCOMING_H

#include "agent/option.h"
#include "agent/outgoing.h"
#include "agent/tables.h"

/* An answer's flow, turned round: as this host has sent to it. */
SH_INLINE void ag_reverse(const struct sh_flow *flow, struct sh_flow *turned)
{
	*turned = *flow;
	turned->source = flow->destination;
	turned->destination = flow->source;
	turned->source_port = flow->destination_port;
	turned->destination_port = flow->source_port;
}

/* ICMP's types that say that nothing there takes what was sent. Too big, too late and too slow are not among them. */
SH_INLINE int ag_is_unreachable(u32 family, u8 type, u8 code)
{
	return family == SH_IPV4 ? type == 3 && code != 4 : type == 1;
}

/* Has the error quote the packet that the application sent, which is addressed to the service. */
SH_INLINE int ag_requote(struct __sk_buff *skb, u32 icmp, const struct ag_packet *q, const struct ag_origin *origin)
{
	u32 address = q->l3 + (q->flow.family == SH_IPV4 ? 16 : 24);
	u32 check = q->l4 + (q->flow.protocol == SH_UDP ? 6 : 16);
	long long total = 0, inner;
	be16 halves[2];

	inner = bpf_csum_diff((void *)q->flow.destination.w, 16, (void *)origin->service.w, 16, 0);
	be32 ports[2] = {q->flow.destination_port, origin->port};
	inner = bpf_csum_diff(&ports[0], 4, &ports[1], 4, inner);
	/* The quoted transport checksum, as far as it is quoted. A zero in UDP is no checksum. */
	be16 sum;
	if (!bpf_skb_load_bytes(skb, check, &sum, 2) && (sum || q->flow.protocol == SH_TCP)) {
		be32 both[2] = {sum, 0};

		if (bpf_l4_csum_replace(skb, check, 0, inner, q->flow.protocol == SH_UDP ? BPF_F_MARK_MANGLED_0 : 0))
			return -1;
		if (bpf_skb_load_bytes(skb, check, &sum, 2))
			return -1;
		both[1] = sum;
		total = bpf_csum_diff(&both[0], 4, &both[1], 4, total);
	}
	if (q->flow.family == SH_IPV4) {
		be32 to = origin->service.w[3], from = q->flow.destination.w[3];
		be32 both[2];

		if (bpf_skb_load_bytes(skb, q->l3 + 10, halves, 2))
			return -1;
		both[0] = halves[0];
		if (bpf_l3_csum_replace(skb, q->l3 + 10, from, to, 4) ||
		    bpf_skb_load_bytes(skb, q->l3 + 10, halves, 2) || bpf_skb_store_bytes(skb, address, &to, 4, 0))
			return -1;
		both[1] = halves[0];
		total = bpf_csum_diff(&both[0], 4, &both[1], 4, total);
		total = bpf_csum_diff(&from, 4, &to, 4, total);
	} else {
		struct sh_addr from = q->flow.destination, to = origin->service;

		if (bpf_skb_store_bytes(skb, address, &to, 16, 0))
			return -1;
		total = bpf_csum_diff(from.w, 16, to.w, 16, total);
	}
	be16 port = origin->port;
	if (bpf_skb_store_bytes(skb, q->l4 + 2, &port, 2, 0))
		return -1;
	total = bpf_csum_diff(&ports[0], 4, &ports[1], 4, total);
	return bpf_l4_csum_replace(skb, icmp + 2, 0, total, 0) ? -1 : 0;
}

SH_INLINE int ag_in_error(struct __sk_buff *skb, const struct ag_packet *p)
{
	struct ag_packet q;
	u8 kind[2];

	if (bpf_skb_load_bytes(skb, p->l4, kind, sizeof(kind)))
		return TC_ACT_UNSPEC;
	int error = p->flow.family == SH_IPV4 ? kind[0] == 3 || kind[0] == 11 || kind[0] == 12
	                                      : kind[0] >= 1 && kind[0] <= 4;
	if (!error || ag_read(skb, p->l4 + 8, p->flow.family, &q))
		return TC_ACT_UNSPEC;
	/* It comes to who has sent what it quotes. */
	if (!sh_addr_equal(&q.flow.source, &p->flow.destination))
		return TC_ACT_UNSPEC;
	struct ag_origin *found = bpf_map_lookup_elem(&ag_origins, &q.flow);
	if (!found)
		return TC_ACT_UNSPEC;
	struct ag_origin origin = *found;
	u32 index = origin.index;
	struct ag_counts *counts = bpf_map_lookup_elem(&ag_counters, &index);
	if (counts)
		ag_count(&counts->errors);
	if (ag_is_unreachable(p->flow.family, kind[0], kind[1])) {
		struct sh_flow known = q.flow;

		known.destination = origin.service;
		known.destination_port = origin.port;
		struct ag_flow *flow = q.flow.protocol == SH_TCP ? bpf_map_lookup_elem(&ag_flows, &known) : 0;

		if (flow && !flow->answered) {
			ag_submit(AG_UNREACHABLE, index, &q.flow.destination, q.flow.destination_port,
			          bpf_map_lookup_elem(&ag_syns, &known));
			ag_forget(&known, flow);
			return TC_ACT_SHOT; /* it would end the connection, which another target may accept */
		}
		ag_submit(AG_UNREACHABLE, index, &q.flow.destination, q.flow.destination_port, 0);
	}
	return ag_requote(skb, p->l4, &q, &origin) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* A RST from a service's own address that says where the connection shall go (docs/protocol.md, section 4.5). */
SH_INLINE int ag_reset_redirect(struct __sk_buff *skb, const struct ag_packet *p, const struct sh_flow *flow)
{
	struct ag_service_key key = {.address = flow->destination, .port = flow->destination_port, .protocol = SH_TCP};
	struct ag_service *service = bpf_map_lookup_elem(&ag_services, &key);
	be32 words[4];
	be32 start[2];

	if (!service || !ag_alive(bpf_ktime_get_boot_ns()) || bpf_skb_load_bytes(skb, p->l4, words, sizeof(words)))
		return TC_ACT_UNSPEC;
	struct ag_syn *syn = bpf_map_lookup_elem(&ag_syns, flow);
	if (!syn || sh_ntohl(words[2]) != sh_ntohl(syn->sequence) + 1)
		return TC_ACT_UNSPEC;
	u32 data = p->l4 + (sh_ntohl(words[3]) >> 28) * 4;
	if (bpf_skb_load_bytes(skb, data, start, sizeof(start)) || start[0] != sh_htonl(0xff53484e))
		return TC_ACT_UNSPEC;
	u32 flags = sh_ntohl(start[1]) >> 16 & 3; /* V, A */
	u32 bytes = flags == 0 ? 32 : flags == 1 ? 40 : flags == 2 ? 44 : 64;
	struct ag_event *event = ag_event(AG_OFFERED, service->index, 0, 0, syn);
	if (!event)
		return TC_ACT_UNSPEC;
	event->header_bytes = bytes;
	if (bpf_skb_load_bytes(skb, data + 4, event->header, bytes)) {
		bpf_ringbuf_discard(event, 0);
		return TC_ACT_UNSPEC;
	}
	bpf_ringbuf_submit(event, 0);
	return TC_ACT_SHOT; /* the SYN goes out again once it is known where to */
}

/* A datagram from a service's own address that says, beside what it brings the application, where to go (protocol.md, 4.3); or a control
 * datagram, which brings it nothing. */
SH_INLINE int ag_redirect_notice(struct __sk_buff *skb, const struct ag_packet *p, const struct sh_flow *flow)
{
	struct ag_service_key key = {.address = p->flow.source, .port = p->flow.source_port, .protocol = SH_UDP};
	struct ag_service *service = bpf_map_lookup_elem(&ag_services, &key);
	u32 at = 0, bytes, last;
	int control;

	if (!service || !ag_alive(bpf_ktime_get_boot_ns()))
		return TC_ACT_UNSPEC;
	bytes = ag_said(skb, p, &at, &control);
	struct ag_event *event = bytes ? ag_event(AG_OFFERED, service->index, 0, 0, 0) : 0;
	if (!event)
		return TC_ACT_UNSPEC;
	if (!bpf_map_lookup_elem(&ag_flows, flow))
		ag_name_source(event, flow);
	event->header_bytes = bytes;
	last = ag_last_byte(bytes);
	if (last >= AG_HEADER_BYTES || bpf_skb_load_bytes(skb, at, event->header, last + 1)) {
		bpf_ringbuf_discard(event, 0);
		return TC_ACT_UNSPEC;
	}
	bpf_ringbuf_submit(event, 0);
	return control ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

#endif
