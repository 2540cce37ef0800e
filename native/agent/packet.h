/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * packet.h - reading a packet of the host's own in tc, and rewriting one of its ends with every checksum right.
 *
 * Owns: parsing, and the three kinds of checksum that a packet may be in here: complete, to be finished by the link
 * (CHECKSUM_PARTIAL, with or without segmentation to come), and summed up by the link (CHECKSUM_COMPLETE). The kernel's
 * helpers tell them apart; what is said to them is whether a changed field belongs to the pseudo-header.
 * Must never: decide where a packet goes.
 */
#ifndef SHUNT_AGENT_PACKET_H
#define SHUNT_AGENT_PACKET_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "agent/maps.h"

enum {
	AG_ETHERNET = 14,
	AG_ETHERTYPE_IPV4 = 0x0800,
	AG_ETHERTYPE_IPV6 = 0x86dd,
	AG_TCP_SYN = 0x02,
	AG_TCP_RST = 0x04,
	AG_TCP_ACK = 0x10,
};

/* Where things stand, and the flow from source to destination as the packet says it. */
struct ag_packet {
	struct sh_flow flow;
	u32 l3;
	u32 l4;
};

/* An IP header with its ports behind it, at `at`; whole tells whether it may be a fragment. 0, or -1: none of ours. */
SH_INLINE int ag_read(struct __sk_buff *skb, u32 at, u32 family, struct ag_packet *p)
{
	__builtin_memset(p, 0, sizeof(*p));
	p->l3 = at;
	p->flow.family = family;
	if (family == SH_IPV4) {
		be32 w[5];

		if (bpf_skb_load_bytes(skb, at, w, sizeof(w)))
			return -1;
		u32 first = sh_ntohl(w[0]), fragment = sh_ntohl(w[1]) & 0x3fff;
		if (first >> 28 != 4 || (first >> 24 & 15) < 5 || fragment)
			return -1;
		p->l4 = at + (first >> 24 & 15) * 4;
		p->flow.protocol = sh_ntohl(w[2]) >> 16 & 0xff;
		p->flow.source = sh_addr_v4(w[3]);
		p->flow.destination = sh_addr_v4(w[4]);
	} else {
		be32 w[10];

		if (bpf_skb_load_bytes(skb, at, w, sizeof(w)))
			return -1;
		if (sh_ntohl(w[0]) >> 28 != 6)
			return -1;
		p->l4 = at + 40;
		p->flow.protocol = sh_ntohl(w[1]) >> 8 & 0xff;
		__builtin_memcpy(&p->flow.source, &w[2], 16);
		__builtin_memcpy(&p->flow.destination, &w[6], 16);
	}
	if (p->flow.protocol == SH_UDP || p->flow.protocol == SH_TCP) {
		be16 ports[2];

		if (bpf_skb_load_bytes(skb, p->l4, ports, sizeof(ports)))
			return -1;
		p->flow.source_port = ports[0];
		p->flow.destination_port = ports[1];
	}
	return 0;
}

SH_INLINE int ag_parse(struct __sk_buff *skb, struct ag_packet *p)
{
	u32 type = sh_ntohs(skb->protocol);

	if (type == AG_ETHERTYPE_IPV4)
		return ag_read(skb, AG_ETHERNET, SH_IPV4, p);
	if (type == AG_ETHERTYPE_IPV6)
		return ag_read(skb, AG_ETHERNET, SH_IPV6, p);
	return -1;
}

/* Puts another address and port into the source's or the destination's place. 0, or -1: the packet must not go on. */
SH_INLINE int ag_rewrite(struct __sk_buff *skb, const struct ag_packet *p, int source, const struct sh_addr *address,
                         be16 port)
{
	const struct sh_addr *old = source ? &p->flow.source : &p->flow.destination;
	be16 old_port = source ? p->flow.source_port : p->flow.destination_port;
	u32 udp = p->flow.protocol == SH_UDP;
	u32 check = p->l4 + (udp ? 6 : 16);
	u64 mangled = udp ? BPF_F_MARK_MANGLED_0 : 0;

	if (p->flow.family == SH_IPV4) {
		be32 from = old->w[3], to = address->w[3];

		if (bpf_l4_csum_replace(skb, check, from, to, BPF_F_PSEUDO_HDR | mangled | 4) ||
		    bpf_l3_csum_replace(skb, p->l3 + 10, from, to, 4) ||
		    bpf_skb_store_bytes(skb, p->l3 + (source ? 12 : 16), &to, 4, 0))
			return -1;
	} else {
		struct sh_addr from = *old, to = *address;
		long long difference = bpf_csum_diff(from.w, 16, to.w, 16, 0);

		/* IPv6 has no checksum of its own that would make up for the address in a sum over the whole packet. */
		if (bpf_l4_csum_replace(skb, check, 0, difference, BPF_F_PSEUDO_HDR | mangled) ||
		    bpf_skb_store_bytes(skb, p->l3 + (source ? 8 : 24), &to, 16, BPF_F_RECOMPUTE_CSUM))
			return -1;
	}
	if (old_port == port)
		return 0;
	if (bpf_l4_csum_replace(skb, check, old_port, port, mangled | 2) ||
	    bpf_skb_store_bytes(skb, p->l4 + (source ? 0 : 2), &port, 2, 0))
		return -1;
	return 0;
}

#endif
