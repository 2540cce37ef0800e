/* SPDX-License-Identifier: Apache-2.0
 *
 * strip.bpf.c - a hop that knows nothing of what stands behind a UDP datagram, and cuts it off: some middleboxes do. For tests, on the way in
 * of a router's port (tc).
 *
 * Owns: IPv4 without options, UDP. Must never: touch another packet.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum { L3 = 14, L4 = 34 };

SEC("tc")
int strip(struct __sk_buff *skb)
{
	__u8 first, protocol;
	__be16 total, udp, shorter;

	if (skb->protocol != bpf_htons(0x0800) || bpf_skb_load_bytes(skb, L3, &first, 1) || first != 0x45 ||
	    bpf_skb_load_bytes(skb, L3 + 9, &protocol, 1) || protocol != 17 ||
	    bpf_skb_load_bytes(skb, L3 + 2, &total, 2) || bpf_skb_load_bytes(skb, L4 + 4, &udp, 2))
		return TC_ACT_UNSPEC;
	shorter = bpf_htons(20 + bpf_ntohs(udp));
	if (bpf_ntohs(shorter) >= bpf_ntohs(total) || bpf_skb_change_tail(skb, L3 + bpf_ntohs(shorter), 0))
		return TC_ACT_UNSPEC;
	bpf_l3_csum_replace(skb, L3 + 10, total, shorter, 2);
	bpf_skb_store_bytes(skb, L3 + 2, &shorter, 2, 0);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
