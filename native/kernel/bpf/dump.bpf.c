/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * dump.bpf.c - the capture as a pair of probes: the kernel runs one before and one after shunt_xdp during a capture.
 *
 * Owns: how a probe reaches the packet, which for it is memory of the kernel's. tap.h has the rest.
 * Must never: be needed by the packet program, which has no branch for it: without a capture, no probe is attached.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel/bpf/dump.h"

/* The kernel's own structures, of which its BTF tells where these members are. */
#define SH_KERNELS __attribute__((preserve_access_index))
struct net_device {
	int ifindex;
} SH_KERNELS;
struct xdp_rxq_info {
	struct net_device *dev;
	u32 queue_index;
} SH_KERNELS;
struct xdp_buff {
	void *data;
	void *data_end;
	struct xdp_rxq_info *rxq;
} SH_KERNELS;

/* The packet program's own, which is larger; the loader puts it in place of this one. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct sh_passage);
} sh_scratch_map SEC(".maps");

/* A macro: by a typedef's name the loader would look for it in the kernel. */
#define sh_tap_packet struct xdp_buff

/* Of a jumbo frame, the first buffer only. */
SH_INLINE int sh_tap_load(sh_tap_packet *packet, u32 offset, void *to, u32 bytes)
{
	void *from = packet->data + offset;

	return from + bytes > packet->data_end || bpf_probe_read_kernel(to, bytes, from);
}

SH_INLINE u32 sh_tap_length(sh_tap_packet *packet)
{
	return (u32)bpf_xdp_get_buff_len((struct xdp_md *)packet);
}

SH_INLINE struct sh_passage *sh_tap_passage(void)
{
	const u32 zero = 0;

	return bpf_map_lookup_elem(&sh_scratch_map, &zero);
}

#include "kernel/bpf/tap.h"

SEC("fentry/shunt_xdp")
int BPF_PROG(sh_dump_before, struct xdp_buff *xdp)
{
	sh_tap_before(xdp, (u32)xdp->rxq->dev->ifindex, xdp->rxq->queue_index);
	return 0;
}

SEC("fexit/shunt_xdp")
int BPF_PROG(sh_dump_after, struct xdp_buff *xdp, int action)
{
	sh_tap_after(xdp, action);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
