/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * statistics.h - where a processor's (in user space: a worker's) counters stand.
 *
 * Owns: the order of the counters. One is a pair {packets, bytes}, so that both lie in one cache line; a few pairs hold two
 * numbers of another kind. Each processor has SH_COUNTERS(targets) of them in a row, and writes no others.
 * src/engine/statistics.ts reads the same memory; the addon tells it these places.
 */
#ifndef SHUNT_DATAPATH_STATISTICS_H
#define SHUNT_DATAPATH_STATISTICS_H

#include "datapath/reasons.h"
#include "datapath/tables.h"

struct sh_counter {
	u64 packets;
	u64 bytes;
};

enum {
	SH_COUNT_IN = 0,    /* what came, from the Ethernet header on */
	SH_COUNT_STATE = 1, /* {state of the worker, packets that the kernel dropped before us} */
	SH_COUNT_WORK = 2,  /* {batches, times the worker had nothing to do and slept} */
	SH_COUNT_LINK = 3,  /* {times the link was found down, frames for other stations, passed over and not in IN} */
	SH_COUNT_LOST = 4,  /* handed to a link whose driver then did not take them: counted as forwarded before */
	SH_COUNT_SENT =
		5, /* a backend's own packets, never in IN: {those that renewed or made a session, those that made one} */
	SH_COUNT_TOLD =
		6, /* a backend's clients: {told, in its replies or beside them, where to go; could not be told so} */
	SH_COUNT_REASON = 8,   /* + enum sh_reason; bytes as they came */
	SH_COUNT_LOCAL = 127,  /* SH_TARGET_LOCAL, as delivered */
	SH_COUNT_TARGET = 128, /* + target; bytes as sent */
};
#define SH_COUNTERS(targets) (SH_COUNT_TARGET + (targets))
SH_STATIC_ASSERT((int)SH_COUNT_REASON + (int)SH_REASON_COUNT <= SH_COUNT_LOCAL, "there is room for every reason");

SH_CONSTEXPR u32 sh_count_of_target(u16 target)
{
	return target == SH_TARGET_LOCAL ? (u32)SH_COUNT_LOCAL : (u32)SH_COUNT_TARGET + target;
}

/* A packet that left with a reason of this verdict counts under its target as well. */
SH_INLINE int sh_counts_for_target(u32 reason)
{
	return reason == SH_R_delivered || sh_verdict_of(reason) == SH_FORWARD;
}

#endif
