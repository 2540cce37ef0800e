// SPDX-License-Identifier: Apache-2.0
//
// program.h (user space) - the entry points of the packet program, which is compiled into one translation unit (program.cc).
//
// Owns: the calls that run the program over frames.
// Must never: include datapath/program.h, or every includer would compile the whole program again.
#ifndef SHUNT_USER_PROGRAM_H
#define SHUNT_USER_PROGRAM_H

#include "engine/batch.h"

namespace shunt
{

struct ProgramResult {
	u8 reason;
	bool popped;
	u16 target;
	u32 ifindex;
};

// Runs the packet program over `count` ingress frames, at most BATCH.
void run_program(const sh_env &env, sh_frame *frames, ProgramResult *results, u32 count);

// A fragment of a datagram that left by SH_R_fragmented, for that datagram's target. Returns SH_R_fragmented, or why it is not
// sent.
u8 run_fragment(const sh_env &env, sh_frame *fragment, u16 target);

// Notes an egress frame in the session table. *signal: its receiver is due a signal, which write_signal() composes.
Sent run_sent(const sh_env &env, const sh_frame &frame, bool *signal);
constexpr u32 SIGNAL_BYTES = 192;
// Writes the signal as a frame of its own into SIGNAL_BYTES at `out`; call it right after run_sent(). Returns its length, or
// 0 if it would be longer than the question of its receiver. A frame that is sent already can't be lengthened, so this takes
// the place of the option that the kernel's engine puts into the reply.
u32 write_signal(const sh_env &env, const sh_frame &reply, u8 *out);

} // namespace shunt

#endif
