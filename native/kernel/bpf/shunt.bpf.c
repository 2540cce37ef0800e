/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * shunt.bpf.c - the XDP program of this engine, the one that sees what a backend sends, and what their loader needs beside
 * them.
 *
 * Owns: their names, by which loader, capture and operators know them.
 * Must never: do anything else. entry.h is a packet's way.
 */
#include "kernel/bpf/entry.h"

SEC("xdp.frags")
int shunt_xdp(struct xdp_md *ctx)
{
	return sh_entry(ctx);
}

/* On a backend, at the egress of its interfaces (tc), over the same sessions, counters and tables. Every packet continues to
 * the next filter. */
SEC("tc")
int shunt_sent(struct __sk_buff *skb)
{
	sh_entry_egress(skb);
	return TC_ACT_UNSPEC;
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
