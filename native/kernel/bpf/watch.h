/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * watch.h - what watch.bpf.c and its loader (native/kernel/watch.cc) both know.
 */
#ifndef SHUNT_KERNEL_BPF_WATCH_H
#define SHUNT_KERNEL_BPF_WATCH_H

#include "datapath/statistics.h"

#define SH_WATCHED 16 /* links */

struct sh_watch {
	u32 counters; /* per processor */
	u32 program;  /* id of the program whose packets count */
	u32 net;      /* inode number of its network namespace */
	u32 links[SH_WATCHED];
};

#endif
