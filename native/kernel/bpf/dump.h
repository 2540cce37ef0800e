/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * dump.h - what the kernel's capture (dump.bpf.c) and its loader (native/kernel/dump.cc) say to each other.
 *
 * Owns: what is wanted (down, once), the record of a packet and the counters (up).
 * Must never: be read by the packet program, which does not know of the capture.
 */
#ifndef SHUNT_KERNEL_BPF_DUMP_H
#define SHUNT_KERNEL_BPF_DUMP_H

#include "datapath/passage.h"
#include "datapath/reasons.h"

/* Bytes of a packet, at most; all headers fit in. */
#define SH_DUMP_MOST 2048

enum { SH_DUMP_REASON_WORDS = 2 };
SH_STATIC_ASSERT(SH_REASON_COUNT <= 64 * SH_DUMP_REASON_WORDS, "a bit for each reason");

/* Which packets, and how much of them. Zeros match everything but `reasons`, of which each has a bit. */
struct sh_dump_wanted {
	struct sh_addr source, source_mask; /* of the flow, as the client sent it */
	struct sh_addr destination, destination_mask;
	u64 reasons[SH_DUMP_REASON_WORDS];
	u64 interval_ns; /* between two packets at the highest rate; 0: no cap */
	u64 burst_ns;    /* how far packets may come before their time */
	u32 ifindex;     /* that they came in by */
	be16 source_port;
	be16 destination_port;
	u16 before; /* bytes to keep, at most SH_DUMP_MOST */
	u16 after;
	u8 protocol;
	u8 reserved[3];
};

/* A packet; the bytes before and then those after the packet program follow. */
struct sh_dump_record {
	u64 now_ns;          /* monotonic, as it left */
	struct sh_flow flow; /* the client's, as far as it was understood; family 0: not at all */
	u32 ingress;
	u32 egress; /* 0: none */
	u32 queue;
	u32 action;
	u32 before_bytes; /* on the wire */
	u32 after_bytes;  /* 0: it ended here */
	u16 before_kept;
	u16 after_kept;
	u16 target;
	u16 service;
	u8 reason;
	u8 reserved[7];
};
SH_STATIC_ASSERT(sizeof(struct sh_dump_record) == 88, "without holes");

/* seen >= matched = sent up + suppressed + lost */
struct sh_dump_counts {
	u64 seen;
	u64 matched;
	u64 suppressed; /* by the cap */
	u64 lost;       /* the ring was full */
};

#endif
