/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * watch.bpf.c - what becomes of a packet after its verdict: frames that a driver did not take.
 *
 * An XDP program says XDP_TX or XDP_REDIRECT and never learns whether the link had room. The kernel tells it to tracepoints
 * (include/trace/events/xdp.h), and only when something was lost or a batch was sent.
 *
 * Owns: the count SH_COUNT_LOST of this processor, for packets that our program sent on.
 * Must never: count another program's, or one of another network namespace, whose links have the same numbers.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel/bpf/watch.h"

/* Of the kernel's own structures, no more than is read. */
struct ns_common {
	unsigned int inum;
} __attribute__((preserve_access_index));
struct net {
	struct ns_common ns;
} __attribute__((preserve_access_index));
struct net_device {
	int ifindex;
	struct {
		struct net *net;
	} nd_net;
} __attribute__((preserve_access_index));
struct bpf_prog_aux {
	u32 id;
} __attribute__((preserve_access_index));
struct bpf_prog {
	struct bpf_prog_aux *aux;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* the engine's map takes its place */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct sh_counter);
} sh_counters SEC(".maps");

struct sh_watch sh_watch SEC(".data.watch") = {};

static void lost(int packets)
{
	u32 index = bpf_get_smp_processor_id() * sh_watch.counters + SH_COUNT_LOST;
	struct sh_counter *counter = bpf_map_lookup_elem(&sh_counters, &index);

	if (counter && packets > 0)
		__sync_fetch_and_add(&counter->packets, (u64)packets);
}

static int ours(const struct net_device *dev)
{
	u32 ifindex = (u32)dev->ifindex;
	u32 i;

	if (dev->nd_net.net->ns.inum != sh_watch.net)
		return 0;
	/* One after the other: clang would make sixteen flags of them, and the verifier follow all their combinations. */
	for (i = 0; i < SH_WATCHED; i++)
		if (SH_READ_ONCE(sh_watch.links[i]) == ifindex)
			return 1;
	return 0;
}

/* XDP_REDIRECT, a batch at its end. */
SEC("tp_btf/xdp_devmap_xmit")
int BPF_PROG(sh_watch_redirect, const struct net_device *from, const struct net_device *to, int sent, int drops,
             int error)
{
	if (drops > 0 && ours(from))
		lost(drops);
	return 0;
}

/* XDP_TX where the driver sends in batches (veth). */
SEC("tp_btf/xdp_bulk_tx")
int BPF_PROG(sh_watch_tx, const struct net_device *dev, int sent, int drops, int error)
{
	if (drops > 0 && ours(dev))
		lost(drops);
	return 0;
}

/* XDP_REDIRECT to a link that is none. */
SEC("tp_btf/xdp_redirect_err")
int BPF_PROG(sh_watch_nowhere, const struct net_device *dev, const struct bpf_prog *program)
{
	if (program->aux->id == sh_watch.program)
		lost(1);
	return 0;
}

/* XDP_TX that a driver could not do. */
SEC("tp_btf/xdp_exception")
int BPF_PROG(sh_watch_exception, const struct net_device *dev, const struct bpf_prog *program)
{
	if (program->aux->id == sh_watch.program)
		lost(1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
