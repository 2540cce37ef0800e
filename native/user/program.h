// SPDX-License-Identifier: Apache-2.0
//
// program.h (engine) - the door to the packet program, which is compiled into one translation unit (program.cc).
//
// Owns: the size of a batch and the call that runs one.
// Must never: include datapath/program.h, or every includer would compile the whole program again.
#ifndef SHUNT_USER_PROGRAM_H
#define SHUNT_USER_PROGRAM_H

#include <engine_platform.h>

namespace shunt
{

constexpr u32 BATCH = 64;     // packets per reading of the clock
constexpr u32 HEADROOM = 160; // bytes before each frame that the program may push into (118 used over IPv6)

struct ProgramResult {
	u8 reason;
	bool popped;
	u16 target;
	u32 ifindex;
};

// Runs the packet program over `count` frames, at most BATCH.
void run_program(const sh_env &env, sh_frame *frames, ProgramResult *results, u32 count);
enum class Sent { nothing, renewed, made }; // datapath/egress.h

// Has the session table know of a frame that this host sends. *tell: its receiver is to be told something beside it, at once.
Sent run_sent(const sh_env &env, const sh_frame &frame, bool *tell);
constexpr u32 TELL_BYTES = 192;
// The frame that tells it, into TELL_BYTES at `out`; after run_sent alone. Its length, or 0: it would be longer than what its receiver
// asked in. What has been sent already can't be lengthened, so here this takes the place of the kernel's option in the reply.
u32 run_tell(const sh_env &env, const sh_frame &reply, u8 *out);

} // namespace shunt

#endif
