/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * passage.h - what one packet was found to be, and what became of it.
 *
 * Owns: the parsed packet and the result. The kernel's engine leaves both at the head of its scratch memory, where a capture
 * reads them after the packet program has run (kernel/bpf/dump.bpf.c).
 * Must never: include platform.h. This is only what was seen, not how.
 */
#ifndef SHUNT_DATAPATH_PASSAGE_H
#define SHUNT_DATAPATH_PASSAGE_H

#include "datapath/types.h"

/* By what a client's packet may ask something (signal/read.h). */
enum sh_carrier { SH_CARRIER_NONE, SH_CARRIER_CONTROL, SH_CARRIER_SURPLUS, SH_CARRIER_SYN };

enum sh_fragmentation { SH_WHOLE, SH_FRAGMENT_FIRST, SH_FRAGMENT_LATER };

struct sh_parsed {
	struct sh_flow flow;
	u32 fragment_id;
	u16 l3;           /* offset of the IP header from frame->data */
	u16 l4;           /* offset of the transport header */
	u16 ports;        /* offset of the ports: at l4, or in an ICMP error's quote; 0 in a later fragment */
	u16 ip_length;    /* bytes from l3 to the packet's end, as the IP header says */
	be16 ethertype;   /* of the IP header */
	u8 protocol;      /* after the extension headers */
	u8 fragmentation; /* enum sh_fragmentation */
	u8 tos;           /* DSCP and ECN */
	u8 icmp_error;    /* flow is the quoted one, turned round */
	u8 carrier;       /* enum sh_carrier: there may be a question */
	u8 marks;         /* TCP: SH_SESSION_BEGINS, OPEN or CLOSING, or 0 (session/layout.h) */
};

struct sh_result {
	u8 reason;   /* enum sh_reason; the verdict is sh_verdict_of(reason) */
	u8 popped;   /* the frame is now the packet that was inside the tunnel */
	u16 target;  /* index of the target, 0: none */
	u16 service; /* id, 0: none */
	u32 ifindex; /* forward: the link to transmit on; else 0: the link it came from */
};

struct sh_passage {
	struct sh_result result;
	u32 length;              /* of the frame, as it came */
	struct sh_parsed parsed; /* as it came */
	struct sh_parsed
		inner; /* on a backend: out of the tunnel; meaningful if the reason is a later one than the header's */
};

#endif
