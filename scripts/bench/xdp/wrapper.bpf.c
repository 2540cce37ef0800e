/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * wrapper.bpf.c - makes BPF_PROG_TEST_RUN measure one packet after the other, not the same one again.
 *
 * A repeated run restores nothing: after the first, the program under test would meet its own encapsulated packet. So this
 * program is what runs: it takes off what the subject pushed the last time, writes the next packet's headers (an IPv4 UDP
 * packet of the next flow), and jumps to the subject, which stands in `subject`. What the wrapper costs is measured with a
 * subject that does nothing, and taken off.
 *
 * Owns: the packets of the measurement: 60 bytes, one flow after the other in an order without pattern.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} subject SEC(".maps");

#define LENGTH 60

/* The packet's first 42 bytes as ten words and a half; ip_sum is the sum of its IP header without source and checksum. */
struct plan {
	__u64 next; /* the number of the next packet */
	__u64 mask; /* flows - 1; all bits set: every packet is a new flow */
	__u64 step; /* odd: the order in which flows come */
	__u32 ip_sum;
	__u32 source; /* of flow 0, host order */
	__u8 head[48];
};
struct plan plan SEC(".data.plan");

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

SEC("xdp.frags")
int next_packet(struct xdp_md *ctx)
{
	int longer = (int)(__u32)(ctx->data_end - ctx->data) - LENGTH;
	__u8 *p, *end;
	__u64 flow;
	__u32 source;

	if (longer && bpf_xdp_adjust_head(ctx, longer))
		return XDP_ABORTED;
	p = (__u8 *)(long)ctx->data;
	end = (__u8 *)(long)ctx->data_end;
	if (p + LENGTH > end)
		return XDP_ABORTED;
	flow = plan.next++ * plan.step & plan.mask;
	source = plan.source + (__u32)(flow >> 14);
	__builtin_memcpy(p, plan.head, 42);
	source = __builtin_bswap32(source);
	*(__u32 *)(p + 26) = source;
	*(__u16 *)(p + 24) = fold(plan.ip_sum + (source & 0xffff) + (source >> 16));
	*(__u16 *)(p + 34) = __builtin_bswap16((__u16)(0x4000 | (flow & 0x3fff)));
	bpf_tail_call(ctx, &subject, 0);
	return XDP_ABORTED;
}

/* Subjects to compare with: nothing at all; and the least that a redirector of this kind does, a push of 20 bytes. */
SEC("xdp.frags")
int bare_tx(struct xdp_md *ctx)
{
	return XDP_TX;
}

SEC("xdp.frags")
int push_tx(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, -20) ? XDP_DROP : XDP_TX;
}

/* The far end of the veth that live frames leave by. */
SEC("xdp.frags")
int drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
