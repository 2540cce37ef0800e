/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * reply.h - a frame that goes back over the link it came from.
 *
 * Owns: the reply's Ethernet header and VLAN tags (the same, source and destination exchanged) and its IP headers.
 * Must never: change what follows them.
 */
#ifndef SHUNT_DATAPATH_REPLY_H
#define SHUNT_DATAPATH_REPLY_H

#include "datapath/parse/checksum.h"
#include "datapath/parse/parse.h"

SH_INLINE u32 sh_ip_bytes(u8 family)
{
	return family == SH_IPV4 ? (u32)sizeof(struct sh_ipv4) : (u32)sizeof(struct sh_ipv6);
}

/* RFC 768, RFC 8200 8.1: both addresses, the length and the protocol. Which of the two is the source makes no difference. */
SH_INLINE u64 sh_pseudo_sum(const struct sh_flow *flow, u32 length, u8 protocol)
{
	u64 sum = sh_htons(length) + (u64)sh_htons(protocol);

	if (flow->family == SH_IPV4)
		return sum + flow->source.w[3] + flow->destination.w[3];
	return sum + sh_sum(&flow->source, 4) + sh_sum(&flow->destination, 4);
}

/* Cuts the packet to `keep` bytes behind its link header, makes room for `room` bytes of headers before them, and puts the link
 * header in front, turned round. 0, or -1. */
SH_INLINE int sh_reply_reverse_link(struct sh_frame *frame, const struct sh_parsed *p, u32 keep, u32 room)
{
	struct sh_ethernet from, *to = (struct sh_ethernet *)frame->data;
	u32 tags[2] = {0, 0};

	if ((u8 *)(to + 1) + sizeof(tags) > frame->end)
		return -1;
	from = *to;
	tags[0] = sh_load32(to + 1);
	tags[1] = sh_load32((u8 *)(to + 1) + 4);
	if (sh_trim(frame, (u32)p->l3 + keep) || (room && sh_push(frame, room)))
		return -1;
	to = (struct sh_ethernet *)frame->data;
	if ((u8 *)(to + 1) + sizeof(tags) > frame->end)
		return -1;
	__builtin_memcpy(to->destination, from.source, 6);
	__builtin_memcpy(to->source, from.destination, 6);
	to->type = from.type;
	/* Untagged, these 8 bytes are overwritten by the IP header next. */
	sh_store32(to + 1, tags[0]);
	sh_store32((u8 *)(to + 1) + 4, tags[1]);
	return 0;
}

SH_INLINE void sh_reply_ipv4(struct sh_ipv4 *ip, const struct sh_flow *flow, u32 length, u8 protocol)
{
	ip->version_ihl = 0x45;
	ip->tos = 0;
	ip->length = sh_htons(length);
	ip->id = 0;
	ip->fragment = sh_htons(SH_IPV4_DF);
	ip->ttl = 64;
	ip->protocol = protocol;
	ip->checksum = 0;
	ip->source = flow->destination.w[3];
	ip->destination = flow->source.w[3];
	ip->checksum = sh_checksum(sh_sum(ip, sizeof(*ip) / 4));
}

SH_INLINE void sh_reply_ipv6(struct sh_ipv6 *ip, const struct sh_flow *flow, u32 length, u8 protocol)
{
	ip->version_class_label = sh_htonl(6u << 28);
	ip->length = sh_htons(length - sizeof(*ip));
	ip->next = protocol;
	ip->hops = 64;
	__builtin_memcpy(&ip->source, &flow->destination, 16);
	__builtin_memcpy(&ip->destination, &flow->source, 16);
}

#endif
