/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * tables.h - what the control plane publishes and the packet program reads.
 *
 * Owns: the layout of every table. All tables are plain arrays reached by index, because that is what both engines
 * can map: the kernel as BPF array maps, user space as one block of memory. Hash tables are open-addressed within
 * SH_PROBES neighbours; the builder (native/engine/tables.cc) grows a table until everything fits.
 * Must never: be written by the packet program. A set of tables is immutable; a change is a whole new set with
 * epoch + 1 (architecture.md, decision 3).
 */
#ifndef SHUNT_DATAPATH_TABLES_H
#define SHUNT_DATAPATH_TABLES_H

#include "datapath/types.h"

#define SH_PROBES 8          /* slots looked at in an open-addressed table */
#define SH_PREFIX_LENGTHS 16 /* distinct source prefix lengths per service */
#define SH_KEYS 256          /* key ids fit the header's 8 bits */

#define SH_LIMITS 65536            /* cells of the limit on answers (signal/rate_limit.h), and one for all together */
#define SH_PENDING_REDIRECTS 16384 /* clients that a backend is to tell at once (signal/pending_redirect.h) */

#define SH_SCRATCH_BYTES 832 /* what a packet on its way keeps outside the stack (platform.h) */

/* The session table's clock: one tick is 2^20 ns (about 1.05 ms), so a tick costs a shift, not a division. */
#define SH_TICK_SHIFT 20

/* sh_control.roles */
enum { SH_ROLE_GATEWAY = 1, SH_ROLE_BACKEND = 2 };

/* A key under which headers are signed and verified, at the index of its key id. */
struct sh_key {
	u64 k[2];
	u32 valid;
	u32 reserved;
};

/* What holds for the whole set. One per set of tables. */
struct sh_control {
	u64 seed[2];        /* secret seeds of the flow hash; the same on all gateways (they must choose alike) */
	u64 seed_ipv4;      /* seed[0] after the first half of an IPv4 address, which is the same for all (hash.h) */
	struct sh_key sign; /* the key of id sign_key */
	u64 wall_offset_ns; /* add to the monotonic clock for nanoseconds since 1970 */
	u32 epoch;          /* of this set of tables */
	u32 roles;          /* SH_ROLE_*, or-ed */
	u32 service_mask;   /* slots - 1 of each table; slots are powers of two */
	u32 rule_mask;
	u32 own_mask;
	u32 redirections; /* entries */
	u32 rows;         /* entries, of all forwarding tables together */
	u32 targets;      /* entries */
	u32 bucket4_mask; /* buckets - 1 of the IPv4 session table */
	u32 bucket6_mask;
	u32 fragment_mask;
	u16 window_s;     /* how far `issued` may be from now, seconds */
	be16 tunnel_port; /* Geneve's 6081 unless configured */
	u8 sign_key;      /* key id under which this host signs */
	u8 max_hops;      /* at most 5 (protocol.md) */
	u8 own_state;     /* enum sh_target_state, of this host as a backend */
	u8 reserved;
	be16 control_port; /* where control datagrams are taken for every service of an address */
	u16 reserved2;
	u32 limit_period;     /* between two answers to one source, in 1,024 ns; 0: no limit */
	u32 limit_tolerance;  /* how far the first few may be ahead of that */
	u32 limit_all_period; /* the same of all sources together */
	u32 limit_all_tolerance;
	u32 reserved3;
};

enum {
	SH_SERVICE_INVITED_ONLY = 1
}; /* sh_service.flags: on a backend, direct packets only of clients that showed a ticket */

/* A service: the address, port and protocol that clients use. Slot of an open-addressed table, keyed by the first
 * three fields; an empty slot has id 0. On a backend a service has further slots, of the same id: its own addresses, and
 * the ports at which the service listens there, which redirected clients use and answers to them come from. */
struct sh_service {
	struct sh_addr address;
	be16 port;
	u8 protocol; /* SH_UDP or SH_TCP */
	u8 family;
	u16 id;              /* stable across sets of tables: sessions name it */
	u16 redirection;     /* for a source that no rule names */
	u32 idle_ticks;      /* a session expires this long after the client's last packet, */
	u32 idle_sent_ticks; /* or this long after the backend's, whichever is later; 0: what is sent keeps none alive */
	u8 prefix_lengths[SH_PREFIX_LENGTHS]; /* of this service's rules, longest first, of the 128-bit mapped form */
	u8 prefix_count;
	u8 flags; /* SH_SERVICE_* */
	u8 reserved[14];
};
SH_STATIC_ASSERT(sizeof(struct sh_service) == 64, "a service is one cache line");

/* A rule: sources of one prefix -> a redirection. Slot keyed by {service, length, prefix}; an empty slot has service 0. */
struct sh_rule {
	struct sh_addr prefix; /* bits beyond length are zero; IPv4 in mapped form, so /24 is length 120 */
	u16 service;
	u16 redirection;
	u8 length;
	u8 reserved[11];
};
SH_STATIC_ASSERT(sizeof(struct sh_rule) == 32, "two rules a cache line");

/* sh_redirection.spread: what is hashed for the row */
enum {
	SH_SPREAD_BY_FLOW,   /* the whole 5-tuple */
	SH_SPREAD_BY_SOURCE, /* the source address alone: all flows of a client go to one target */
};

/* sh_redirection.choice: how a row is come to */
enum {
	SH_CHOOSE_ROW,         /* the row that the hash names */
	SH_CHOOSE_LESS_LOADED, /* of two rows that two hashes name, the one whose target has the smaller load */
};

/* A redirection: the record that answers a source of a service. Its forwarding table is rows[first_row ..]; a row is
 * the index of a target. */
struct sh_redirection {
	u32 first_row;
	u32 rows;  /* 0: no active target */
	u8 spread; /* SH_SPREAD_* */
	u8 choice; /* SH_CHOOSE_* */
	u8 reserved[6];
};
SH_STATIC_ASSERT(sizeof(struct sh_redirection) == 16, "four redirections a cache line");

/* What a gateway does with a packet that shows the capability (protocol.md, section 6). */
enum sh_answer {
	SH_ANSWER_FORWARD,          /* as with any other */
	SH_ANSWER_FORWARD_INDICATE, /* the target tells the client, in its reply */
	SH_ANSWER_INDICATE,         /* the redirect alone, to the client */
	SH_ANSWER_RETURN,           /* the redirect and the packet, to the client */
};

enum sh_target_state { SH_INACTIVE, SH_ACTIVE, SH_DRAINING };
enum { SH_TARGET_RESOLVED = 1 }; /* sh_target.flags: next_hop is known */

/* A target: the backend that one redirection names, at one port and on one set of terms, so that a session's next packet
 * needs no more than this cache line to be sent on. The index is stable across sets of tables (sessions name it).
 * Index 0 is no target; SH_TARGET_LOCAL stands for this host in a backend's own sessions. */
#define SH_TARGET_LOCAL 0xffff

struct sh_target {
	struct sh_addr address; /* service address: header and outer destination */
	struct sh_addr source;  /* outer source, this host's own */
	u8 next_hop[6];         /* Ethernet destination */
	u8 own_mac[6];          /* Ethernet source */
	be16 port;              /* service port */
	u8 family;              /* of address and source */
	u8 epoch;               /* moves when the target goes down: its sessions choose anew */
	u8 state;               /* enum sh_target_state */
	u8 flags;
	u16 mtu;         /* of the link towards it, bytes of IP packet */
	u32 ifindex;     /* of that link */
	u16 alternative; /* another target of the same redirection, or 0 */
	u16 lease_s;     /* the terms, as the header carries them: with the leased flag, how long */
	u8 header_flags; /* R, P, O, L of header.h */
	u8 answer;       /* enum sh_answer, to a packet that carries a question */
	u16 load;        /* over capacity, relative to the service's other targets; the smaller the better */
};
SH_STATIC_ASSERT(sizeof(struct sh_target) == 64, "a target is one cache line");

/* What a backend is to tell a client in its next reply (signal/pending_redirect.h). Direct-mapped by the hash of the session's key. */
struct sh_pending_redirect {
	u64 check; /* that hash xor the nonce; 0: nothing */
	u64 nonce;
	struct sh_addr address; /* service address */
	be16 port;
	u16 lease_s;
	u8 flags;   /* of the redirect */
	u8 surplus; /* bytes of the surplus area that the client asked in, at most 255 */
	u16 length; /* of the IP packet that it asked in */
	u32 tick;
	u32 reserved2[5];
};
SH_STATIC_ASSERT(sizeof(struct sh_pending_redirect) == 64, "one cache line");

/* sh_own.kind, or-ed */
enum {
	SH_OWN_SERVICE = 1, /* at least one service has this address: the packet program looks further */
	SH_OWN_HOST = 2,    /* this backend's own service address: packets of the tunnel end here */
};

/* An address whose packets concern us. Open-addressed; an empty slot has kind 0. All else passes after one look-up. */
struct sh_own {
	struct sh_addr address;
	u32 kind;
	u32 reserved[3];
};
SH_STATIC_ASSERT(sizeof(struct sh_own) == 32, "two addresses a cache line");

#endif
