/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * parse.h - from the wire's bytes to a flow key.
 *
 * Owns: three steps, each of which reads one layer: sh_parse_link, sh_parse_ip, sh_parse_transport. They are separate
 * because most packets are none of ours, and that is known after the second.
 * Must never: change a packet, or read a byte that it has not compared with the frame's end.
 *
 * Each step returns SH_CONTINUE or the reason the packet leaves by.
 */
#ifndef SHUNT_DATAPATH_PARSE_PARSE_H
#define SHUNT_DATAPATH_PARSE_PARSE_H

#include "datapath/parse/checksum.h"
#include "datapath/parse/wire.h"
#include "datapath/passage.h"
#include "datapath/platform.h"
#include "datapath/reasons.h"
#include "datapath/session/layout.h"

#define SH_CONTINUE 0xff
#define SH_EXTENSIONS 6 /* IPv6 extension headers walked */
/* And the bytes of them all. In the kernel the rest of a jumbo frame may lie elsewhere, so what is read must stand near its
 * beginning; and both engines must refuse the same. */
#define SH_EXTENSION_BYTES 1024
SH_STATIC_ASSERT(SH_REASON_COUNT < SH_CONTINUE, "a reason is 8 bits");

/* A control datagram begins so (docs/protocol.md 4.2). */
#define SH_COOKIE 0xff53484eu

/* Offsets are masked before they meet a packet pointer: the BPF verifier wants to see their bound. */
#define SH_OFFSET(x) ((x)&0x7fff)

/* Step 1: Ethernet and up to two VLAN tags. Sets l3 and ethertype. */
SH_INLINE u8 sh_parse_link(const struct sh_frame *frame, struct sh_parsed *p)
{
	const struct sh_ethernet *eth = (const struct sh_ethernet *)frame->data;
	u32 offset = sizeof(*eth);
	u32 tags;
	be16 type;

	if ((const u8 *)(eth + 1) > frame->end)
		return SH_R_truncated;
	type = eth->type;
	for (tags = 0; tags < 3; tags++) {
		const struct sh_vlan *vlan = (const struct sh_vlan *)(frame->data + offset);

		if (type != sh_htons(SH_ETH_VLAN) && type != sh_htons(SH_ETH_QINQ))
			break;
		if (tags == 2 || (const u8 *)(vlan + 1) > frame->end)
			return SH_R_bad_vlan;
		type = vlan->type;
		offset += sizeof(*vlan);
	}
	p->l3 = (u16)offset;
	p->ethertype = type;
	return SH_CONTINUE;
}

SH_INLINE u8 sh_parse_ipv4(const struct sh_frame *frame, struct sh_parsed *p)
{
	const struct sh_ipv4 *ip = (const struct sh_ipv4 *)(frame->data + SH_OFFSET(p->l3));
	u32 header;
	u16 fragment;

	if ((const u8 *)(ip + 1) > frame->end)
		return SH_R_truncated;
	header = (u32)(ip->version_ihl & 0xf) * 4;
	p->ip_length = sh_ntohs(ip->length);
	if (ip->version_ihl >> 4 != 4 || header < sizeof(*ip) || p->ip_length < header)
		return SH_R_bad_ip_header;
	if (p->ip_length > 0x7fff || sh_beyond(frame, (u32)p->l3 + p->ip_length))
		return SH_R_truncated;

	p->l4 = (u16)(p->l3 + header);
	p->protocol = ip->protocol;
	p->tos = ip->tos;
	p->flow.family = SH_IPV4;
	p->flow.source = sh_addr_v4(ip->source);
	p->flow.destination = sh_addr_v4(ip->destination);
	fragment = sh_ntohs(ip->fragment);
	if (fragment & (SH_IPV4_MF | SH_IPV4_OFFSET)) {
		p->fragmentation = fragment & SH_IPV4_OFFSET ? SH_FRAGMENT_LATER : SH_FRAGMENT_FIRST;
		p->fragment_id = ip->id;
	}
	return SH_CONTINUE;
}

SH_INLINE u8 sh_parse_ipv6(const struct sh_frame *frame, struct sh_parsed *p)
{
	const struct sh_ipv6 *ip = (const struct sh_ipv6 *)(frame->data + SH_OFFSET(p->l3));
	u32 first;

	if ((const u8 *)(ip + 1) > frame->end)
		return SH_R_truncated;
	first = sh_ntohl(ip->version_class_label);
	if (first >> 28 != 6)
		return SH_R_bad_ip_header;
	if (sh_ntohs(ip->length) > 0x7fff - sizeof(*ip))
		return SH_R_truncated;
	p->ip_length = (u16)(sh_ntohs(ip->length) + sizeof(*ip));
	if (sh_beyond(frame, (u32)p->l3 + p->ip_length))
		return SH_R_truncated;

	p->l4 = (u16)(p->l3 + sizeof(*ip));
	p->protocol = ip->next;
	p->tos = (u8)(first >> 20);
	p->flow.family = SH_IPV6;
	__builtin_memcpy(&p->flow.source, &ip->source, 16);
	__builtin_memcpy(&p->flow.destination, &ip->destination, 16);
	return SH_CONTINUE;
}

/* Step 2: the IP header at p->l3. Sets addresses, family, protocol, l4, ip_length. */
SH_INLINE u8 sh_parse_ip(const struct sh_frame *frame, struct sh_parsed *p)
{
	p->flow.salt = 0;
	p->fragmentation = SH_WHOLE;
	p->fragment_id = 0;
	p->icmp_error = 0;
	p->carrier = SH_CARRIER_NONE;
	p->marks = 0;
	if (p->ethertype == sh_htons(SH_ETH_IPV4))
		return sh_parse_ipv4(frame, p);
	if (p->ethertype == sh_htons(SH_ETH_IPV6))
		return sh_parse_ipv6(frame, p);
	return SH_R_not_ip;
}

/* RFC 1071 over the IPv4 header, options included. */
SH_INLINE u8 sh_check_ipv4(const struct sh_frame *frame, const struct sh_parsed *p)
{
	const u8 *ip = frame->data + SH_OFFSET(p->l3);
	u32 words = (u32)(p->l4 - p->l3) / 4;
	u64 sum;
	u32 i;

	if (ip + sizeof(struct sh_ipv4) > frame->end)
		return SH_R_truncated;
	sum = sh_sum(ip, sizeof(struct sh_ipv4) / 4);
	for (i = 5; i < 15; i++) {
		if (i >= words)
			break;
		if (ip + 4 * i + 4 > frame->end)
			return SH_R_truncated;
		sum += sh_load32(ip + 4 * i);
	}
	return sh_checksum(sum) ? SH_R_bad_ip_checksum : SH_CONTINUE;
}

#define SH_EXTENSION_SET \
	(1ULL << SH_EXT_HOP_BY_HOP | 1ULL << SH_EXT_ROUTING | 1ULL << SH_EXT_FRAGMENT | \
	 1ULL << SH_EXT_AUTHENTICATION | 1ULL << SH_EXT_DESTINATION)

/* RFC 8200 4.1: walks the extension headers; sets protocol, l4 and what a fragment header says. One set instead of five
 * comparisons, so that the BPF verifier has few paths to follow through the loop. */
SH_INLINE u8 sh_parse_extensions(const struct sh_frame *frame, struct sh_parsed *p)
{
	u32 end = (u32)p->l3 + p->ip_length;
	u32 l4 = p->l4;
	u32 furthest = l4 + SH_EXTENSION_BYTES;
	u32 next = p->protocol;
	u32 fragment_offset = 0;
	be32 fragment_id = 0;
	u32 i;

	for (i = 0; i <= SH_EXTENSIONS; i++) {
		const struct sh_ipv6_fragment *extension =
			(const struct sh_ipv6_fragment *)(frame->data + SH_OFFSET(l4));
		u32 length;

		if (next > 63 || !(SH_EXTENSION_SET >> next & 1) || fragment_offset & 0xfff8)
			break; /* the transport, or the middle of a payload */
		if (i == SH_EXTENSIONS || (const u8 *)(extension + 1) > frame->end)
			return SH_R_bad_extension;
		length = ((u32)extension->reserved + 1) * 8;
		if (next == SH_EXT_AUTHENTICATION) { /* RFC 4302 2.2 counts in 4 bytes */
			length = ((u32)extension->reserved + 2) * 4;
		} else if (next == SH_EXT_FRAGMENT) {
			length = sizeof(*extension);
			fragment_offset = sh_ntohs(extension->offset);
			fragment_id = extension->id;
		}
		next = extension->next;
		l4 += length;
		if (l4 > end || l4 > furthest)
			return SH_R_bad_extension;
	}
	p->l4 = (u16)l4;
	p->protocol = (u8)next;
	p->fragment_id = fragment_id;
	if (fragment_offset & 0xfff9)
		p->fragmentation = fragment_offset & 0xfff8 ? SH_FRAGMENT_LATER : SH_FRAGMENT_FIRST;
	return SH_CONTINUE;
}

/* Reads the ports at `offset` into the flow, the other way round when they stand in a quote. */
SH_INLINE u8 sh_parse_ports(const struct sh_frame *frame, struct sh_parsed *p, u32 offset, int quoted)
{
	const struct sh_udp *ports = (const struct sh_udp *)(frame->data + SH_OFFSET(offset));

	if ((const u8 *)ports + 4 > frame->end)
		return SH_R_truncated;
	p->ports = (u16)offset;
	p->flow.source_port = quoted ? ports->destination : ports->source;
	p->flow.destination_port = quoted ? ports->source : ports->destination;
	return SH_CONTINUE;
}

/* The extension headers of a quoted packet, which begin at l4: offset (24) | protocol (8) of what follows them; 0: they are too
 * many, cut off, or a later fragment's. */
SH_STAGE_ALONE u32 sh_quote_extensions(sh_packet *packet, u32 l4, u32 next, u32 end)
{
	u32 furthest = l4 + SH_EXTENSION_BYTES;
	struct sh_frame room, *frame;
	u32 i;

	if (!packet)
		return 0;
	frame = sh_frame_of(packet, &room);
	for (i = 0; i <= SH_EXTENSIONS; i++) {
		const struct sh_ipv6_fragment *extension =
			(const struct sh_ipv6_fragment *)(frame->data + SH_OFFSET(l4));
		u32 length;

		if (next > 63 || !(SH_EXTENSION_SET >> next & 1))
			return l4 << 8 | next;
		if (i == SH_EXTENSIONS || (const u8 *)(extension + 1) > frame->end)
			return 0;
		length = ((u32)extension->reserved + 1) * 8;
		if (next == SH_EXT_AUTHENTICATION) {
			length = ((u32)extension->reserved + 2) * 4;
		} else if (next == SH_EXT_FRAGMENT) {
			if (sh_ntohs(extension->offset) & 0xfff8)
				return 0;
			length = sizeof(*extension);
		}
		next = extension->next;
		l4 += length;
		if (l4 > end || l4 > furthest)
			return 0;
	}
	return 0;
}

/* An ICMP error (RFC 792, RFC 4443): the flow becomes the quoted one, as the client would have sent it. The error is
 * addressed to the sender of the quoted packet, so the quoted source must be the service. */
SH_INLINE u8 sh_parse_quote(const struct sh_frame *frame, struct sh_parsed *p)
{
	const struct sh_icmp *icmp = (const struct sh_icmp *)(frame->data + SH_OFFSET(p->l4));
	struct sh_addr service, client;
	u32 quote = (u32)p->l4 + sizeof(*icmp);
	u32 l4;
	u8 protocol;

	if ((const u8 *)(icmp + 1) > frame->end)
		return SH_R_truncated;
	if (p->flow.family == SH_IPV4) {
		const struct sh_ipv4 *ip = (const struct sh_ipv4 *)(frame->data + SH_OFFSET(quote));

		if (icmp->type != SH_ICMP_UNREACHABLE && icmp->type != SH_ICMP_TIME_EXCEEDED &&
		    icmp->type != SH_ICMP_PARAMETER_PROBLEM)
			return SH_R_protocol_other;
		if ((const u8 *)(ip + 1) > frame->end || ip->version_ihl >> 4 != 4 || (ip->version_ihl & 0xf) < 5)
			return SH_R_icmp_short;
		if (sh_ntohs(ip->fragment) & SH_IPV4_OFFSET)
			return SH_R_icmp_short;
		l4 = quote + (u32)(ip->version_ihl & 0xf) * 4;
		protocol = ip->protocol;
		service = sh_addr_v4(ip->source);
		client = sh_addr_v4(ip->destination);
	} else {
		const struct sh_ipv6 *ip = (const struct sh_ipv6 *)(frame->data + SH_OFFSET(quote));

		if (icmp->type < SH_ICMPV6_UNREACHABLE || icmp->type > SH_ICMPV6_PARAMETER_PROBLEM)
			return SH_R_protocol_other;
		if ((const u8 *)(ip + 1) > frame->end)
			return SH_R_icmp_short;
		l4 = quote + sizeof(*ip);
		protocol = ip->next;
		__builtin_memcpy(&service, &ip->source, 16);
		__builtin_memcpy(&client, &ip->destination, 16);
		if (protocol != SH_UDP && protocol != SH_TCP) {
			u32 found = sh_quote_extensions(sh_packet_of(frame), l4, protocol, (u32)p->l3 + p->ip_length);

			if (!found)
				return SH_R_icmp_short;
			l4 = found >> 8;
			protocol = (u8)found;
		}
	}
	if (protocol != SH_UDP && protocol != SH_TCP)
		return SH_R_protocol_other;
	if (!sh_addr_equal(&service, &p->flow.destination) || l4 + 4 > (u32)p->l3 + p->ip_length)
		return SH_R_icmp_short;
	p->icmp_error = 1;
	p->flow.source = client;
	p->flow.protocol = protocol;
	return sh_parse_ports(frame, p, l4, 1) == SH_CONTINUE ? SH_CONTINUE : SH_R_icmp_short;
}

/* Step 3: what stands behind the IP header. Sets ports and protocol of the flow. A later fragment has no ports: they
 * are left 0, and the fragment table knows the rest. */
SH_INLINE u8 sh_parse_transport(const struct sh_frame *frame, struct sh_parsed *p)
{
	u32 left;
	u8 reason;

	p->ports = 0;
	p->flow.source_port = 0;
	p->flow.destination_port = 0;
	if (p->flow.family == SH_IPV6) {
		reason = sh_parse_extensions(frame, p);
		if (reason != SH_CONTINUE)
			return reason;
	}
	p->flow.protocol = p->protocol;
	if (p->protocol == (p->flow.family == SH_IPV4 ? SH_ICMP : SH_ICMPV6))
		return p->fragmentation == SH_WHOLE ? sh_parse_quote(frame, p) : (u8)SH_R_protocol_other;
	if (p->protocol != SH_UDP && p->protocol != SH_TCP)
		return SH_R_protocol_other;
	if (p->fragmentation == SH_FRAGMENT_LATER)
		return SH_CONTINUE;

	left = (u32)p->l3 + p->ip_length - p->l4;
	if (p->protocol == SH_UDP) {
		const struct sh_udp *udp = (const struct sh_udp *)(frame->data + SH_OFFSET(p->l4));

		if (left < sizeof(*udp) || (const u8 *)(udp + 1) > frame->end)
			return p->fragmentation == SH_WHOLE ? SH_R_truncated : SH_R_fragment_tiny;
		/* Shorter than the IP payload is legal: what is left over is the surplus area of RFC 9868. */
		if (sh_ntohs(udp->length) < sizeof(*udp) ||
		    (p->fragmentation == SH_WHOLE && sh_ntohs(udp->length) > left))
			return SH_R_bad_transport;
		if (p->fragmentation == SH_WHOLE) {
			if ((const u8 *)(udp + 1) + 4 <= frame->end && sh_load32(udp + 1) == sh_htonl(SH_COOKIE) &&
			    left >= sizeof(*udp) + 4)
				p->carrier = SH_CARRIER_CONTROL;
			else if (sh_ntohs(udp->length) < left)
				p->carrier = SH_CARRIER_SURPLUS;
		}
	} else {
		const struct sh_tcp *tcp = (const struct sh_tcp *)(frame->data + SH_OFFSET(p->l4));

		if (left < sizeof(*tcp) || (const u8 *)(tcp + 1) > frame->end)
			return p->fragmentation == SH_WHOLE ? SH_R_truncated : SH_R_fragment_tiny;
		if ((tcp->offset >> 4) < 5 || (u32)(tcp->offset >> 4) * 4 > left)
			return SH_R_bad_transport;
		if ((tcp->flags & (SH_TCP_SYN | SH_TCP_ACK | SH_TCP_RST)) == SH_TCP_SYN) {
			p->marks = SH_SESSION_BEGINS;
			if (p->fragmentation == SH_WHOLE && tcp->offset >> 4 > 5)
				p->carrier = SH_CARRIER_SYN;
		} else if (!(tcp->flags & SH_TCP_SYN)) {
			p->marks = tcp->flags & (SH_TCP_FIN | SH_TCP_RST) ? SH_SESSION_CLOSING : SH_SESSION_OPEN;
		}
	}
	return sh_parse_ports(frame, p, p->l4, 0);
}

/* A TCP packet that begins no connection: it belongs to one, whether or not that is known here. */
SH_INLINE int sh_parsed_continues(const struct sh_parsed *p)
{
	return p->protocol == SH_TCP && !(p->marks & SH_SESSION_BEGINS);
}

/* The flow that a tag covers: a later fragment can't know its ports, so no fragment's tag covers them. */
SH_INLINE void sh_parsed_tag_flow(struct sh_parsed *p)
{
	if (p->fragmentation != SH_WHOLE) {
		p->flow.source_port = 0;
		p->flow.destination_port = 0;
	}
}

#endif
