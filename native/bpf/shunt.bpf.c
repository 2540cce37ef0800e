/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * shunt.bpf.c - the XDP entry point: the packet program, run by the kernel.
 *
 * Owns: the translation of a result into an XDP action, and the counters of this engine.
 * Must never: look into a packet. That is native/packet's.
 */
#include "platform.h"

#include "../packet/program.h"

struct sh_counter {
	u64 packets;
	u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SH_REASON_COUNT);
	__type(key, u32);
	__type(value, struct sh_counter);
} sh_map_counters SEC(".maps");

SEC("xdp")
int shunt_xdp(struct xdp_md *ctx)
{
	struct sh_frame frame = {.ctx = ctx};
	struct sh_env env = {.now_ns = bpf_ktime_get_ns()};
	struct sh_result result;
	struct sh_counter *counter;
	u32 zero = 0, reason, bytes;
	u32 *side = bpf_map_lookup_elem(&sh_map_side, &zero);

	if (side && *side < 2) {
		env.side = *side;
		env.control = bpf_map_lookup_elem(&sh_map_control, &env.side);
	}
	sh_frame_reload(&frame);
	bytes = (u32)(frame.end - frame.data);
	result = sh_run(&env, &frame);

	reason = result.reason;
	counter = bpf_map_lookup_elem(&sh_map_counters, &reason);
	if (counter) {
		counter->packets++;
		counter->bytes += bytes;
	}
	switch (sh_verdict_of(result.reason)) {
	case SH_FORWARD:
		return result.ifindex == ctx->ingress_ifindex ? XDP_TX : (int)bpf_redirect(result.ifindex, 0);
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

char LICENSE[] SEC("license") = "Dual BSD/GPL";
