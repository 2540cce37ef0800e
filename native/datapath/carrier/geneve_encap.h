/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * geneve_encap.h - adds the redirection header to a packet and encapsulates both for the target.
 *
 * Owns: the bytes of the outer packet: Ethernet, IP, UDP, Geneve, its one option, which is the redirection header.
 * Must never: change a byte of the inner packet. It is carried from its IP header to its end, without Ethernet.
 */
#ifndef SHUNT_DATAPATH_CARRIER_GENEVE_ENCAP_H
#define SHUNT_DATAPATH_CARRIER_GENEVE_ENCAP_H

#include "datapath/carrier/geneve.h"
#include "datapath/parse/checksum.h"
#include "datapath/signal/ticket.h"
#include "datapath/tables.h"
#include "datapath/tag/header_tag.h"
#include "datapath/tag/tag_cache.h"

/* What one packet's header says beyond what all of its target's say. */
struct sh_packet_fields {
	u64 nonce; /* the client's: the target is to tell it where to go */
	u8 flags;  /* F, or 0 */
	u8 hops;
	be16 port; /* of the service at the target, where that is the client's own; 0: the target's */
	u8 reserved[4];
};

SH_INLINE int sh_packet_fields_none(const struct sh_packet_fields *fields)
{
	return !(fields->nonce | fields->flags | fields->hops | fields->port);
}

SH_INLINE void sh_encap_link(struct sh_ethernet *eth, const struct sh_target *target, u16 type)
{
	__builtin_memcpy(eth->destination, target->next_hop, 6);
	__builtin_memcpy(eth->source, target->own_mac, 6);
	eth->type = sh_htons(type);
}

/* `below` is the number of bytes that follow the outer UDP header. */
SH_INLINE void sh_encap_tunnel(struct sh_tunnel *tunnel, const struct sh_control *control, const struct sh_parsed *p,
                               u64 entropy, u32 header_length)
{
	u32 below = (u32)sizeof(*tunnel) - (u32)sizeof(tunnel->udp) + header_length + p->ip_length;

	tunnel->udp.source = sh_htons(0x8000 | (entropy & 0x7fff));
	tunnel->udp.destination = control->tunnel_port;
	tunnel->udp.length = sh_htons(sizeof(tunnel->udp) + below);
	/* Zero, over IPv6 as well (RFC 6935, RFC 6936): the inner packet has its own checksum, the header its tag. */
	tunnel->udp.checksum = 0;
	tunnel->geneve.version_length = (u8)((sizeof(tunnel->option) + header_length) / 4);
	tunnel->geneve.flags = SH_GENEVE_CRITICAL;
	tunnel->geneve.protocol = p->ethertype;
	tunnel->geneve.vni = 0;
	tunnel->option.class_be = sh_htons(SH_GENEVE_OPTION_CLASS);
	tunnel->option.type = SH_GENEVE_OPTION_TYPE;
	tunnel->option.length = (u8)(header_length / 4);
}

/* The tag of a header whose start may be kept. `form` is a constant: all others than IPv4 in IPv4 are computed whole. */
SH_INLINE u64 sh_encap_compute_tag(const struct sh_env *env, const struct sh_control *control,
                                   const struct sh_header *header, struct sh_header *room, u8 form,
                                   const struct sh_flow *flow, const struct sh_tag_basis *basis)
{
	struct sh_cached_start *kept;
	struct sh_siphash state;

	if (form || flow->family != SH_IPV4) {
		*room = *header;
		return sh_header_tag_of(room, flow, control->sign.k);
	}
	kept = sh_cached_start_at(env, basis->target % SH_CACHED_STARTS);
	if (kept && sh_tag_basis_equal(&kept->header, basis)) {
		state = kept->state;
	} else {
		sh_header_tag_start(&state, header, sh_header_word0(header, header->type, header->flags),
		                    control->sign.k);
		if (kept) {
			kept->header = *basis;
			kept->state = state;
		}
	}
	return sh_header_tag_finish(&state, flow, sh_header_flow_ports(flow));
}

/* The tag of this header: kept, or computed and kept. `flow_hash` is the session's; 0: this packet's tag is not to be kept. */
SH_INLINE u64 sh_encap_tag(const struct sh_env *env, const struct sh_control *control, const struct sh_header *header,
                           struct sh_header *room, u8 form, const struct sh_flow *flow, u16 target, u64 flow_hash)
{
	struct sh_tag_basis basis = {header->issued, control->epoch, target};
	struct sh_cached_tag *kept;
	u64 tag;

#ifdef SH_WITHOUT_TAG /* for the benchmark alone: what does the tag cost? */
	return 0;
#endif
	kept = flow_hash ? sh_cached_tag_at(env, (u32)(flow_hash >> 32) % SH_CACHED_TAGS) : 0;
	if (kept && kept->flow == flow_hash && sh_tag_basis_equal(&kept->header, &basis))
		return kept->tag;
	tag = sh_encap_compute_tag(env, control, header, room, form, flow, &basis);
	if (kept) {
		kept->flow = flow_hash;
		kept->tag = tag;
		kept->header = basis;
	}
	return tag;
}

/* The rare header that says more than all of its target's say: nothing of its tag is kept. */
SH_INLINE void sh_encap_header_with_fields(u8 *out, struct sh_header *header, u8 form, const struct sh_env *env,
                                           const struct sh_control *control, const struct sh_target *target,
                                           const struct sh_flow *flow, const struct sh_packet_fields *fields)
{
	header->address = target->address;
	header->alternative.d[0] = header->alternative.d[1] = 0;
	header->nonce = fields->nonce;
	header->issued = sh_now_s(env, control);
	header->port = fields->port ? fields->port : target->port;
	header->alternative_port = 0;
	header->lease_s = target->lease_s;
	header->type = SH_T_FORWARD;
	header->flags = (u8)((target->header_flags & (SH_F_REDIRECT | SH_F_TERMS)) | form | fields->flags);
	header->hops = fields->hops;
	header->key_id = control->sign_key;
	header->tag =
		sh_header_tag_long(header, flow, (const struct sh_secret *)control->sign.k,
	                           sh_header_word0(header, header->type, header->flags), sh_header_flow_ports(flow));
	sh_header_encode_as(out, header, form);
}

/* `form` is 0 or SH_F_IPV6, a constant: the compiler then knows how many bytes are written, and keeps the header in
 * registers. Only where its tag must be computed is it put down, in `room`. */
SH_INLINE void sh_encap_header(u8 *out, struct sh_header *room, u8 form, const struct sh_env *env,
                               const struct sh_control *control, const struct sh_target *target, u16 index,
                               const struct sh_flow *flow, u64 flow_hash)
{
	struct sh_header header = {
		.address = target->address,
		.issued = sh_now_s(env, control),
		.port = target->port,
		.lease_s = target->lease_s,
		.type = SH_T_FORWARD,
		.flags = (u8)((target->header_flags & (SH_F_REDIRECT | SH_F_TERMS)) | form),
		.key_id = control->sign_key,
	};

	header.tag = sh_encap_tag(env, control, &header, room, form, flow, index, flow_hash);
	sh_header_encode_as(out, &header, form);
}

/* The packet at p->l3 goes to the target, whose index that is. `entropy` is the hash of the session's key, or of a fragment's:
 * it becomes the outer source port, so that the network spreads flows over its paths. Every pointer into the packet is
 * void afterwards. */
SH_INLINE u8 sh_encap(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
                      const struct sh_target *target, u16 index, struct sh_parsed *p, struct sh_header *header,
                      u64 entropy, const struct sh_packet_fields *fields)
{
	u64 flow_hash = p->fragmentation == SH_WHOLE ? entropy : 0;

	if (!control->sign.valid)
		return SH_R_table_missing;
	if (!(target->flags & SH_TARGET_RESOLVED))
		return SH_R_no_next_hop;
	sh_parsed_tag_flow(p);
	/* Ethernet padding is no part of the packet. */
	if (sh_trim(frame, (u32)p->l3 + p->ip_length))
		return SH_R_truncated;

	if (target->family == SH_IPV4) {
		struct sh_outer4 *outer;
		struct sh_ipv4 *ip;

		if (sh_push(frame, (u32)sizeof(*outer) - p->l3))
			return SH_R_no_headroom;
		outer = (struct sh_outer4 *)frame->data;
		if ((u8 *)(outer + 1) > frame->end)
			return SH_R_no_headroom;
		ip = &outer->ip;
		sh_encap_link(&outer->eth, target, SH_ETH_IPV4);
		ip->version_ihl = 0x45;
		ip->tos = p->tos; /* RFC 6040: DSCP and ECN are copied outwards */
		ip->length = sh_htons(sizeof(*outer) - sizeof(outer->eth) + p->ip_length);
		ip->id = 0; /* RFC 6864: never fragmented, so it needs none */
		ip->fragment = sh_htons(SH_IPV4_DF);
		ip->ttl = SH_OUTER_TTL;
		ip->protocol = SH_UDP;
		ip->checksum = 0;
		ip->source = target->source.w[3];
		ip->destination = target->address.w[3];
		ip->checksum = sh_checksum(sh_sum(ip, sizeof(*ip) / 4));
		sh_encap_tunnel(&outer->tunnel, control, p, entropy, sizeof(outer->header));
		if (SH_LIKELY(sh_packet_fields_none(fields)))
			sh_encap_header(outer->header, header, 0, env, control, target, index, &p->flow, flow_hash);
		else
			sh_encap_header_with_fields(outer->header, header, 0, env, control, target, &p->flow, fields);
	} else {
		struct sh_outer6 *outer;
		struct sh_ipv6 *ip;

		if (sh_push(frame, (u32)sizeof(*outer) - p->l3))
			return SH_R_no_headroom;
		outer = (struct sh_outer6 *)frame->data;
		if ((u8 *)(outer + 1) > frame->end)
			return SH_R_no_headroom;
		ip = &outer->ip;
		sh_encap_link(&outer->eth, target, SH_ETH_IPV6);
		ip->version_class_label = sh_htonl(6u << 28 | (u32)p->tos << 20);
		ip->length = sh_htons(sizeof(outer->tunnel) + sizeof(outer->header) + p->ip_length);
		ip->next = SH_UDP;
		ip->hops = SH_OUTER_TTL;
		__builtin_memcpy(&ip->source, &target->source, 16);
		__builtin_memcpy(&ip->destination, &target->address, 16);
		sh_encap_tunnel(&outer->tunnel, control, p, entropy, sizeof(outer->header));
		if (SH_LIKELY(sh_packet_fields_none(fields)))
			sh_encap_header(outer->header, header, SH_F_IPV6, env, control, target, index, &p->flow,
			                flow_hash);
		else
			sh_encap_header_with_fields(outer->header, header, SH_F_IPV6, env, control, target, &p->flow,
			                            fields);
	}
	return SH_CONTINUE;
}

#endif
