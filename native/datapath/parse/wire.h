/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * wire.h - the headers of other people's protocols, as they stand on the wire.
 *
 * Owns: layouts and constants of Ethernet, 802.1Q, IPv4, IPv6, UDP, TCP, ICMP and Geneve.
 * Must never: hold a byte of our own header (header.h does), or code.
 */
#ifndef SHUNT_DATAPATH_PARSE_WIRE_H
#define SHUNT_DATAPATH_PARSE_WIRE_H

#include "datapath/types.h"

/* IEEE 802.3, 802.1Q, 802.1ad */
struct sh_ethernet {
	u8 destination[6];
	u8 source[6];
	be16 type;
} SH_PACKED;

struct sh_vlan {
	be16 tci;
	be16 type;
} SH_PACKED;

enum { SH_ETH_IPV4 = 0x0800, SH_ETH_IPV6 = 0x86dd, SH_ETH_VLAN = 0x8100, SH_ETH_QINQ = 0x88a8 };

/* RFC 791 */
struct sh_ipv4 {
	u8 version_ihl;
	u8 tos;
	be16 length; /* header and payload, bytes */
	be16 id;
	be16 fragment; /* flags (3) | offset in 8 bytes (13) */
	u8 ttl;
	u8 protocol;
	u16 checksum;
	be32 source;
	be32 destination;
} SH_PACKED;

enum { SH_IPV4_DF = 0x4000, SH_IPV4_MF = 0x2000, SH_IPV4_OFFSET = 0x1fff };

/* RFC 8200 */
struct sh_ipv6 {
	be32 version_class_label;
	be16 length; /* payload, extension headers included, bytes */
	u8 next;
	u8 hops;
	struct sh_addr source;
	struct sh_addr destination;
} SH_PACKED;

/* RFC 8200 4.5. The other extension headers that we walk begin with the same byte, and have their length in the
 * second: (length + 1) * 8 bytes (RFC 8200 4.2). None is shorter than 8. */
struct sh_ipv6_fragment {
	u8 next;
	u8 reserved;
	be16 offset; /* offset in 8 bytes (13) | reserved (2) | more (1) */
	be32 id;
} SH_PACKED;

enum {
	SH_EXT_HOP_BY_HOP = 0,
	SH_EXT_ROUTING = 43,
	SH_EXT_FRAGMENT = 44,
	SH_EXT_AUTHENTICATION = 51,
	SH_EXT_DESTINATION = 60,
};

/* RFC 768 */
struct sh_udp {
	be16 source;
	be16 destination;
	be16 length;
	u16 checksum;
} SH_PACKED;

/* RFC 9293 3.1 */
struct sh_tcp {
	be16 source;
	be16 destination;
	be32 sequence;
	be32 acknowledgement;
	u8 offset; /* header length in 4 bytes (4) | reserved (4) */
	u8 flags;
	be16 window;
	u16 checksum;
	be16 urgent;
} SH_PACKED;

/* sh_tcp.flags */
enum { SH_TCP_FIN = 1, SH_TCP_SYN = 2, SH_TCP_RST = 4, SH_TCP_ACK = 16 };

/* RFC 792, RFC 4443: the 8 bytes before the quoted packet */
struct sh_icmp {
	u8 type;
	u8 code;
	u16 checksum;
	be16 rest;
	be16 mtu; /* RFC 1191; ICMPv6 packet-too-big takes rest and mtu together */
} SH_PACKED;

enum {
	SH_ICMP_UNREACHABLE = 3,
	SH_ICMP_PORT_UNREACHABLE = 3,     /* code */
	SH_ICMP_FRAGMENTATION_NEEDED = 4, /* code */
	SH_ICMP_TIME_EXCEEDED = 11,
	SH_ICMP_PARAMETER_PROBLEM = 12,
	SH_ICMPV6_UNREACHABLE = 1,
	SH_ICMPV6_PORT_UNREACHABLE = 4,  /* code */
	SH_ICMPV6_PARAMETER_PROBLEM = 4, /* types 1 to 4 are the errors */
	SH_ICMPV6_TOO_BIG = 2,
};

/* RFC 8926 3.4 */
struct sh_geneve {
	u8 version_length; /* version (2) | length of the options in 4 bytes (6) */
	u8 flags;          /* O (control) | C (a critical option is there) | reserved */
	be16 protocol;     /* Ethertype of what follows */
	be32 vni;
} SH_PACKED;

/* RFC 8926 3.5 */
struct sh_geneve_option {
	be16 class_be;
	u8 type;   /* the high bit: critical, drop when unknown */
	u8 length; /* reserved (3) | of the data, in 4 bytes (5) */
} SH_PACKED;

enum { SH_GENEVE_CRITICAL = 0x40 };

SH_STATIC_ASSERT(sizeof(struct sh_ethernet) == 14, "as on the wire");
SH_STATIC_ASSERT(sizeof(struct sh_ipv4) == 20, "as on the wire");
SH_STATIC_ASSERT(sizeof(struct sh_ipv6) == 40, "as on the wire");
SH_STATIC_ASSERT(sizeof(struct sh_udp) == 8, "as on the wire");
SH_STATIC_ASSERT(sizeof(struct sh_tcp) == 20, "as on the wire");
SH_STATIC_ASSERT(sizeof(struct sh_icmp) == 8, "as on the wire");
SH_STATIC_ASSERT(sizeof(struct sh_geneve) == 8, "as on the wire");

#endif
