/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * too_big.h - the answer to a packet that would not fit the link to its target.
 *
 * Owns: ICMP fragmentation-needed (RFC 792, RFC 1191) and ICMPv6 packet-too-big (RFC 4443 3.2), from the service's
 * address to the packet's source, back over the link it came from.
 * Must never: answer an ICMP error or a later fragment (RFC 1122 3.2.2), or send more than it got.
 *
 * The gateway answers an IPv4 packet without DF as well: a sender that hears it fragments from then on, and the
 * alternative would be to fragment on its behalf for ever.
 */
#ifndef SHUNT_PACKET_TOO_BIG_H
#define SHUNT_PACKET_TOO_BIG_H

#include "checksum.h"
#include "parse.h"

/* Bytes of the packet that are quoted: constants, so that the sums need no loop over the wire's lengths. IPv4: the
 * longest header and the 8 bytes that RFC 792 asks for. */
enum { SH_QUOTE4 = 68, SH_QUOTE6 = 128 };

struct sh_too_big4 {
	struct sh_ethernet eth;
	struct sh_ipv4 ip;
	struct sh_icmp icmp;
	u8 quote[SH_QUOTE4];
} SH_PACKED;

struct sh_too_big6 {
	struct sh_ethernet eth;
	struct sh_ipv6 ip;
	struct sh_icmp icmp;
	u8 quote[SH_QUOTE6];
} SH_PACKED;

SH_INLINE u8 sh_too_big4(struct sh_frame *frame, const struct sh_parsed *p, const struct sh_ethernet *from, u16 mtu)
{
	struct sh_too_big4 *answer;

	if (sh_trim(frame, (u32)p->l3 + SH_QUOTE4) || sh_push(frame, (u32)(sizeof(*answer) - SH_QUOTE4) - p->l3))
		return SH_R_too_big_dropped;
	answer = (struct sh_too_big4 *)frame->data;
	if ((u8 *)(answer + 1) > frame->end)
		return SH_R_too_big_dropped;
	__builtin_memcpy(answer->eth.destination, from->source, 6);
	__builtin_memcpy(answer->eth.source, from->destination, 6);
	answer->eth.type = sh_htons(SH_ETH_IPV4);
	answer->ip.version_ihl = 0x45;
	answer->ip.tos = 0;
	answer->ip.length = sh_htons(sizeof(*answer) - sizeof(answer->eth));
	answer->ip.id = 0;
	answer->ip.fragment = sh_htons(SH_IPV4_DF);
	answer->ip.ttl = 64;
	answer->ip.protocol = SH_ICMP;
	answer->ip.checksum = 0;
	answer->ip.source = p->flow.destination.w[3];
	answer->ip.destination = p->flow.source.w[3];
	answer->ip.checksum = sh_checksum(sh_sum(&answer->ip, sizeof(answer->ip) / 2));
	answer->icmp.type = SH_ICMP_UNREACHABLE;
	answer->icmp.code = SH_ICMP_FRAGMENTATION_NEEDED;
	answer->icmp.checksum = 0;
	answer->icmp.rest = 0;
	answer->icmp.mtu = sh_htons(mtu);
	answer->icmp.checksum = sh_checksum(sh_sum(&answer->icmp, (sizeof(answer->icmp) + SH_QUOTE4) / 2));
	return SH_R_too_big;
}

SH_INLINE u8 sh_too_big6(struct sh_frame *frame, const struct sh_parsed *p, const struct sh_ethernet *from, u16 mtu)
{
	struct sh_too_big6 *answer;
	u64 sum;

	if (sh_trim(frame, (u32)p->l3 + SH_QUOTE6) || sh_push(frame, (u32)(sizeof(*answer) - SH_QUOTE6) - p->l3))
		return SH_R_too_big_dropped;
	answer = (struct sh_too_big6 *)frame->data;
	if ((u8 *)(answer + 1) > frame->end)
		return SH_R_too_big_dropped;
	__builtin_memcpy(answer->eth.destination, from->source, 6);
	__builtin_memcpy(answer->eth.source, from->destination, 6);
	answer->eth.type = sh_htons(SH_ETH_IPV6);
	answer->ip.version_class_label = sh_htonl(6u << 28);
	answer->ip.length = sh_htons(sizeof(answer->icmp) + SH_QUOTE6);
	answer->ip.next = SH_ICMPV6;
	answer->ip.hops = 64;
	__builtin_memcpy(&answer->ip.source, &p->flow.destination, 16);
	__builtin_memcpy(&answer->ip.destination, &p->flow.source, 16);
	answer->icmp.type = SH_ICMPV6_TOO_BIG;
	answer->icmp.code = 0;
	answer->icmp.checksum = 0;
	answer->icmp.rest = 0;
	answer->icmp.mtu = sh_htons(mtu);
	/* RFC 8200 8.1: the pseudo-header is both addresses, the length and the protocol */
	sum = sh_sum(&answer->ip.source, 16);
	sum += answer->ip.length;
	sum += sh_htons(SH_ICMPV6);
	sum += sh_sum(&answer->icmp, (sizeof(answer->icmp) + SH_QUOTE6) / 2);
	answer->icmp.checksum = sh_checksum(sum);
	return SH_R_too_big;
}

/* Turns the frame into the answer: `mtu` is the largest IP packet that would have fit. */
SH_STAGE u8 sh_too_big(struct sh_frame *frame, const struct sh_parsed *p, u16 mtu)
{
	const struct sh_ethernet *eth = (const struct sh_ethernet *)frame->data;
	struct sh_ethernet from;

	if (p->icmp_error || p->fragmentation == SH_FRAGMENT_LATER || (const u8 *)(eth + 1) > frame->end)
		return SH_R_too_big_dropped;
	from = *eth;
	return p->flow.family == SH_IPV4 ? sh_too_big4(frame, p, &from, mtu) : sh_too_big6(frame, p, &from, mtu);
}

#endif
