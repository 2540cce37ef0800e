/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * state.h - what the kernel's packet program and its loader (native/kernel) both know of its memory.
 *
 * Owns: the one word that says which side of the tables is published, the clock, and the number of this layout.
 * Must never: hold what a packet decides; that is tables.h.
 */
#ifndef SHUNT_KERNEL_BPF_STATE_H
#define SHUNT_KERNEL_BPF_STATE_H

#include "datapath/session/layout.h"
#include "datapath/statistics.h"
#include "datapath/tables.h"
#include "datapath/tag/tag_cache.h"

/* Of everything that lives on in pinned maps: tables, session records, counters. A program of another layout starts from
 * nothing. To be moved with every change of these structures. */
#define SH_LAYOUT 11

enum { SH_SIDES = 2, SH_NO_SIDE = 2 };

/* Monotonic time is base_ns + jiffies * tick_ns: one load, where reading the clock costs 30 ns. The kernel advances jiffies
 * with the monotonic clock (kernel/time/tick-sched.c), so this is never wrong by more than one of them. A test that
 * brings its own time sets tick_ns to 0. */
struct sh_clock {
	u64 base_ns;
	u64 tick_ns;
};

struct sh_state {
	u32 side;     /* of the tables in force; SH_NO_SIDE before the first. A swap is this one store. */
	u32 counters; /* per processor */
	struct sh_clock clock;
	struct { /* both clocks at one moment, as sh_read_clocks last saw them */
		u64 jiffies;
		u64 now_ns;
	} seen;
	struct sh_control control[SH_SIDES];
	enum sh_reason reason[0]; /* no memory: puts the numbers of reasons into BTF, for captures */
};

/* Precedes a frame that the daemon is to send in fragments. */
struct sh_handed_over {
	u32 target; /* index in the tables */
	u32 length;
};

/* Rows of forwarding tables, a cache line at a time: an array map keeps no entry in less than 8 bytes. */
#define SH_ROWS_A_LINE 32
struct sh_row_line {
	u16 row[SH_ROWS_A_LINE];
};

#endif
