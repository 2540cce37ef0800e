/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * stand_in.bpf.c - the capture as a tracing copy: the packet program with the capture in it, which replaces the program during a
 * capture. For kernels that do not allow probes (dump.bpf.c) on a program, such as locked-down ones.
 *
 * Owns: the time after which it stops capturing by itself if its reader is gone.
 * Must never: do with a packet what the packet program would not do. It is the same code over the same maps.
 */
#include "kernel/bpf/entry.h"

#define sh_tap_packet struct xdp_md

SH_INLINE int sh_tap_load(sh_tap_packet *packet, u32 offset, void *to, u32 bytes)
{
	return (int)bpf_xdp_load_bytes(packet, offset, to, bytes);
}

SH_INLINE u32 sh_tap_length(sh_tap_packet *packet)
{
	return (u32)bpf_xdp_get_buff_len(packet);
}

SH_INLINE struct sh_passage *sh_tap_passage(void)
{
	return sh_scratch(0);
}

#include "kernel/bpf/tap.h"

/* By the packet program's clock. The reader moves it on. */
u64 sh_stand_in_until_ns SEC(".data.stand_in");

/* Functions of their own, so that the packet program is verified once for whatever they come to. */
SH_STAGE int sh_stand_in_before(struct xdp_md *ctx)
{
	sh_tap_before(ctx, ctx->ingress_ifindex, ctx->rx_queue_index);
	return 0;
}

SH_STAGE int sh_stand_in_after(struct xdp_md *ctx, int action)
{
	sh_tap_after(ctx, action);
	return 0;
}

SEC("xdp.frags")
int shunt_stand_in(struct xdp_md *ctx)
{
	int action;

	if (sh_state.clock.base_ns + bpf_jiffies64() * sh_state.clock.tick_ns < SH_READ_ONCE(sh_stand_in_until_ns))
		sh_stand_in_before(ctx);
	action = sh_entry(ctx);
	sh_stand_in_after(ctx, action);
	return action;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
