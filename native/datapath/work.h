/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * work.h - what a packet on its way keeps in the engine's scratch memory.
 *
 * Owns: its layout. The stack is too small for it in BPF, and a stage can be handed no more than five things there.
 * Must never: hold anything that a later packet reads.
 */
#ifndef SHUNT_DATAPATH_WORK_H
#define SHUNT_DATAPATH_WORK_H

#include "datapath/carrier/encap.h"
#include "datapath/lookup/assign.h"
#include "datapath/session/session.h"
#include "datapath/signal/answer.h"
#include "datapath/signal/question.h"

struct sh_work {
	struct sh_passage passage; /* first: whoever watches from outside finds it there */
	struct sh_header header;
	struct sh_session_key key;
	struct sh_stamp stamp;
	struct sh_session_answer assigned;
	u8 fresh;   /* on a backend: there is no session of work->key yet */
	u8 settled; /* that is the target, whatever the session says */
	u8 surplus; /* of what is told (tell.h): bytes that the client asked in, by its option and in all */
	u16 asked_length;
	u32 left_s;           /* of a ticket */
	struct sh_env handed; /* to stages that are verified alone */
	struct sh_question question;
	struct sh_answer_room answer;
	struct sh_flow asked; /* where a probe asks whether anybody listens */
};
SH_STATIC_ASSERT(sizeof(struct sh_work) <= SH_SCRATCH_SESSION, "session.h, SH_SCRATCH_SESSION");

#endif
