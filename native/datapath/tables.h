/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * tables.h - the tables that the control plane publishes and the packet program reads.
 *
 * Owns: the sizes of the tables, and the records that are not published; those that are follow from table_fields.yaml
 * (table_records.h). All tables are plain arrays reached by index, because that is what both engines can map: the
 * kernel as BPF array maps, user space as one block of memory. Hash tables are open-addressed within SH_PROBES
 * neighbours; the builder (native/engine/hash_table.h) grows a table until everything fits.
 * Must never: be written by the packet program. A set of tables is immutable; a change is a whole new set with
 * epoch + 1 (ARCHITECTURE.md, decision 3).
 */
#ifndef SHUNT_DATAPATH_TABLES_H
#define SHUNT_DATAPATH_TABLES_H

#include "datapath/types.h"

#define SH_PROBES 8          /* slots looked at in an open-addressed table */
#define SH_PREFIX_LENGTHS 16 /* distinct source prefix lengths per service */
#define SH_ADDRESS_LENGTHS 8 /* distinct lengths of the services' prefixes of addresses */
#define SH_RANGES 6          /* ranges of ports at one address and protocol; below SH_PROBES */
#define SH_STATIONS 32       /* MAC addresses of all interfaces whose frames are for this host */
#define SH_KEYS 256          /* key ids fit the header's 8 bits */

#define SH_LIMITS 65536 /* cells of the limit on answers (signal/rate_limit.h), and one for all together */
#define SH_LIMIT_OVERSIZE (SH_LIMITS + 1) /* the cell of datagrams that are fragmented (oversize.h) */
#define SH_LIMIT_CELLS (SH_LIMITS + 2)
#define SH_PENDING_REDIRECTS 16384 /* pending redirects of a backend (signal/pending_redirect.h) */
#define SH_FAILURE_REPORTS \
	1024 /* targets that clients report at the same time (signal/failure_report.h); a power of 2 */

#define SH_SCRATCH_BYTES 832 /* what a packet on its way keeps outside the stack (platform.h) */

/* The session table's clock: one tick is 2^20 ns (about 1.05 ms), so a tick costs a shift, not a division. */
#define SH_TICK_SHIFT 20

#include "datapath/table_records.h" /* sh_key, sh_service, sh_rule, sh_redirection, sh_target, sh_control */

/* sh_service.protocol, or-ed: a slot of several ports (lookup/wide.h). */
#define SH_PROTOCOL_RANGE 0x80

/* A target's id: this host, in a backend's own sessions. */
#define SH_TARGET_LOCAL 0xffff

/* A redirect that a backend sends to a client with its next reply (signal/pending_redirect.h). Direct-mapped by the hash of
 * the session's key. */
struct sh_pending_redirect {
	u64 check; /* that hash xor the nonce; 0: nothing */
	u64 nonce;
	struct sh_addr address; /* service address */
	be16 port;
	u16 lease_s;
	u8 flags;   /* of the redirect */
	u8 surplus; /* bytes of the surplus area of the client's request, at most 255 */
	u16 length; /* of the IP packet that carried the request */
	u32 tick;
	u32 reserved2[5];
};
SH_STATIC_ASSERT(sizeof(struct sh_pending_redirect) == 64, "one cache line");

/* Which networks' clients have reported that a service does not answer at a target (signal/failure_report.h). Direct-mapped by
 * a hash of the three fields that say where; the control plane reads and clears it (engine/failure_reports.h). */
struct sh_failure_report {
	u64 check;    /* that hash; 0: free */
	u64 networks; /* one bit each, by a keyed hash */
	struct sh_addr address;
	u16 service; /* its id */
	be16 port;
	u32 reserved[7];
};
SH_STATIC_ASSERT(sizeof(struct sh_failure_report) == 64, "one cache line");

/* sh_own.kind, or-ed */
enum {
	SH_OWN_SERVICE = 1, /* at least one service has this address */
	SH_OWN_HOST = 2,    /* this backend's own service address: packets of the tunnel end here */
	SH_OWN_MEMBER = 4,  /* a member's address: packets of the tunnel come from there */
};

/* An address of a service, of this backend or of another member. Open-addressed; an empty slot has kind 0. Packets to other
 * addresses pass after one look-up. */
struct sh_own {
	struct sh_addr address;
	u32 kind;
	u32 length; /* of a prefix of service addresses, mapped form; 128: one address */
	u32 reserved[2];
};
SH_STATIC_ASSERT(sizeof(struct sh_own) == 32, "two addresses a cache line");

#endif
