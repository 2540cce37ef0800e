/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * outgoing.h - a packet that an application of this host sends to a service.
 *
 * Owns: the new destination of a redirected flow, the capability on a SYN, and the copy of a SYN.
 * Must never: change a packet whose checksums it cannot correct.
 */
#ifndef SHUNT_AGENT_OUTGOING_H
#define SHUNT_AGENT_OUTGOING_H

#include "agent/option.h"
#include "agent/tables.h"

/* Sends a packet that has got another destination; where that lies, the neighbour table knows. */
SH_INLINE int ag_send(struct __sk_buff *skb, u32 ifindex)
{
	return bpf_redirect_neigh(ifindex ? ifindex : skb->ifindex, 0, 0, 0);
}

/* The flow on the wire once it is redirected. */
SH_INLINE void ag_on_wire(const struct sh_flow *flow, const struct sh_addr *target, be16 port, struct sh_flow *wire)
{
	*wire = *flow;
	wire->destination = *target;
	wire->destination_port = port;
}

/* `flow`: the path, that of the flow or the service's binding. `service`: what it is compared with. */
SH_INLINE int ag_redirect(struct __sk_buff *skb, const struct ag_packet *p, const struct ag_flow *flow,
                          const struct ag_service *service, struct ag_counts *counts)
{
	const struct sh_addr *target = &flow->target;
	be16 port = flow->port;
	u32 ifindex = flow->ifindex;
	struct ag_origin origin = {.service = p->flow.destination,
	                           .index = service->index,
	                           .port = p->flow.destination_port,
	                           .once = p->flow.protocol == SH_UDP && flow->once};
	struct sh_flow wire;

	ag_on_wire(&p->flow, target, port, &wire);
	struct ag_origin *known = bpf_map_lookup_elem(&ag_origins, &wire);
	if (!known || known->port != origin.port || known->once != origin.once ||
	    !sh_addr_equal(&known->service, &origin.service))
		bpf_map_update_elem(&ag_origins, &wire, &origin, BPF_ANY);
	if (ag_rewrite(skb, p, 0, target, port))
		return TC_ACT_SHOT;
	ag_count(&counts->to_target);
	if (service->bound && service->port == port && sh_addr_equal(&service->target, target))
		ag_count(&counts->to_bound);
	return ag_send(skb, ifindex);
}

/* Keeps a SYN, to be sent again where its first target does not take it. */
SH_INLINE void ag_store_syn(struct __sk_buff *skb, const struct ag_packet *p)
{
	struct ag_syn syn = {.ifindex = skb->ifindex, .length = skb->len};
	u32 last = ag_last_byte(skb->len);

	if (last >= AG_SYN_BYTES || bpf_skb_load_bytes(skb, 0, syn.frame, last + 1) ||
	    bpf_skb_load_bytes(skb, p->l4 + 4, &syn.sequence, 4))
		return;
	bpf_map_update_elem(&ag_syns, &p->flow, &syn, BPF_ANY);
}

/* The capability, as an option of the SYN (docs/protocol.md, section 4.4): where there is room, and where the answer's RST is
 * not longer than the SYN, so over IPv4 alone. What can't be done leaves the SYN as it was, or is dropped half done: TCP sends
 * it again. */
SH_INLINE int ag_add_capability(struct __sk_buff *skb, const struct ag_packet *p, const u8 *nonce)
{
	u8 option[16] = {1, 1, 254, 14, 0x53, 0x52, 0x11, 0};
	be16 total, halves[2], before[2] = {0}, after[2] = {0};
	u32 check = p->l4 + 16;

	__builtin_memcpy(option + 8, nonce, 8);
	if (p->flow.family != SH_IPV4 || skb->gso_size || bpf_skb_load_bytes(skb, p->l3 + 2, &total, 2) ||
	    bpf_skb_load_bytes(skb, p->l4 + 12, halves, 2))
		return TC_ACT_UNSPEC;
	u32 words = sh_ntohs(halves[0]) >> 12, bytes = sh_ntohs(total), header = p->l4 - p->l3;
	if (words < 5 || words > 11 || bytes != header + words * 4 || skb->len != p->l3 + bytes)
		return TC_ACT_UNSPEC; /* no room, or data */
	if (bpf_skb_change_tail(skb, skb->len + sizeof(option), 0))
		return TC_ACT_UNSPEC;
	before[0] = halves[0];
	after[0] = sh_htons(sh_ntohs(halves[0]) + (4 << 12));
	long long sum = bpf_csum_diff((void *)before, 4, (void *)after, 4, 0);
	sum = bpf_csum_diff(0, 0, (void *)option, sizeof(option), sum);
	be16 longer = sh_htons(bytes + sizeof(option));
	/* What the link sums up itself has only its length corrected. */
	if (bpf_skb_store_bytes(skb, p->l4 + words * 4, option, sizeof(option), 0) ||
	    bpf_skb_store_bytes(skb, p->l4 + 12, after, 2, 0) || bpf_l4_csum_replace(skb, check, 0, sum, 0) ||
	    bpf_l4_csum_replace(skb, check, sh_htons(bytes - header), sh_htons(bytes - header + sizeof(option)),
	                        BPF_F_PSEUDO_HDR | 2) ||
	    bpf_l3_csum_replace(skb, p->l3 + 10, total, longer, 2) ||
	    bpf_skb_store_bytes(skb, p->l3 + 2, &longer, 2, 0))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

/* Whether the datagram begins a connection: a QUIC client's first one (RFC 9000, sections 14.1 and 17.2), or a DTLS handshake
 * (RFC 6347, section 4.1; RFC 9147, section 4). Their servers bind a connection to the address that its first packet was sent
 * to, so a flow that moves in the middle of it gets no further. */
SH_INLINE int ag_is_handshake(struct __sk_buff *skb, const struct ag_packet *p)
{
	u32 data = p->l4 + 8;
	u8 start[5];

	if (bpf_skb_load_bytes(skb, data, start, sizeof(start)))
		return 0;
	if ((start[0] & 0xc0) == 0xc0)
		return skb->len >= data + 1200 && (start[1] | start[2] | start[3] | start[4]);
	return start[0] == 22 && start[1] == 0xfe && start[2] >= 0xfd && !(start[3] | start[4]);
}

/* The path that the service's binding gives a flow; `port` 0: the gateway's. */
SH_INLINE void ag_path(const struct ag_service *service, int bound, struct ag_flow *flow)
{
	__builtin_memset(flow, 0, sizeof(*flow));
	flow->index = service->index;
	if (!bound)
		return;
	flow->target = service->target;
	flow->ifindex = service->ifindex;
	flow->port = service->port;
	flow->once = service->once;
}

/* The flow of a datagram, if its path is decided: by its first packet, or by a redirect for it alone, and for as long as it is in
 * use. 0: each packet goes where the binding of the moment says. `first` holds a flow that begins now. */
SH_INLINE struct ag_flow *ag_udp_flow(struct __sk_buff *skb, const struct ag_packet *p,
                                      const struct ag_service *service, int bound, u64 now, struct ag_counts *counts,
                                      struct ag_flow *first)
{
	struct ag_flow *flow = counts->handshakes || service->once ? bpf_map_lookup_elem(&ag_flows, &p->flow) : 0;

	if (flow && now < flow->last_ns + AG_FLOW_IDLE_NS && (!flow->once || ag_alive(now))) {
		flow->last_ns = now;
		return flow;
	}
	if (!ag_is_handshake(skb, p))
		return 0;
	ag_path(service, bound, first);
	first->last_ns = now;
	if (bpf_map_update_elem(&ag_flows, &p->flow, first, BPF_ANY))
		return 0;
	ag_count(&counts->handshakes);
	return first;
}

/* Forgets a TCP connection and whose its answers are, so that its next SYN opens it anew. */
SH_INLINE void ag_forget(const struct sh_flow *flow, const struct ag_flow *path)
{
	struct sh_flow wire;

	ag_on_wire(flow, &path->target, path->port, &wire);
	bpf_map_delete_elem(&ag_origins, &wire);
	bpf_map_delete_elem(&ag_flows, flow);
}

/* A SYN: a new TCP connection, bound for its whole life (`opened`), or not at all (0). A SYN that is sent again has had no answer for
 * a second: its target has failed, and the gateway gets it. */
SH_INLINE struct ag_flow *ag_open(struct __sk_buff *skb, const struct ag_packet *p, struct ag_service *service,
                                  int bound, struct ag_flow *opened)
{
	struct ag_flow *known = bpf_map_lookup_elem(&ag_flows, &p->flow);
	be32 sequence = 0;

	if (bpf_skb_load_bytes(skb, p->l4 + 4, &sequence, 4))
		return 0;
	if (known && known->sequence == sequence && !known->answered) {
		ag_submit(AG_REFUSED, service->index, &known->target, known->port, 0);
		bound = 0;
	}
	if (bound && service->once && __sync_val_compare_and_swap(&service->taken, 0, 1))
		bound = 0;
	if (!bound) {
		if (known)
			ag_forget(&p->flow, known); /* or an earlier connection from the same port */
		return 0;
	}
	ag_path(service, 1, opened);
	opened->sequence = sequence;
	return bpf_map_update_elem(&ag_flows, &p->flow, opened, BPF_ANY) ? 0 : opened;
}

#endif
