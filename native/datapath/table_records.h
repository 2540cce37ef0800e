/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * table_records.h - the records of the tables, as the packet program reads them.
 * Generated from native/datapath/table_fields.yaml by scripts/table-fields.mjs; do not edit.
 */
#ifndef SHUNT_DATAPATH_TABLE_RECORDS_H
#define SHUNT_DATAPATH_TABLE_RECORDS_H

#include "datapath/types.h"

/* clang-format off */

/* Roles of this host, or-ed. */
enum {
	SH_ROLE_GATEWAY = 1,
	SH_ROLE_BACKEND = 2,
};

/* What of a flow is hashed to choose a row. */
enum {
	SH_SPREAD_BY_FLOW = 0,   /* the whole 5-tuple */
	SH_SPREAD_BY_SOURCE = 1, /* the source address alone: all flows of a client go to one target */
	SH_SPREAD_BY_CLIENT = 2, /* source address and port: where a session spans a service's ports and addresses */
};

/* How the packet program chooses among a redirection's rows (lookup/choose.h). */
enum {
	SH_CHOOSE_ROW = 0,         /* the row that the hash names */
	SH_CHOOSE_LESS_LOADED = 1, /* of two rows that two hashes name, the one whose target has less load */
};

/* What a rule does with its sources beside choosing their target. */
enum {
	SH_DENY_NONE = 0,   /* they are served */
	SH_DENY_REFUSE = 1, /* they are refused and told so */
	SH_DENY_SILENT = 2, /* they are refused without an answer */
};

/* What a gateway does with a packet that carries a capability (protocol.md, section 6). */
enum sh_answer {
	SH_ANSWER_FORWARD = 0,          /* as with any other packet */
	SH_ANSWER_FORWARD_INDICATE = 1, /* forwards it; the target puts the redirect in its reply */
	SH_ANSWER_INDICATE = 2,         /* the redirect alone, to the client */
	SH_ANSWER_RETURN = 3,           /* the redirect and the packet, to the client */
};

/* Administrative state of a target, or of this host as a backend. */
enum sh_target_state {
	SH_INACTIVE = 0,
	SH_ACTIVE = 1,
	SH_DRAINING = 2,
};

/* A key under which headers are signed and verified, at the index of its key id. */
struct sh_key {
	u64 k[2];     /* 128 bits */
	u32 valid;    /* 0: no key has this id */
	u32 reserved;
};
SH_STATIC_ASSERT(sizeof(struct sh_key) == 24, "native/datapath/table_fields.yaml");

/* sh_service.flags */
enum {
	SH_SERVICE_INVITED_ONLY = 1,     /* On a backend: direct packets only of clients that showed a ticket */
	SH_SERVICE_REFUSES_SILENTLY = 2, /* A packet that no target is to serve is dropped, not answered */
	SH_SERVICE_NO_SESSION = 4,       /* Each datagram is chosen by itself, and no record is kept */
};

/* A service: the address, port and protocol that clients use. Slot of an open-addressed table, keyed by the first
 * three fields; an empty slot has id 0. On a backend a service has further slots of the same id: the backend's own
 * addresses and the ports at which the service listens there, which redirected clients use. A slot of several ports
 * has protocol | SH_PROTOCOL_RANGE and port 0 (lookup/wide.h). */
struct sh_service {
	struct sh_addr address;               /* What clients send to (VIP) */
	be16 port;                            /* What clients send to; the first of several */
	u8 protocol;                          /* 6 (TCP) or 17 (UDP) */
	u8 family;                            /* Of the address */
	u16 id;                               /* Stable across sets of tables: sessions name it */
	u16 redirection;                      /* Index into redirections, for a source that no rule matches */
	u32 idle_ticks;                       /* idle_ms in ticks */
	u32 idle_sent_ticks;                  /* idle_sent_ms in ticks */
	u8 prefix_lengths[SH_PREFIX_LENGTHS]; /* Of its rules, longest first */
	u8 prefix_count;                      /* Entries of prefix_lengths */
	u8 flags;                             /* SH_SERVICE_*, or-ed */
	u16 first;                            /* The first of its ports, in host order */
	u32 idle_transitory_ticks;            /* idle_transitory_ms in ticks; of UDP idle_ms */
	u16 last;                             /* The last of its ports, in host order */
	u8 address_length;                    /* Of a prefix of addresses, mapped form; 128: one address */
	u8 reserved[5];
};
SH_STATIC_ASSERT(sizeof(struct sh_service) == 64, "a service is one cache line");

/* A rule: sources of one prefix -> a redirection. Slot keyed by {service, length, prefix}; an empty slot has
 * service 0. */
struct sh_rule {
	struct sh_addr prefix; /* Bits beyond the length are zero */
	u16 service;           /* A service's id */
	u16 redirection;       /* Index into redirections */
	u8 length;             /* Of the mapped form: an IPv4 /24 is 120 */
	u8 reserved[11];
};
SH_STATIC_ASSERT(sizeof(struct sh_rule) == 32, "two rules a cache line");

/* A redirection: the record that answers a source of a service. Its forwarding table is rows[first_row ..]; a row
 * is the id of a target. */
struct sh_redirection {
	u32 first_row;  /* Index into the rows of all redirections */
	u32 rows;       /* Rows of this one; 0: no active target */
	u8 spread;      /* Of SPREAD */
	u8 choice;      /* Of CHOICE */
	u8 deny;        /* Of DENY; with no rows */
	u8 reserved[5];
};
SH_STATIC_ASSERT(sizeof(struct sh_redirection) == 16, "four redirections a cache line");

/* sh_target.flags */
enum {
	SH_TARGET_RESOLVED = 1, /* next_hop is known */
};

/* A target: one backend at one port on one set of terms, so that a session's next packet needs this cache line
 * alone to be forwarded. The index is stable across sets of tables (sessions name it). Index 0 is no target;
 * SH_TARGET_LOCAL stands for this host in a backend's own sessions. */
struct sh_target {
	struct sh_addr address; /* Service address: destination of the header and of the outer packet */
	struct sh_addr source;  /* Outer source, this host's own; all zero if unknown */
	u8 next_hop[6];         /* Ethernet destination; null: not resolved */
	u8 own_mac[6];          /* Ethernet source */
	be16 port;              /* Service port; 0: the port that the client sends to */
	u8 family;              /* Of address and source */
	u8 epoch;               /* Moves when the target goes down: its sessions choose anew */
	u8 state;               /* Of TARGET_STATE */
	u8 flags;               /* SH_TARGET_*, or-ed */
	u16 mtu;                /* Of the link towards it, bytes of IP packet */
	u32 ifindex;            /* Of that link */
	u16 alternative;        /* Another target of the same redirection and family, or 0 */
	u16 lease_s;            /* The terms, as the header carries them: with the leased flag, how long */
	u8 header_flags;        /* R, P, O, L as they stand in the header */
	u8 answer;              /* Of ANSWER: to a packet that carries a capability */
	u16 load;               /* Over capacity, relative to the service's other targets, up to FULL_LOAD */
};
SH_STATIC_ASSERT(sizeof(struct sh_target) == 64, "a target is one cache line");

/* What holds for the whole set. One per set of tables. */
struct sh_control {
	u64 seed[2];                            /* Secret seeds of the flow hash; the same on all gateways (they must choose alike) */
	u64 seed_ipv4;                          /* seed[0] after the first half of any IPv4 address (hash.h) */
	struct sh_key sign;                     /* The key of id sign_key */
	u64 wall_offset_ns;                     /* Add to the monotonic clock for nanoseconds since 1970 */
	u32 epoch;                              /* Of this set of tables */
	u32 roles;                              /* Of ROLE, or-ed */
	u32 service_mask;                       /* Slots - 1 of each table; slots are powers of two */
	u32 rule_mask;
	u32 own_mask;
	u32 redirections;                       /* Entries */
	u32 rows;                               /* Entries, of all forwarding tables together */
	u32 targets;                            /* Entries */
	u32 bucket4_mask;                       /* Buckets - 1 of the IPv4 session table */
	u32 bucket6_mask;
	u32 fragment_mask;
	u16 window_s;                           /* How far a time of issue may be from now */
	be16 tunnel_port;                       /* Of Geneve */
	u8 sign_key;                            /* Key id under which this host signs */
	u8 max_hops;                            /* How often one packet may be forwarded again (protocol.md) */
	u8 own_state;                           /* Of TARGET_STATE: this host as a backend */
	u8 wide;                                /* A service has several ports or a prefix of addresses (lookup/wide.h) */
	be16 control_port;                      /* Where control datagrams arrive at every service address */
	u8 members_only;                        /* There are members: no other address may use the tunnel */
	u8 reserved;
	u32 limit_period;                       /* Between two answers to one source, in 1,024 ns; 0: no limit */
	u32 limit_tolerance;                    /* How far the first few may be ahead of that */
	u32 limit_all_period;                   /* The same of all sources together */
	u32 limit_all_tolerance;
	u32 station_count;                      /* Entries of stations */
	u32 reserved2;
	u64 stations[SH_STATIONS];              /* As sh_station_key makes them */
	u8 address_lengths[SH_ADDRESS_LENGTHS]; /* Of the services' prefixes of addresses, longest first; 0 ends them */
};
SH_STATIC_ASSERT(sizeof(struct sh_control) == 400, "native/datapath/table_fields.yaml");

/* clang-format on */

#endif
