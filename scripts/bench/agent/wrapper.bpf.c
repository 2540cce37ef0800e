/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * wrapper.bpf.c - makes BPF_PROG_TEST_RUN of a tc program measure one packet after the other, not the same one again.
 *
 * A repeated run restores nothing: after the first, the agent's program would meet the packet that it has rewritten. So this
 * program is what runs: it writes the next packet's headers and jumps to the subject. What the wrapper costs is measured with a
 * subject that does nothing.
 *
 * Owns: the packets of the measurement: one length, one flow after the other in an order without pattern.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} subject SEC(".maps");

#define LENGTH 80
#define HEAD 56 /* Ethernet, IPv4, TCP or UDP, rounded up */

struct plan {
	__u64 next;    /* the number of the next packet */
	__u64 mask;    /* flows - 1 */
	__u64 step;    /* odd: the order in which flows come */
	__u32 port_at; /* offset of the client's port */
	__u32 unused;
	__u8 head[HEAD];
};
struct plan plan SEC(".data.plan");

SEC("tc")
int next_packet(struct __sk_buff *skb)
{
	__u64 flow = plan.next++ * plan.step & plan.mask;
	__u16 port = __builtin_bswap16((__u16)(0x4000 | (flow & 0x3fff)));
	__u8 *p = (__u8 *)(long)skb->data, *end = (__u8 *)(long)skb->data_end;

	if (p + LENGTH > end)
		return TC_ACT_SHOT;
	__builtin_memcpy(p, plan.head, HEAD);
	if (plan.port_at == 34)
		*(__u16 *)(p + 34) = port;
	else
		*(__u16 *)(p + 36) = port;
	bpf_tail_call(skb, &subject, 0);
	return TC_ACT_SHOT;
}

SEC("tc")
int empty(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
