/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * layout.h - the bytes of the session table, which the kernel, user space and the aging sweep all map.
 *
 * Owns: buckets of one cache line, records of 16 bytes (IPv4) and 32 bytes (IPv6), and what a record's words hold.
 *
 * A record is {sender address and port, recipient address and port, time of the last transmission}: the recipient is
 * the service, named by its id. The claim word is taken by compare-and-swap, 0 -> key, and is 0 again when the record
 * is free; the value word is written after it. An IPv6 claim cannot hold the address, so it is taken as BUSY, the
 * address written, and then made ready: a reader passes over a busy record.
 */
#ifndef SHUNT_DATAPATH_SESSION_LAYOUT_H
#define SHUNT_DATAPATH_SESSION_LAYOUT_H

#include "datapath/types.h"

/* sh_session_value.flags */
enum {
	SH_SESSION_PROVEN = 1, /* a second packet came: not a one-packet flood; evicted last */
	SH_SESSION_FRESH = 2,  /* made or moved since the last sweep, which looks whether the flow has another record */
	SH_SESSION_SENT = 4,   /* made by a packet of the backend's: none of the client's has been seen yet */
	/* TCP, as the client's packets tell: neither bit is half-open, OPEN alone is established. */
	SH_SESSION_OPEN = 8,     /* after its first packet, one without SYN came */
	SH_SESSION_CLOSING = 16, /* FIN or RST came */
	SH_SESSION_STATE = SH_SESSION_OPEN | SH_SESSION_CLOSING,
	SH_SESSION_BEGINS = 32, /* of a packet, never of a record: a SYN, which begins a connection */
};

/* The second word of a record. Only `last` is written while a session lives; all four change together (one 64-bit
 * compare-and-swap) when its target does. */
union sh_session_value {
	u64 word;
	struct {
		u32 last; /* tick of the client's last packet (tables.h, SH_TICK_SHIFT), or one by which what the backend
			     * sent keeps it alive (egress.h); wraps after 52 days */
		u16 target; /* index into the targets */
		u8 epoch;   /* the target's epoch when it was chosen */
		u8 flags;
	};
};

/* claim4 = source address (32) | source port (16) | service id (16), each as it stands in network order or table */
struct sh_session4 {
	u64 claim;
	union sh_session_value value;
};

#define SH_CLAIM6_BUSY (1ULL << 63)
/* claim6 = busy (1) | hash of the address (31) | source port (16) | service id (16) */
struct sh_session6 {
	u64 claim;
	union sh_session_value value;
	struct sh_addr source;
};

enum { SH_SLOTS4 = 4, SH_SLOTS6 = 2 };

struct sh_bucket4 {
	struct sh_session4 slot[SH_SLOTS4];
} __attribute__((aligned(64)));

struct sh_bucket6 {
	struct sh_session6 slot[SH_SLOTS6];
} __attribute__((aligned(64)));

SH_STATIC_ASSERT(sizeof(struct sh_session4) == 16 && sizeof(struct sh_bucket4) == 64, "one cache line per look-up");
SH_STATIC_ASSERT(sizeof(struct sh_session6) == 32 && sizeof(struct sh_bucket6) == 64, "one cache line per look-up");

/* Where the first fragment of a datagram went. Direct-mapped by the hash of {source, destination, id, protocol}. */
union sh_fragment_value {
	u64 word;
	struct {
		u32 last; /* tick */
		u16 target;
		u16 service;
	};
};

/* The two words are written one after the other, by several processors. What two of them have mixed fits no hash. */
struct sh_fragment {
	u64 check; /* that hash, never 0, xor the value */
	union sh_fragment_value value;
};
SH_STATIC_ASSERT(sizeof(struct sh_fragment) == 16, "four fragments a cache line");

#endif
