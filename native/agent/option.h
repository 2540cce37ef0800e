/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * option.h - the capability behind an application's datagram, and what a backend's reply says behind its own: docs/protocol.md, 4.3.
 *
 * Owns: the surplus area (RFC 9868) on its way out and in.
 * Must never: lengthen a datagram beyond its link's MTU, or one that the link will cut. A datagram without the option asks nothing, and its
 * answer comes all the same.
 */
#ifndef SHUNT_AGENT_OPTION_H
#define SHUNT_AGENT_OPTION_H

#include "agent/packet.h"

enum {
	AG_OPTION_HEAD = 6, /* OCS, kind, length, ExID */
	AG_OPTION4 = AG_OPTION_HEAD + 32,
	AG_OPTION6 = AG_OPTION_HEAD + 44,
	AG_OPTION_WORDS = 26, /* of 16 bits, an even number of bytes that holds either */
};

/* The area's sum and its length, folded (RFC 1071); 0xffff where its OCS is right. */
SH_INLINE u16 ag_option_sum(const be16 *word, u32 whole)
{
	u32 sum = sh_htons(whole), i;

	for (i = 0; i < AG_OPTION_WORDS; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)((sum & 0xffff) + (sum >> 16));
}

/* How long the IP packet is by its own word, from p->l3 on; 0: it can't be read. */
SH_INLINE u32 ag_ip_bytes(struct __sk_buff *skb, const struct ag_packet *p)
{
	be16 length;

	if (bpf_skb_load_bytes(skb, p->l3 + (p->flow.family == SH_IPV4 ? 2 : 4), &length, 2))
		return 0;
	return sh_ntohs(length) + (p->flow.family == SH_IPV4 ? 0 : 40);
}

/* Puts the capability behind a datagram of the host's own. What can't be done leaves it as it was. A datagram whose checksum the link
 * makes is summed with the area, which sums to the negative of its length: that is added to what the link starts from, and taken back
 * where the checksum is there already (the helper knows which). */
SH_INLINE int ag_show_behind(struct __sk_buff *skb, const struct ag_packet *p, const u8 *nonce)
{
	be16 word[AG_OPTION_WORDS] = {0}, udp_length, grown;
	u8 *option = (u8 *)word;
	u32 length = skb->len, mtu = 0, bytes = ag_ip_bytes(skb, p), odd, whole, check = p->l4 + 6;

	if (skb->gso_size || bpf_skb_load_bytes(skb, p->l4 + 4, &udp_length, 2) ||
	    p->l4 + sh_ntohs(udp_length) != length || p->l3 + bytes != length)
		return TC_ACT_UNSPEC;
	odd = sh_ntohs(udp_length) & 1;
	whole = odd + AG_OPTION6; /* so that a reply may be as long */
	option[2] = 127;
	option[3] = AG_OPTION4 - 2;
	option[4] = 'S';
	option[5] = 'R';
	option[6] = 0x11; /* version 1, capability */
	__builtin_memcpy(option + AG_OPTION_HEAD + 12, nonce, 8);
	word[0] = (be16)~ag_option_sum(word, whole);
	if (bpf_check_mtu(skb, 0, &mtu, (int)whole, 0) || bpf_skb_change_tail(skb, length + whole, 0))
		return TC_ACT_UNSPEC;
	if (bpf_skb_store_bytes(skb, length + odd, option, AG_OPTION6, 0))
		return TC_ACT_SHOT;
	if (p->flow.family == SH_IPV4) {
		grown = sh_htons(bytes + whole);
		if (bpf_l3_csum_replace(skb, p->l3 + 10, sh_htons(bytes), grown, 2) ||
		    bpf_skb_store_bytes(skb, p->l3 + 2, &grown, 2, 0))
			return TC_ACT_SHOT;
	} else {
		grown = sh_htons(bytes + whole - 40);
		if (bpf_skb_store_bytes(skb, p->l3 + 4, &grown, 2, 0))
			return TC_ACT_SHOT;
	}
	if (bpf_l4_csum_replace(skb, check, 0, sh_htons(whole), BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | 2) ||
	    bpf_l4_csum_replace(skb, check, sh_htons(whole), 0, BPF_F_MARK_MANGLED_0 | 2))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

/* Where a redirection header stands in a reply of a service's: behind the datagram, or behind the cookie of a control datagram, which is then
 * none of the application's (*control). Returns its length, 0: there is none. */
SH_INLINE u32 ag_said(struct __sk_buff *skb, const struct ag_packet *p, u32 *at, int *control)
{
	be16 word[AG_OPTION_WORDS] = {0}, udp_length;
	u8 *option = (u8 *)word;
	u32 end, behind, whole, odd, flags;
	be32 start[2];

	*control = 0;
	if (bpf_skb_load_bytes(skb, p->l4 + 4, &udp_length, 2))
		return 0;
	end = p->l3 + ag_ip_bytes(skb, p);
	behind = p->l4 + sh_ntohs(udp_length);
	odd = sh_ntohs(udp_length) & 1;
	if (end <= behind) {
		if (bpf_skb_load_bytes(skb, p->l4 + 8, start, sizeof(start)) || start[0] != sh_htonl(0xff53484e))
			return 0;
		flags = sh_ntohl(start[1]) >> 16 & 3; /* V, A */
		*control = 1;
		*at = p->l4 + 12;
		return flags == 0 ? 32 : flags == 1 ? 40 : flags == 2 ? 44 : 64;
	}
	whole = end - behind;
	if (whole == odd + AG_OPTION4) {
		if (bpf_skb_load_bytes(skb, behind + odd, option, AG_OPTION4))
			return 0;
	} else if (whole != odd + AG_OPTION6 || bpf_skb_load_bytes(skb, behind + odd, option, AG_OPTION6)) {
		return 0;
	}
	if (ag_option_sum(word, whole) != 0xffff || option[2] != 127 || option[3] != whole - odd - 2 ||
	    option[4] != 'S' || option[5] != 'R')
		return 0;
	*at = behind + odd + AG_OPTION_HEAD;
	return whole - odd - AG_OPTION_HEAD;
}

#endif
