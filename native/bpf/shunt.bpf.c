/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * shunt.bpf.c - the XDP program of this engine, and what its loader needs beside it.
 *
 * Owns: their names, by which loader, capture and operators know them.
 * Must never: do anything else. entry.h is a packet's way.
 */
#include "entry.h"

SEC("xdp.frags")
int shunt_xdp(struct xdp_md *ctx)
{
	return sh_entry(ctx);
}

/* For the loader, which finds out from it how long a jiffy is. */
SEC("xdp")
int sh_read_clocks(struct xdp_md *ctx)
{
	sh_state.seen.jiffies = bpf_jiffies64();
	sh_state.seen.now_ns = bpf_ktime_get_ns();
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
