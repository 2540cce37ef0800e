/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * geneve.h - the tunnel between servers: Geneve (RFC 8926) with one option, the redirection header (docs/protocol.md, 4.1).
 *
 * Owns: the layout of the outer headers, and how a packet of the tunnel is recognised.
 */
#ifndef SHUNT_DATAPATH_CARRIER_GENEVE_H
#define SHUNT_DATAPATH_CARRIER_GENEVE_H

#include "datapath/header.h"
#include "datapath/parse/parse.h"

/* docs/protocol.md, "Geneve": an option of an experimental class, with the critical bit. */
enum { SH_GENEVE_OPTION_CLASS = 0xff17, SH_GENEVE_OPTION_TYPE = 0x81 };

enum { SH_OUTER_TTL = 64 };

struct sh_tunnel {
	struct sh_udp udp;
	struct sh_geneve geneve;
	struct sh_geneve_option option;
} SH_PACKED;

struct sh_outer4 {
	struct sh_ethernet eth;
	struct sh_ipv4 ip;
	struct sh_tunnel tunnel;
	u8 header[SH_HEADER_V4];
} SH_LAYERED;

struct sh_outer6 {
	struct sh_ethernet eth;
	struct sh_ipv6 ip;
	struct sh_tunnel tunnel;
	u8 header[SH_HEADER_V6];
} SH_LAYERED;

/* Bytes that the tunnel adds to an IP packet, by the family of the target. */
SH_INLINE u32 sh_geneve_overhead(u8 family)
{
	return (u32)(family == SH_IPV4 ? sizeof(struct sh_outer4) : sizeof(struct sh_outer6)) -
	       (u32)sizeof(struct sh_ethernet);
}

/* Is this packet, parsed as far as its IP header, for our tunnel? */
SH_INLINE int sh_is_tunnel_packet(const struct sh_frame *frame, const struct sh_control *control,
                                  const struct sh_parsed *p)
{
	const struct sh_udp *udp = (const struct sh_udp *)(frame->data + SH_OFFSET(p->l4));

	return p->protocol == SH_UDP && p->fragmentation == SH_WHOLE && (const u8 *)(udp + 1) <= frame->end &&
	       udp->destination == control->tunnel_port;
}

#endif
