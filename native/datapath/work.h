/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * work.h - the state of the packet in work, in the engine's scratch memory.
 *
 * Owns: its layout. In BPF the stack is too small for it, and a function takes at most five arguments.
 * Must never: hold anything that a later packet reads.
 */
#ifndef SHUNT_DATAPATH_WORK_H
#define SHUNT_DATAPATH_WORK_H

#include "datapath/carrier/control.h"
#include "datapath/carrier/geneve_encap.h"
#include "datapath/lookup/assign.h"
#include "datapath/session/insert.h"
#include "datapath/signal/signal.h"

struct sh_work {
	struct sh_passage passage; /* first: a capture reads it there */
	struct sh_header header;   /* received on a backend; of the redirect on a gateway and in a reply */
	struct sh_session_key key;
	struct sh_packet_fields fields;
	struct sh_assignment assigned;
	u8 new_session;         /* on a backend: work->key has no session yet */
	u8 decided;             /* `assigned` holds, whatever the session says */
	u8 request_surplus;     /* of a pending redirect: bytes of the request's surplus area, */
	u16 request_length;     /* and of its IP packet */
	u32 ticket_left_s;      /* a probe's ticket stays in force for so long */
	struct sh_env env_copy; /* for stages that are verified alone (types.h) */
	struct sh_choice choice;
	struct sh_signal signal;
	struct sh_control_payload reply;
	struct sh_flow probed; /* the flow whose socket a probe asks for */
};
SH_STATIC_ASSERT(sizeof(struct sh_work) <= SH_SCRATCH_SESSION, "session/insert.h, SH_SCRATCH_SESSION");

#endif
