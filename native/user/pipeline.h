// SPDX-License-Identifier: Apache-2.0
//
// pipeline.h - one batch's whole way: clock, packet program, ways out, counters.
//
//     1  read the clock, once for the batch
//     2  set aside what this host sends itself
//     3  run the packet program over every frame that came, then note what was sent    program.cc
//     4  queue each on its way out, by its verdict         transmit_*.cc
//     5  flush the ways out
//     6  count each packet under the reason it left by     statistics.h
//
// Owns: the ways out of one worker, and the only place where packets are counted.
// Must never: count a packet twice, or not at all: packets in = sum over all reasons.
#ifndef SHUNT_USER_PIPELINE_H
#define SHUNT_USER_PIPELINE_H

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/sessions.h"
#include "engine/statistics.h"
#include "user/capture.h"
#include "user/transmit.h"

namespace shunt
{

constexpr u32 WAYS = 64; // interfaces that one gateway sends on

// Monotonic, nanoseconds.
u64 monotonic_ns();

class Pipeline
{
public:
	Pipeline(const Sessions &sessions, u64 *statistics);

	// The way out for a link. May be called while another thread runs batches: ways are only ever added.
	bool add_way(u32 ifindex, std::unique_ptr<Transmit> way);
	bool has_way(u32 ifindex) const;
	// Before the first batch: where all links lead (a file), and where popped packets go (a tun device).
	void set_every_way(std::unique_ptr<Transmit> way) { every_way_ = std::move(way); }
	// Of a recording: nobody is told anything beside what is sent, and no socket is asked for.
	void play_alone()
	{
		env_.told = nullptr;
		env_.served = nullptr;
	}
	void set_inner_way(std::unique_ptr<Transmit> way) { inner_way_ = std::move(way); }

	// `from` is the link the batch came from.
	void run(Batch *batch, u32 from, const sh_tables *tables);

	// The time of the batch in hand; file outputs take their timestamps from it.
	const u64 *clock_ns() const { return &env_.now_ns; }
	// Of packet i of the last batch.
	u8 reason(u32 i) const { return results_[i].reason; }
	u16 target(u32 i) const { return results_[i].target; }

private:
	struct Way {
		u32 ifindex;
		std::unique_ptr<Transmit> transmit;
	};

	Transmit *way(u32 ifindex);
	void send(Transmit *way, const sh_frame &frame, u8 *reason);
	void set_sent_aside(Batch *batch);
	void note_sent(u32 from);
	void count(u32 packets);

	u64 scratch_[SH_SCRATCH_BYTES / sizeof(u64)] = {};
	sh_tag_cache kept_ = {};
	sh_env env_ = {};
	u64 *statistics_;
	Way ways_[WAYS];
	std::atomic<u32> way_count_ = 0;
	std::unique_ptr<Transmit> every_way_;
	std::unique_ptr<Transmit> inner_way_;

	Transmit *dirty_[WAYS + 2]; // ways with something queued
	u32 dirty_count_ = 0;
	sh_frame sent_[BATCH]; // of the batch in hand
	u32 sent_count_ = 0;
	u8 tell_[BATCH][TELL_BYTES];
	ProgramResult results_[BATCH];
	u32 bytes_in_[BATCH];
	u32 bytes_out_[BATCH];
};

} // namespace shunt

#endif
