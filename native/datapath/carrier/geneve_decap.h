/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * geneve_decap.h - what a backend does with a packet of the tunnel: verify the redirection header, then decapsulate.
 *
 * Owns: the order of the checks (docs/protocol.md, "Receiver"): the cheap ones first, the tag last, because it is the most
 * expensive and covers what the others have read.
 * Must never: deliver a packet whose tag it has not verified.
 */
#ifndef SHUNT_DATAPATH_CARRIER_GENEVE_DECAP_H
#define SHUNT_DATAPATH_CARRIER_GENEVE_DECAP_H

#include "datapath/carrier/geneve.h"
#include "datapath/lookup/choose.h"
#include "datapath/parse/checksum.h"
#include "datapath/signal/ticket.h"

/* RFC 8926 3.4: the Geneve header at p->l4 + 8, our option, our header. On success `inner` says where the inner packet
 * begins. */
SH_INLINE u8 sh_decap_headers(const struct sh_frame *frame, const struct sh_parsed *p, struct sh_header *header,
                              struct sh_parsed *inner)
{
	const struct sh_tunnel *tunnel = (const struct sh_tunnel *)(frame->data + SH_OFFSET(p->l4));
	u32 options, length;
	int reason;

	if ((const u8 *)(tunnel + 1) > frame->end)
		return SH_R_tunnel_bad;
	options = (u32)(tunnel->geneve.version_length & 0x3f) * 4;
	if (tunnel->geneve.version_length >> 6 || tunnel->geneve.flags & 0x80)
		return SH_R_tunnel_bad;
	if (options < sizeof(tunnel->option) || tunnel->option.class_be != sh_htons(SH_GENEVE_OPTION_CLASS) ||
	    tunnel->option.type != SH_GENEVE_OPTION_TYPE)
		return SH_R_tunnel_no_header;
	length = (u32)(tunnel->option.length & 0x1f) * 4;
	if (options != sizeof(tunnel->option) + length)
		return SH_R_header_length;
	inner->ethertype = tunnel->geneve.protocol;
	inner->l3 = (u16)(p->l4 + sizeof(*tunnel) + length);
	if ((u32)inner->l3 > (u32)p->l3 + p->ip_length)
		return SH_R_header_length;
	reason = sh_header_decode(header, (const u8 *)(tunnel + 1), frame->end, length);
	return reason ? (u8)reason : (u8)SH_CONTINUE;
}

/* Behind the tag, so that the reason is evidence of a clock: it takes a key to produce it. */
SH_INLINE u8 sh_decap_window(const struct sh_env *env, const struct sh_control *control, u32 issued)
{
	u32 ahead = issued - sh_now_s(env, control) + control->window_s;

	return ahead > 2u * control->window_s ? SH_R_clock_skew : SH_CONTINUE;
}

/* A tag covers header and flow, not the payload: a header that was seen on the wire could come again before another payload. So
 * the tunnel is accepted from members' addresses alone, where the configuration names them. */
SH_INLINE u8 sh_decap_source(const struct sh_env *env, const struct sh_control *control, const struct sh_addr *source)
{
	if (!control->members_only || sh_own_find(env, control, source, sh_hash_own(control, source)) & SH_OWN_MEMBER)
		return SH_CONTINUE;
	return SH_R_tunnel_source;
}

/* Reads and verifies everything. On SH_CONTINUE, `inner` is the packet that the client sent, and `service` its service. */
SH_INLINE u8 sh_decap_verify(const struct sh_env *env, const struct sh_frame *frame, const struct sh_control *control,
                             const struct sh_parsed *p, struct sh_header *header, struct sh_parsed *inner,
                             const struct sh_service **service)
{
	be16 source_port, destination_port;
	const struct sh_key *key;
	u64 own_hash;
	u8 reason;

	reason = sh_decap_source(env, control, &p->flow.source);
	if (reason != SH_CONTINUE)
		return reason;
	reason = sh_decap_headers(frame, p, header, inner);
	if (reason != SH_CONTINUE)
		return reason;
	if (header->type != SH_T_FORWARD)
		return SH_R_header_type;
	if (header->hops > control->max_hops)
		return SH_R_header_hops;
	key = sh_key_at(env, header->key_id);
	if (!key || !key->valid)
		return SH_R_header_key;
	if (!(sh_own_find(env, control, &header->address, sh_hash_own(control, &header->address)) & SH_OWN_HOST))
		return SH_R_header_elsewhere;

	if (sh_parse_ip(frame, inner) != SH_CONTINUE || sh_parse_transport(frame, inner) != SH_CONTINUE ||
	    (u32)inner->l3 + inner->ip_length > (u32)p->l3 + p->ip_length)
		return SH_R_inner_bad;
	source_port = inner->flow.source_port;
	destination_port = inner->flow.destination_port;
	sh_parsed_tag_flow(inner);
	if (sh_header_tag_of(header, &inner->flow, key->k) != header->tag)
		return SH_R_header_tag;
	reason = sh_decap_window(env, control, header->issued);
	if (reason != SH_CONTINUE)
		return reason;
	inner->flow.source_port = source_port;
	inner->flow.destination_port = destination_port;
	own_hash = sh_hash_own(control, &inner->flow.destination);
	if (inner->fragmentation == SH_FRAGMENT_LATER) {
		*service = 0; /* no port to find it by; its address must still be a service's */
		return sh_own_find(env, control, &inner->flow.destination, own_hash) & SH_OWN_SERVICE
		               ? SH_CONTINUE
		               : SH_R_inner_not_service;
	}
	*service = sh_service_find(env, control, own_hash, &inner->flow.destination, destination_port,
	                           inner->flow.protocol);
	return *service ? SH_CONTINUE : SH_R_inner_not_service;
}

/* RFC 6040 4.2: a router between us met congestion and marked the outer packet (CE). The mark goes inwards if the inner
 * packet's sender understands it; else the packet is dropped, which it does understand. */
SH_INLINE u8 sh_decap_congestion(const struct sh_frame *frame, u8 outer_tos, const struct sh_parsed *inner)
{
	u8 *ip = frame->data + SH_OFFSET(inner->l3);

	if (SH_LIKELY((outer_tos & 3) != 3 || (inner->tos & 3) == 3))
		return SH_CONTINUE;
	if (!(inner->tos & 3))
		return SH_R_congested;
	if (ip + sizeof(struct sh_ipv4) > frame->end)
		return SH_R_inner_bad;
	if (inner->flow.family == SH_IPV4) {
		struct sh_ipv4 *header = (struct sh_ipv4 *)ip;
		u16 before, after;

		before = sh_load16(ip);
		header->tos |= 3;
		after = sh_load16(ip);
		header->checksum = sh_checksum_update(header->checksum, before, after);
	} else {
		ip[1] |= 3 << 4; /* version (4) | traffic class (8) | flow label (20) */
	}
	return SH_CONTINUE;
}

/* R3: the service listens at the header's port here. The client's packet gets it as its destination (in an ICMP error's
 * quote, which the service is said to have sent: as its source), the checksum follows, and the answers are turned back on
 * their way out. A later fragment has no ports. */
SH_INLINE u8 sh_decap_port(const struct sh_frame *frame, const struct sh_parsed *inner, be16 port)
{
	struct sh_udp *udp = (struct sh_udp *)(frame->data + SH_OFFSET(inner->ports));
	struct sh_tcp *tcp = (struct sh_tcp *)udp;

	if (!inner->ports || port == inner->flow.destination_port)
		return SH_CONTINUE;
	if ((u8 *)udp + 4 > frame->end)
		return SH_R_inner_bad;
	if (inner->icmp_error) { /* the quote's own checksum is not verified, as it may be cut off */
		struct sh_icmp *icmp = (struct sh_icmp *)(frame->data + SH_OFFSET(inner->l4));

		if ((u8 *)(icmp + 1) > frame->end)
			return SH_R_inner_bad;
		icmp->checksum = sh_checksum_update(icmp->checksum, udp->source, port);
		udp->source = port;
		return SH_CONTINUE;
	}
	if (inner->flow.protocol == SH_TCP) {
		if ((u8 *)(tcp + 1) > frame->end)
			return SH_R_inner_bad;
		tcp->checksum = sh_checksum_update(tcp->checksum, udp->destination, port);
	} else {
		if ((u8 *)(udp + 1) > frame->end)
			return SH_R_inner_bad;
		if (udp->checksum) { /* 0: the sender made none (RFC 768) */
			u16 sum = sh_checksum_update(udp->checksum, udp->destination, port);

			udp->checksum = sum ? sum : 0xffff;
		}
	}
	udp->destination = port;
	return SH_CONTINUE;
}

/* Takes the inner packet out: the frame is then Ethernet as it came, and the packet. 0, or -1. */
SH_INLINE int sh_decap(struct sh_frame *frame, const struct sh_parsed *inner)
{
	struct sh_ethernet link, *eth = (struct sh_ethernet *)frame->data;

	if ((u8 *)(eth + 1) > frame->end)
		return -1;
	link = *eth;
	if (sh_trim(frame, (u32)inner->l3 + inner->ip_length) || sh_pop(frame, (u32)inner->l3 - (u32)sizeof(link)))
		return -1;
	eth = (struct sh_ethernet *)frame->data;
	if ((u8 *)(eth + 1) > frame->end)
		return -1;
	__builtin_memcpy(eth->destination, link.destination, 6);
	__builtin_memcpy(eth->source, link.source, 6);
	eth->type = inner->ethertype;
	return 0;
}

#endif
