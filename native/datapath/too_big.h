/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * too_big.h - the answer to a packet that would not fit the link to its target.
 *
 * Owns: ICMP fragmentation-needed (RFC 792, RFC 1191) and ICMPv6 packet-too-big (RFC 4443 3.2), from the service's
 * address to the packet's source, back over the link it came from, under the VLAN tags it came with.
 * Must never: answer an ICMP error or a later fragment (RFC 1122 3.2.2), or send more than it got.
 *
 * An IPv4 packet without DF comes here where it cannot be fragmented (oversize.h): a sender that hears the answer fragments
 * from then on.
 */
#ifndef SHUNT_DATAPATH_TOO_BIG_H
#define SHUNT_DATAPATH_TOO_BIG_H

#include "datapath/parse/checksum.h"
#include "datapath/reply.h"

/* Bytes of the packet that are quoted: constants, so that the sums need no loop over the wire's lengths. IPv4: the
 * longest header and the 8 bytes that RFC 792 asks for. */
enum { SH_QUOTE4 = 68, SH_QUOTE6 = 128 };

/* What stands behind the link header of the answer; the quote is there already. */
struct sh_too_big4 {
	struct sh_ipv4 ip;
	struct sh_icmp icmp;
	u8 quote[SH_QUOTE4];
} SH_LAYERED;

struct sh_too_big6 {
	struct sh_ipv6 ip;
	struct sh_icmp icmp;
	u8 quote[SH_QUOTE6];
} SH_LAYERED;

SH_INLINE u8 sh_too_big4(struct sh_frame *frame, const struct sh_parsed *p, u16 mtu)
{
	struct sh_too_big4 *answer;
	struct sh_icmp *icmp;
	struct sh_ipv4 *ip;

	if (sh_reply_reverse_link(frame, p, SH_QUOTE4, sizeof(*answer) - SH_QUOTE4))
		return SH_R_too_big_dropped;
	answer = (struct sh_too_big4 *)(frame->data + SH_OFFSET(p->l3));
	if ((u8 *)(answer + 1) > frame->end)
		return SH_R_too_big_dropped;
	ip = &answer->ip;
	icmp = &answer->icmp;
	ip->version_ihl = 0x45;
	ip->tos = 0;
	ip->length = sh_htons(sizeof(*answer));
	ip->id = 0;
	ip->fragment = sh_htons(SH_IPV4_DF);
	ip->ttl = 64;
	ip->protocol = SH_ICMP;
	ip->checksum = 0;
	ip->source = p->flow.destination.w[3];
	ip->destination = p->flow.source.w[3];
	ip->checksum = sh_checksum(sh_sum(ip, sizeof(*ip) / 4));
	icmp->type = SH_ICMP_UNREACHABLE;
	icmp->code = SH_ICMP_FRAGMENTATION_NEEDED;
	icmp->checksum = 0;
	icmp->rest = 0;
	icmp->mtu = sh_htons(mtu);
	icmp->checksum = sh_checksum(sh_sum(icmp, (sizeof(*icmp) + SH_QUOTE4) / 4));
	return SH_R_too_big;
}

SH_INLINE u8 sh_too_big6(struct sh_frame *frame, const struct sh_parsed *p, u16 mtu)
{
	struct sh_too_big6 *answer;
	struct sh_icmp *icmp;
	struct sh_ipv6 *ip;
	u64 sum;

	if (sh_reply_reverse_link(frame, p, SH_QUOTE6, sizeof(*answer) - SH_QUOTE6))
		return SH_R_too_big_dropped;
	answer = (struct sh_too_big6 *)(frame->data + SH_OFFSET(p->l3));
	if ((u8 *)(answer + 1) > frame->end)
		return SH_R_too_big_dropped;
	ip = &answer->ip;
	icmp = &answer->icmp;
	ip->version_class_label = sh_htonl(6u << 28);
	ip->length = sh_htons(sizeof(*icmp) + SH_QUOTE6);
	ip->next = SH_ICMPV6;
	ip->hops = 64;
	__builtin_memcpy(&ip->source, &p->flow.destination, 16);
	__builtin_memcpy(&ip->destination, &p->flow.source, 16);
	icmp->type = SH_ICMPV6_TOO_BIG;
	icmp->code = 0;
	icmp->checksum = 0;
	icmp->rest = 0;
	icmp->mtu = sh_htons(mtu);
	/* RFC 8200 8.1: the pseudo-header is both addresses, the length and the protocol */
	sum = sh_sum(&ip->source, 8);
	sum += ip->length;
	sum += sh_htons(SH_ICMPV6);
	sum += sh_sum(icmp, (sizeof(*icmp) + SH_QUOTE6) / 4);
	icmp->checksum = sh_checksum(sum);
	return SH_R_too_big;
}

/* Turns the frame into the answer: `mtu` is the largest IP packet that would have fit. */
SH_STAGE u8 sh_too_big(struct sh_frame *frame, const struct sh_parsed *p, u16 mtu)
{
	if (p->icmp_error || p->fragmentation == SH_FRAGMENT_LATER)
		return SH_R_too_big_dropped;
	return p->flow.family == SH_IPV4 ? sh_too_big4(frame, p, mtu) : sh_too_big6(frame, p, mtu);
}

#endif
