/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * entry.h - one packet through the packet program, as XDP has it; and one that this host sends, as tc has it.
 *
 * Owns: the translation of a result into an XDP action, and the counting of packets in this engine.
 * Must never: look into a packet. That is native/packet's.
 */
#ifndef SHUNT_BPF_ENTRY_H
#define SHUNT_BPF_ENTRY_H

#include "platform.h"

#include <linux/pkt_cls.h>

#include "../packet/program.h"
#include "../packet/sent.h"

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
	if (work) {
		work->passage.result = result;
		bytes = work->passage.length;
	}
	counters = env.processor * sh_state.counters;
	sh_count(counters + SH_COUNT_IN, bytes);
	sh_count(counters + SH_COUNT_REASON + result.reason, bytes);
	if (result.target && sh_counts_for_target(result.reason) && sh_count_of_target(result.target) < sh_state.counters)
		sh_count(counters + sh_count_of_target(result.target), sh_length(&frame));
	return sh_action(ctx, &result);
}

/* Headers lie in the first buffer of what a stack sends; of a packet where they don't (a forwarded one, say) nothing is
 * known. */
SH_INLINE void sh_entry_sent(struct __sk_buff *skb)
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
	outcome = sh_sent(&env, &frame, &work->passage.parsed, &work->key);
	if (outcome == SH_SENT_NOTHING)
		return;
	index = env.processor * sh_state.counters + SH_COUNT_SENT;
	counter = bpf_map_lookup_elem(&sh_counters, &index);
	if (counter) {
		counter->packets++;
		counter->bytes += outcome == SH_SENT_MADE;
	}
}

#endif
