/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * maps.h - what the host agent's BPF programs and their loader both know of their maps.
 *
 * Owns: the layout of services, bindings, flows, counters and events.
 * Must never: include a system header that clang cannot compile for BPF.
 */
#ifndef SHUNT_AGENT_MAPS_H
#define SHUNT_AGENT_MAPS_H

#include "datapath/types.h"

enum {
	AG_SERVICES = 256, /* at most */
	AG_FLOWS = 65536,  /* of each kind, by least recent use */
	AG_SYNS = 4096,    /* connections that are being opened at once */
	AG_RING_BYTES = 1 << 18,
	AG_SYN_BYTES = 136,    /* Ethernet, IP and TCP with all options */
	AG_HEADER_BYTES = 64,  /* the longest redirection header */
	AG_TELL_NS = 20000000, /* traffic that wants a binding is told of so often at most, per service */
};

/* A UDP flow with a handshake is a new one after this time without a packet. QUIC's and DTLS's own idle timeouts are shorter. */
#define AG_FLOW_IDLE_NS 120000000000ull

/* A heartbeat older than this: no agent renews leases or watches targets, so nothing new is bound. */
#define AG_PATIENCE_NS 3000000000ull

struct ag_service_key {
	struct sh_addr address;
	be16 port;
	u8 protocol;
	u8 reserved[5];
};
SH_STATIC_ASSERT(sizeof(struct ag_service_key) == 24, "a key is compared as bytes");

/* A service and, where `bound`, the target that serves it until `until_ns` (CLOCK_BOOTTIME). */
struct ag_service {
	struct sh_addr target;
	struct sh_addr source; /* whose packets: the address that was redirected */
	u64 until_ns;
	u8 nonce[8]; /* shown on a SYN, and behind datagrams, while there is no binding; zero: none is */
	u32 ifindex; /* by which the target is reached; 0: the way that the packet goes anyhow */
	u32 index;   /* of its counters */
	be16 port;
	u8 bound;
	u8 once; /* term "once": TCP: the binding is for one connection; UDP: there is none here, flows have their own */
	u32 taken; /* by a connection, where `once` */
};

/* The target and port of a service's binding: what the agent judges by their answers. */
struct ag_bound {
	struct sh_addr target;
	be16 port; /* 0: none */
	u16 reserved;
	u32 unused;
};

/* A flow that has a path of its own, by the addresses that its application knows: redirected TCP connections; UDP flows with a
 * handshake (QUIC, DTLS), redirected or not, whose first packet has decided it; and UDP flows that are redirected once. */
struct ag_flow {
	struct sh_addr target;
	u64 last_ns;  /* of UDP: when its last packet left (CLOCK_BOOTTIME) */
	u64 heard_ns; /* of UDP with `once`: when the target's last packet came */
	u32 ifindex;
	u32 index;
	be32 sequence; /* of the SYN */
	be16 port;     /* 0: it stays with the gateway */
	u8 answered;   /* the target has accepted it */
	u8 once;       /* redirected by a redirect for this flow alone */
};

/* The SYN that the application has sent last, as it came from the stack: its checksum may be unfinished. */
struct ag_syn {
	u32 ifindex;
	u32 length;
	be32 sequence;
	u8 frame[AG_SYN_BYTES];
};

/* The same flow, by the addresses on the wire: whose answers these are. */
struct ag_origin {
	struct sh_addr service;
	u32 index;
	be16 port;
	u8 once; /* the flow's ag_flow wants to know of it */
	u8 reserved;
};

struct ag_counts {
	u64 to_gateway;
	u64 to_target;
	u64 from_target;
	u64 errors;  /* ICMP that quoted a redirected packet */
	u64 refused; /* connections that a target refused */
	u64 told_ns;
	u64 handshakes; /* UDP flows whose path was decided by their first packet */
	u64 to_bound;   /* of to_target and from_target: of the target that the service is bound to now */
	u64 from_bound;
};

enum ag_event_kind {
	AG_TRAFFIC = 1, /* for the service, and there is no binding */
	AG_UNREACHABLE, /* a target, as ICMP says */
	AG_REFUSED,     /* a connection, by a target: by a RST, or by silence until its SYN is sent again */
	AG_OFFERED,     /* a redirect, in the RST that answered a SYN, or in a datagram of the service's */
	AG_ACCEPTED,    /* a connection that was redirected once, by its target */
};

struct ag_event {
	u32 kind;
	u32 index;
	struct sh_addr target;
	struct sh_addr source; /* of the datagrams that a redirect may move */
	be16 port;
	be16 source_port; /* 0: none may be moved */
	u32 header_bytes;
	u8 header[AG_HEADER_BYTES];
	struct ag_syn syn; /* to be sent once more; length 0: none */
	u32 reserved;
};

struct ag_state {
	u64 heartbeat_ns; /* CLOCK_BOOTTIME */
};

#endif
