// SPDX-License-Identifier: Apache-2.0
//
// statistics.h - counters in memory that JavaScript reads without a call.
//
// Owns: the memory. One block per worker, each written by that worker alone and aligned to a page, so that no two threads
// write one cache line. The order within a block is that of datapath/statistics.h, which the kernel's engine has too.
// Must never: be written by two threads.
#ifndef SHUNT_ENGINE_STATISTICS_H
#define SHUNT_ENGINE_STATISTICS_H

#include "datapath/statistics.h"
#include "engine/mapping.h"

namespace shunt
{

enum class WorkerState : u64 { created, running, ended, failed };

// Words of a worker's block by name; datapath/statistics.h has the order.
namespace word
{
enum : u32 {
	packets_in = 2 * SH_COUNT_IN,
	bytes_in,
	state = 2 * SH_COUNT_STATE, // WorkerState
	capture_dropped,            // by the kernel, because the capture's buffer was full
	batches = 2 * SH_COUNT_WORK,
	waits,
	link_down = 2 * SH_COUNT_LINK,
	not_for_us,
	lost_packets = 2 * SH_COUNT_LOST,
	lost_bytes,
	// Egress packets that renewed or made a session, never in packets_in; and of those, the ones that made one.
	sent_packets = 2 * SH_COUNT_SENT,
	sent_made,
	told = 2 * SH_COUNT_TOLD, // redirects sent to clients beside egress packets
	untold,                   // those that could not be sent
};
constexpr u32 reason_packets(u32 reason)
{
	return 2 * (SH_COUNT_REASON + reason);
}
constexpr u32 reason_bytes(u32 reason)
{
	return reason_packets(reason) + 1;
}
constexpr u32 target_packets(u16 target)
{
	return 2 * sh_count_of_target(target);
}
constexpr u32 target_bytes(u16 target)
{
	return target_packets(target) + 1;
}
} // namespace word

constexpr u32 STATISTICS_STRIDE = (2 * SH_COUNTERS(65536) + 511) / 512 * 512; // words; a multiple of a page

class Statistics
{
public:
	bool allocate(u32 workers)
	{
		workers_ = workers;
		return memory_.allocate((size_t)workers * STATISTICS_STRIDE * sizeof(u64));
	}
	// Counters in a BPF map: takes the mapping over.
	void adopt(Mapping mapping, u32 workers, u32 stride)
	{
		memory_ = std::move(mapping);
		workers_ = workers;
		stride_ = stride;
	}
	u32 workers() const { return workers_; }
	u64 *worker(u32 i) { return reinterpret_cast<u64 *>(memory_.data()) + (size_t)i * stride_; }
	u32 stride() const { return stride_; } // words
	uint8_t *data() { return memory_.data(); }
	size_t bytes() const { return memory_.bytes(); }

private:
	Mapping memory_;
	u32 workers_ = 0;
	u32 stride_ = STATISTICS_STRIDE;
};

} // namespace shunt

#endif
