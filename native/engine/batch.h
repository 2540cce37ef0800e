// SPDX-License-Identifier: Apache-2.0
//
// batch.h - a batch of frames, and what the packet program did with one of them.
//
// Owns: the batch's size and layout. Both engines and every capture share it.
// Must never: include the packet program.
#ifndef SHUNT_ENGINE_BATCH_H
#define SHUNT_ENGINE_BATCH_H

#include <engine_platform.h>

namespace shunt
{

constexpr u32 BATCH = 64;     // packets per reading of the clock
constexpr u32 HEADROOM = 160; // bytes before each frame that the program may push into (118 used over IPv6)

struct Batch {
	u32 count = 0;
	u64 sent = 0;    // bit i: frame i is an egress frame of this host; it may be cut off behind its headers
	u64 time_ns = 0; // of a file: the packet's own timestamp; 0: live, read the clock
	sh_frame frames[BATCH];
};
static_assert(BATCH <= 64, "Batch::sent has one bit for each frame");

// What an egress frame did to its session (datapath/egress.h).
enum class Sent { nothing, renewed, made };

} // namespace shunt

#endif
