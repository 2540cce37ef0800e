/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * agent.bpf.c - the host agent's way out and way in, for applications that know nothing of redirections.
 *
 * Owns: which packets of this host go to a target instead of the service's gateway, and whose answers the target's packets are.
 * Must never: touch a packet that is for no configured service and belongs to no redirected flow; or move a TCP connection
 * that has begun. Without a living agent nothing new is bound, and what has begun is carried to its end.
 */
#include "agent/option.h"
#include "agent/packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC); /* so that an entry that is being read is not written again meanwhile */
	__uint(max_entries, AG_SERVICES);
	__type(key, struct ag_service_key);
	__type(value, struct ag_service);
} ag_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, AG_FLOWS);
	__type(key, struct sh_flow);
	__type(value, struct ag_flow);
} ag_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, AG_FLOWS);
	__type(key, struct sh_flow);
	__type(value, struct ag_origin);
} ag_origins SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, AG_SYNS);
	__type(key, struct sh_flow);
	__type(value, struct ag_syn);
} ag_syns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AG_SERVICES);
	__type(key, u32);
	__type(value, struct ag_counts);
} ag_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ag_state);
} ag_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, AG_RING_BYTES);
} ag_ring SEC(".maps");

/* The index of the last of `bytes` bytes, to be compared with a buffer's size: the verifier of Linux 6.1 then knows that
 * last + 1 is neither 0 nor too large. The barrier keeps clang from undoing this. */
SH_INLINE u32 ag_last_byte(u32 bytes)
{
	u32 last = bytes - 1;

	asm volatile("" : "+r"(last));
	return last;
}

SH_INLINE void ag_count(u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

/* Reserves an event, to be filled and submitted. `syn` is the SYN that is to be sent again; 0: none. */
SH_INLINE struct ag_event *ag_event(u32 kind, u32 index, const struct sh_addr *target, be16 port,
                                    const struct ag_syn *syn)
{
	struct ag_event *event = bpf_ringbuf_reserve(&ag_ring, sizeof(*event), 0);

	if (!event)
		return 0;
	__builtin_memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->index = index;
	event->port = port;
	if (target)
		event->target = *target;
	if (syn)
		event->syn = *syn;
	return event;
}

SH_INLINE void ag_submit(u32 kind, u32 index, const struct sh_addr *target, be16 port, const struct ag_syn *syn)
{
	struct ag_event *event = ag_event(kind, index, target, port, syn);

	if (event)
		bpf_ringbuf_submit(event, 0);
}

SH_INLINE int ag_alive(u64 now)
{
	u32 zero = 0;
	struct ag_state *state = bpf_map_lookup_elem(&ag_states, &zero);

	return state && now < state->heartbeat_ns + AG_PATIENCE_NS;
}

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

SH_INLINE int ag_redirect(struct __sk_buff *skb, const struct ag_packet *p, const struct sh_addr *target, be16 port,
                          u32 ifindex, u32 index, struct ag_counts *counts)
{
	struct ag_origin origin = {.service = p->flow.destination, .index = index, .port = p->flow.destination_port};
	struct sh_flow wire;

	ag_on_wire(&p->flow, target, port, &wire);
	struct ag_origin *known = bpf_map_lookup_elem(&ag_origins, &wire);
	if (!known || known->port != origin.port || !sh_addr_equal(&known->service, &origin.service))
		bpf_map_update_elem(&ag_origins, &wire, &origin, BPF_ANY);
	if (ag_rewrite(skb, p, 0, target, port))
		return TC_ACT_SHOT;
	ag_count(&counts->to_target);
	return ag_send(skb, ifindex);
}

/* Keeps a SYN, to be sent again where its first target does not take it. */
SH_INLINE void ag_keep(struct __sk_buff *skb, const struct ag_packet *p)
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
SH_INLINE int ag_show(struct __sk_buff *skb, const struct ag_packet *p, const u8 *nonce)
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

/* A new TCP connection: bound for its whole life, or not at all. */
SH_INLINE void ag_open(struct __sk_buff *skb, const struct ag_packet *p, const struct ag_service *service, int bound)
{
	if (!bound) {
		bpf_map_delete_elem(&ag_flows, &p->flow); /* an earlier connection from the same port */
		return;
	}
	struct ag_flow flow = {
		.target = service->target, .ifindex = service->ifindex, .index = service->index, .port = service->port};
	bpf_skb_load_bytes(skb, p->l4 + 4, &flow.sequence, 4);
	bpf_map_update_elem(&ag_flows, &p->flow, &flow, BPF_ANY);
}

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
	u8 flags = 0;

	if (p.flow.protocol == SH_TCP) {
		if (bpf_skb_load_bytes(skb, p.l4 + 13, &flags, 1))
			return TC_ACT_UNSPEC;
		if ((flags & (AG_TCP_SYN | AG_TCP_ACK)) == AG_TCP_SYN) {
			ag_keep(skb, &p);
			ag_open(skb, &p, service, bound);
		}
		struct ag_flow *flow = bpf_map_lookup_elem(&ag_flows, &p.flow);
		if (flow)
			return ag_redirect(skb, &p, &flow->target, flow->port, flow->ifindex, index, counts);
	} else if (bound) {
		return ag_redirect(skb, &p, &service->target, service->port, service->ifindex, index, counts);
	}
	ag_count(&counts->to_gateway);
	if (!bound && now > counts->told_ns + AG_TELL_NS) {
		counts->told_ns = now;
		ag_submit(AG_TRAFFIC, index, 0, 0, 0);
	}
	if (sh_load64(service->nonce) && ag_alive(now)) {
		u8 nonce[8];

		__builtin_memcpy(nonce, service->nonce, 8);
		if (p.flow.protocol == SH_UDP)
			return ag_show_behind(skb, &p, nonce);
		if ((flags & (AG_TCP_SYN | AG_TCP_ACK)) == AG_TCP_SYN)
			return ag_show(skb, &p, nonce);
	}
	return TC_ACT_UNSPEC;
}

/* An answer's flow, turned round: as this host has sent to it. */
SH_INLINE void ag_turned(const struct sh_flow *flow, struct sh_flow *turned)
{
	*turned = *flow;
	turned->source = flow->destination;
	turned->destination = flow->source;
	turned->source_port = flow->destination_port;
	turned->destination_port = flow->source_port;
}

/* ICMP's types that say that nothing there takes what was sent. Too big, too late and too slow are not among them. */
SH_INLINE int ag_says_unreachable(u32 family, u8 type, u8 code)
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
	if (ag_says_unreachable(p->flow.family, kind[0], kind[1])) {
		struct sh_flow known = q.flow;

		known.destination = origin.service;
		known.destination_port = origin.port;
		struct ag_flow *flow = q.flow.protocol == SH_TCP ? bpf_map_lookup_elem(&ag_flows, &known) : 0;

		if (flow && !flow->answered) {
			ag_submit(AG_UNREACHABLE, index, &q.flow.destination, q.flow.destination_port,
			          bpf_map_lookup_elem(&ag_syns, &known));
			return TC_ACT_SHOT; /* it would end the connection, which another target may accept */
		}
		ag_submit(AG_UNREACHABLE, index, &q.flow.destination, q.flow.destination_port, 0);
	}
	return ag_requote(skb, p->l4, &q, &origin) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* A RST from a service's own address that says where the connection shall go (docs/protocol.md, section 4.5). */
SH_INLINE int ag_offered(struct __sk_buff *skb, const struct ag_packet *p, const struct sh_flow *flow)
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
SH_INLINE int ag_told(struct __sk_buff *skb, const struct ag_packet *p)
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
	event->header_bytes = bytes;
	last = ag_last_byte(bytes);
	if (last >= AG_HEADER_BYTES || bpf_skb_load_bytes(skb, at, event->header, last + 1)) {
		bpf_ringbuf_discard(event, 0);
		return TC_ACT_UNSPEC;
	}
	bpf_ringbuf_submit(event, 0);
	return control ? TC_ACT_SHOT : TC_ACT_UNSPEC;
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
	ag_turned(&p.flow, &wire);
	struct ag_origin *origin = bpf_map_lookup_elem(&ag_origins, &wire);
	if (!origin) {
		u8 flags = 0;

		if (p.flow.protocol == SH_TCP && !bpf_skb_load_bytes(skb, p.l4 + 13, &flags, 1) && flags & AG_TCP_RST)
			return ag_offered(skb, &p, &wire);
		return p.flow.protocol == SH_UDP ? ag_told(skb, &p) : TC_ACT_UNSPEC;
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
				return TC_ACT_SHOT;
			}
			flow->answered = 1;
		}
	}
	ag_count(&counts->from_target);
	return ag_rewrite(skb, &p, 1, &origin->service, origin->port) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
