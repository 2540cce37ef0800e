// SPDX-License-Identifier: Apache-2.0
//
// pipeline.h - one batch from capture to transmit: clock, packet program, transmits, counters.
//
//     1  read the clock, once for the batch
//     2  set egress frames aside
//     3  run the packet program over every ingress frame, then note the egress frames    program.cc
//     4  queue each frame at a transmit, by its verdict                   transmit_*.cc
//     5  flush the transmits
//     6  cut datagrams that do not fit their link, and send the fragments likewise    fragments.cc
//     7  count each packet under its reason                               statistics.h
//
// Owns: the transmits of one worker, and the only place where packets are counted.
// Must never: count a packet twice, or not at all: packets in = sum over all reasons.
#ifndef SHUNT_USER_PIPELINE_H
#define SHUNT_USER_PIPELINE_H

#include <atomic>
#include <memory>

#include "engine/sessions.h"
#include "engine/statistics.h"
#include "engine/transmit.h"
#include "user/fragments.h"
#include "user/program.h"

namespace shunt
{

constexpr u32 LINKS = 64; // interfaces that one gateway sends on

class Pipeline
{
public:
	Pipeline(const Sessions &sessions, u64 *statistics);

	// The transmit for a link; false if there are LINKS already. May be called while another thread runs batches: links are
	// only ever added.
	bool add_link(u32 ifindex, std::unique_ptr<Transmit> transmit);
	bool has_link(u32 ifindex) const;
	// Before the first batch: one transmit (a file) for every link, and the transmit of decapsulated packets (a tun device).
	void set_output(std::unique_ptr<Transmit> transmit) { output_ = std::move(transmit); }
	void set_inner(std::unique_ptr<Transmit> transmit) { inner_ = std::move(transmit); }
	// Before the first batch of a recording: no signal is sent of its own, and no local socket is looked up.
	void set_replay()
	{
		env_.told = nullptr;
		env_.served = nullptr;
	}

	// `from` is the link of the batch.
	void run(Batch *batch, u32 from, const sh_tables *tables);

	// Of a datagram that another engine counts: sends it in fragments to this target of these tables. now_ns 0: the clock's.
	void send_fragments(const sh_frame &frame, u16 target, const sh_tables *tables, u64 now_ns);

	// The time of the current batch; file outputs take their timestamps from it.
	const u64 *clock_ns() const { return &env_.now_ns; }
	// Of packet i of the last batch.
	u8 reason(u32 i) const { return results_[i].reason; }
	u16 target(u32 i) const { return results_[i].target; }

private:
	struct Link {
		u32 ifindex;
		std::unique_ptr<Transmit> transmit;
	};

	Transmit *transmit_of(u32 ifindex);
	void send(Transmit *transmit, const sh_frame &frame, u8 *reason);
	void flush();
	// SH_R_fragmented, or why the first fragment that was not sent was not.
	u8 send_fragments(const sh_frame &frame, u16 target);
	void set_sent_aside(Batch *batch);
	void note_sent(u32 from);
	void count(u32 packets);

	u64 scratch_[SH_SCRATCH_BYTES / sizeof(u64)] = {};
	sh_tag_cache kept_ = {};
	sh_env env_ = {};
	u64 *statistics_;
	Link links_[LINKS];
	std::atomic<u32> link_count_ = 0;
	std::unique_ptr<Transmit> output_;
	std::unique_ptr<Transmit> inner_;

	Transmit *dirty_[LINKS + 2]; // transmits with queued frames
	u32 dirty_count_ = 0;
	sh_frame sent_[BATCH]; // egress frames of the current batch
	u32 sent_count_ = 0;
	Fragments fragments_;
	u8 signals_[BATCH][SIGNAL_BYTES];
	ProgramResult results_[BATCH];
	u32 bytes_in_[BATCH];
	u32 bytes_out_[BATCH];
};

} // namespace shunt

#endif
