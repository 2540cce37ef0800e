/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * agent.bpf.c - the host agent's programs at egress and ingress (tc), for unmodified applications.
 *
 * Owns: which packets of this host go to a target instead of the service's gateway, and the flow of a target's answers.
 * Must never: touch a packet that is for no configured service and belongs to no redirected flow; or move a TCP connection,
 * or a UDP flow with a handshake, that has begun. Without a running agent no new flow is bound, and bound flows go on to their end.
 */
#include "agent/incoming.h"
#include "agent/outgoing.h"

SEC("tc")
int shunt_out(struct __sk_buff *skb)
{
	struct ag_packet p;

	if (ag_parse(skb, &p) || (p.flow.protocol != SH_UDP && p.flow.protocol != SH_TCP))
		return TC_ACT_UNSPEC;
	struct ag_service_key key = {
		.address = p.flow.destination, .port = p.flow.destination_port, .protocol = p.flow.protocol};
	struct ag_service *service = bpf_map_lookup_elem(&ag_services, &key);
	if (!service)
		return TC_ACT_UNSPEC;
	u32 index = service->index;
	struct ag_counts *counts = bpf_map_lookup_elem(&ag_counters, &index);
	if (!counts)
		return TC_ACT_UNSPEC;
	u64 now = bpf_ktime_get_boot_ns();
	int bound = service->bound && now < service->until_ns && sh_addr_equal(&service->source, &p.flow.source) &&
	            ag_alive(now);
	struct ag_flow fresh, *flow;
	u8 flags = 0;

	if (p.flow.protocol == SH_TCP) {
		if (bpf_skb_load_bytes(skb, p.l4 + 13, &flags, 1))
			return TC_ACT_UNSPEC;
		if ((flags & (AG_TCP_SYN | AG_TCP_ACK)) == AG_TCP_SYN) {
			ag_store_syn(skb, &p);
			flow = ag_open(skb, &p, service, bound, &fresh);
		} else {
			flow = bpf_map_lookup_elem(&ag_flows, &p.flow);
		}
	} else {
		flow = ag_udp_flow(skb, &p, service, bound, now, counts, &fresh);
		if (bound && !flow) {
			ag_path(service, 1, &fresh);
			flow = &fresh;
		}
	}
	if (flow && flow->port)
		return ag_redirect(skb, &p, flow, service, counts);
	ag_count(&counts->to_gateway);
	if (!bound && now > counts->told_ns + AG_TELL_NS) {
		counts->told_ns = now;
		struct ag_event *event = ag_event(AG_TRAFFIC, index, 0, 0, 0);

		if (event) {
			if (p.flow.protocol == SH_UDP && !flow)
				ag_name_source(event, &p.flow);
			bpf_ringbuf_submit(event, 0);
		}
	}
	if (sh_load64(service->nonce) && ag_alive(now)) {
		u8 nonce[8];

		__builtin_memcpy(nonce, service->nonce, 8);
		if (p.flow.protocol == SH_UDP)
			return ag_show_behind(skb, &p, nonce);
		if ((flags & (AG_TCP_SYN | AG_TCP_ACK)) == AG_TCP_SYN)
			return ag_add_capability(skb, &p, nonce);
	}
	return TC_ACT_UNSPEC;
}

SEC("tc")
int shunt_in(struct __sk_buff *skb)
{
	struct ag_packet p;
	struct sh_flow wire;

	if (ag_parse(skb, &p))
		return TC_ACT_UNSPEC;
	if (p.flow.protocol == (p.flow.family == SH_IPV4 ? SH_ICMP : SH_ICMPV6))
		return ag_in_error(skb, &p);
	if (p.flow.protocol != SH_UDP && p.flow.protocol != SH_TCP)
		return TC_ACT_UNSPEC;
	ag_reverse(&p.flow, &wire);
	struct ag_origin *origin = bpf_map_lookup_elem(&ag_origins, &wire);
	if (!origin) {
		u8 flags = 0;

		if (p.flow.protocol == SH_TCP && !bpf_skb_load_bytes(skb, p.l4 + 13, &flags, 1) && flags & AG_TCP_RST)
			return ag_reset_redirect(skb, &p, &wire);
		return p.flow.protocol == SH_UDP ? ag_redirect_notice(skb, &p, &wire) : TC_ACT_UNSPEC;
	}
	u32 index = origin->index;
	struct ag_counts *counts = bpf_map_lookup_elem(&ag_counters, &index);
	if (!counts)
		return TC_ACT_UNSPEC;
	if (p.flow.protocol == SH_TCP) {
		struct sh_flow known = wire;
		u8 flags = 0;

		known.destination = origin->service;
		known.destination_port = origin->port;
		struct ag_flow *flow = bpf_map_lookup_elem(&ag_flows, &known);
		if (flow && !flow->answered && !bpf_skb_load_bytes(skb, p.l4 + 13, &flags, 1)) {
			be32 acknowledged = 0;

			/* A RST from a host that has not seen the SYN does not acknowledge its sequence number. */
			if (flags & AG_TCP_RST && (bpf_skb_load_bytes(skb, p.l4 + 8, &acknowledged, 4) ||
			                           sh_ntohl(acknowledged) != sh_ntohl(flow->sequence) + 1))
				return TC_ACT_SHOT;
			if (flags & AG_TCP_RST) {
				/* Not shown to the application: its SYN goes to the gateway, which knows better. */
				ag_count(&counts->refused);
				ag_submit(AG_REFUSED, index, &p.flow.source, p.flow.source_port,
				          bpf_map_lookup_elem(&ag_syns, &known));
				ag_forget(&known, flow);
				return TC_ACT_SHOT;
			}
			flow->answered = 1;
			if (flow->once)
				ag_submit(AG_ACCEPTED, index, &p.flow.source, p.flow.source_port, 0);
		}
	} else if (origin->once) {
		struct sh_flow known = wire;

		known.destination = origin->service;
		known.destination_port = origin->port;
		struct ag_flow *flow = bpf_map_lookup_elem(&ag_flows, &known);
		if (flow)
			flow->heard_ns = bpf_ktime_get_boot_ns();
	}
	ag_count(&counts->from_target);
	struct ag_bound *bound = bpf_map_lookup_elem(&ag_bindings, &index);
	if (bound && bound->port == p.flow.source_port && sh_addr_equal(&bound->target, &p.flow.source))
		ag_count(&counts->from_bound);
	return ag_rewrite(skb, &p, 1, &origin->service, origin->port) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
