/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * entry.h - one packet through the packet program, as XDP has it; and one that this host sends, as tc has it.
 *
 * Owns: the translation of a result into an XDP action, and the counting of packets in this engine.
 * Must never: look into a packet. That is native/datapath's.
 */
#ifndef SHUNT_KERNEL_BPF_ENTRY_H
#define SHUNT_KERNEL_BPF_ENTRY_H

#include "kernel/bpf/engine_platform.h"

#include <linux/pkt_cls.h>

#include "datapath/egress.h"
#include "datapath/program.h"

SH_INLINE void sh_count(u32 index, u32 bytes)
{
	struct sh_counter *counter = bpf_map_lookup_elem(&sh_counters, &index);

	if (counter) {
		counter->packets++;
		counter->bytes += bytes;
	}
}

SH_INLINE int sh_action(const struct xdp_md *ctx, const struct sh_result *result)
{
	if (result->reason == SH_R_fragmented)
		return XDP_DROP; /* the daemon has it */
	switch (sh_verdict_of(result->reason)) {
	case SH_FORWARD:
		return result->ifindex == ctx->ingress_ifindex ? XDP_TX : (int)bpf_redirect(result->ifindex, 0);
	case SH_RETURN:
	case SH_INDICATE:
	case SH_CONTROL:
		return XDP_TX;
	case SH_PASS:
		return XDP_PASS;
	default:
		return XDP_DROP;
	}
}

/* Returns the action. */
SH_INLINE int sh_entry(struct xdp_md *ctx)
{
	struct sh_frame frame = {.ctx = ctx};
	struct sh_result result;
	struct sh_work *work;
	struct sh_env env;
	u32 counters, bytes = 0;

	sh_env_start(&env);
	sh_frame_reload(&frame);
	result = sh_run(&env, &frame);

	work = sh_scratch(&env);
	if (work)
		bytes = work->passage.length;
	counters = env.processor * sh_state.counters;
	sh_count(counters + SH_COUNT_IN, bytes);
	sh_count(counters + SH_COUNT_REASON + result.reason, bytes);
	if (result.target && sh_counts_for_target(result.reason) &&
	    sh_count_of_target(result.target) < sh_state.counters)
		sh_count(counters + sh_count_of_target(result.target), sh_length(&frame));
	return sh_action(ctx, &result);
}

/* The client is told in this reply: the option goes behind the datagram (RFC 9868). 0, or -1: there is no room for it here.
 *
 * A datagram whose checksum the network card will make (CHECKSUM_PARTIAL) is summed to the frame's end, the surplus area included;
 * that sums to the negative of its length (the OCS sees to it), so the length is added to what the card starts from. The kernel does
 * not say which kind a packet is, but it knows: the first of two replacements touches both kinds, the second takes it back from the
 * other one. */
SH_INLINE int sh_entry_add_redirect(struct __sk_buff *skb, struct sh_work *work)
{
	const struct sh_parsed *p = &work->passage.parsed;
	u32 l3 = p->l3, l4 = p->l4, length = skb->len, mtu = 0;
	u32 ip_bytes = length - l3, odd, bytes, whole;
	struct sh_udp udp;
	be16 field, grown;

	if (skb->gso_size || ip_bytes > 0x7fff || bpf_skb_load_bytes(skb, l4, &udp, sizeof(udp)) ||
	    l4 + sh_ntohs(udp.length) != length)
		return -1;
	odd = length - l4 & 1;
	bytes = sh_udp_option_compose(&work->env_copy, work, odd);
	whole = odd + bytes;
	if (!bytes || bpf_check_mtu(skb, 0, &mtu, (int)whole, 0) || bpf_skb_change_tail(skb, length + whole, 0))
		return -1;
	if (bytes == SH_UDP_OPTION_HEAD + SH_HEADER_V4) {
		if (bpf_skb_store_bytes(skb, length + odd, (u8 *)work->reply.word + 2,
		                        SH_UDP_OPTION_HEAD + SH_HEADER_V4, 0))
			return -1;
	} else if (bpf_skb_store_bytes(skb, length + odd, (u8 *)work->reply.word + 2, SH_UDP_OPTION_HEAD + SH_HEADER_V6,
	                               0)) {
		return -1;
	}
	if (p->flow.family == SH_IPV4) {
		field = sh_htons(ip_bytes);
		grown = sh_htons(ip_bytes + whole);
		bpf_l3_csum_replace(skb, l3 + __builtin_offsetof(struct sh_ipv4, checksum), field, grown, 2);
		bpf_skb_store_bytes(skb, l3 + __builtin_offsetof(struct sh_ipv4, length), &grown, 2, 0);
	} else {
		grown = sh_htons(ip_bytes + whole - sizeof(struct sh_ipv6));
		bpf_skb_store_bytes(skb, l3 + __builtin_offsetof(struct sh_ipv6, length), &grown, 2, 0);
	}
	l4 += __builtin_offsetof(struct sh_udp, checksum);
	bpf_l4_csum_replace(skb, l4, 0, sh_htons(whole), BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | 2);
	bpf_l4_csum_replace(skb, l4, sh_htons(whole), 0, BPF_F_MARK_MANGLED_0 | 2);
	return 0;
}

/* Headers lie in the first buffer of what a stack sends; of a packet where they don't (a forwarded one, say) nothing is
 * known. */
SH_INLINE void sh_entry_count_redirect(u32 processor, int failed)
{
	u32 index = processor * sh_state.counters + SH_COUNT_TOLD;
	struct sh_counter *counter = bpf_map_lookup_elem(&sh_counters, &index);

	if (!counter)
		return;
	if (failed)
		counter->bytes++;
	else
		counter->packets++;
}

SH_INLINE void sh_entry_egress(struct __sk_buff *skb)
{
	struct sh_frame frame = {.data = (u8 *)(long)skb->data, .end = (u8 *)(long)skb->data_end};
	struct sh_counter *counter;
	struct sh_work *work;
	struct sh_env env;
	u32 outcome, index;

	sh_env_start(&env);
	work = sh_scratch(&env);
	if (!work)
		return;
	outcome = sh_egress(&env, &frame, work);
	if (outcome & SH_EGRESS_REDIRECT) {
		work->env_copy = env;
		sh_entry_count_redirect(env.processor, sh_entry_add_redirect(skb, work));
		outcome &= ~SH_EGRESS_REDIRECT;
	}
	if (outcome == SH_EGRESS_NONE)
		return;
	index = env.processor * sh_state.counters + SH_COUNT_SENT;
	counter = bpf_map_lookup_elem(&sh_counters, &index);
	if (counter) {
		counter->packets++;
		counter->bytes += outcome == SH_EGRESS_INSERTED;
	}
}

#endif
