// SPDX-License-Identifier: Apache-2.0
//
// statistics.h - counters in memory that JavaScript reads without a call.
//
// Owns: the layout, in 64-bit words. One block per worker, each written by that worker alone and aligned to a page, so
// that no two threads write one cache line. src/engine/native.ts reads it by the same offsets, which the addon exports.
// Must never: be written by two threads.
#ifndef SHUNT_ENGINE_STATISTICS_H
#define SHUNT_ENGINE_STATISTICS_H

#include "engine/mapping.h"
#include "packet/reasons.h"
#include "packet/types.h"

namespace shunt
{

enum class WorkerState : u64 { created, running, ended, failed };

// Offsets in words from the start of a worker's block.
namespace word
{
enum : u32 {
	state = 0,           // WorkerState
	packets_in = 1,      // taken from the capture
	bytes_in = 2,        // as they came, from the Ethernet header on
	capture_dropped = 3, // by the kernel, for want of room: never seen by us
	batches = 4,
	waits = 5,      // times the worker had nothing to do and slept
	link_down = 6,  // times the interface was found down
	not_for_us = 7, // frames for another station's MAC address, passed over (not part of packets_in)
	reason_packets = 16,
	reason_bytes = 80, // as they came
	target_packets = 256,
	target_bytes = 256 + 65536, // as sent, from the Ethernet header on
	end = 256 + 2 * 65536,
};
}
static_assert(SH_REASON_COUNT <= word::reason_bytes - word::reason_packets, "the layout has room for 64 reasons");

constexpr u32 STATISTICS_STRIDE = (word::end + 511) / 512 * 512; // words; a multiple of a page

class Statistics
{
public:
	bool allocate(u32 workers) { return memory_.allocate((size_t)workers * STATISTICS_STRIDE * sizeof(u64)); }
	u64 *worker(u32 i) { return reinterpret_cast<u64 *>(memory_.data()) + (size_t)i * STATISTICS_STRIDE; }
	uint8_t *data() { return memory_.data(); }
	size_t bytes() const { return memory_.bytes(); }

private:
	Mapping memory_;
};

} // namespace shunt

#endif
