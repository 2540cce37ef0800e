// SPDX-License-Identifier: Apache-2.0
//
// pipeline.cc - see the header for the order of the steps.
#include "user/pipeline.h"

#include "user/served.h"

#include <ctime>

namespace shunt
{

u64 monotonic_ns()
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

Pipeline::Pipeline(const Sessions &sessions, u64 *statistics) : statistics_(statistics)
{
	env_.bucket4 = sessions.bucket4();
	env_.bucket6 = sessions.bucket6();
	env_.fragments = sessions.fragments();
	env_.limits = sessions.limits();
	env_.told = sessions.told();
	env_.served = is_served;
	env_.scratch = scratch_;
	env_.kept = &kept_;
}

bool Pipeline::add_way(u32 ifindex, std::unique_ptr<Transmit> way)
{
	u32 count = way_count_.load(std::memory_order_relaxed);

	if (count == WAYS)
		return false;
	ways_[count] = Way{ifindex, std::move(way)};
	way_count_.store(count + 1, std::memory_order_release);
	return true;
}

bool Pipeline::has_way(u32 ifindex) const
{
	u32 count = way_count_.load(std::memory_order_relaxed);

	if (every_way_)
		return true;
	for (u32 i = 0; i < count; i++)
		if (ways_[i].ifindex == ifindex)
			return true;
	return false;
}

Transmit *Pipeline::way(u32 ifindex)
{
	if (every_way_)
		return every_way_.get();
	u32 count = way_count_.load(std::memory_order_acquire);
	for (u32 i = 0; i < count; i++)
		if (ways_[i].ifindex == ifindex)
			return ways_[i].transmit.get();
	return nullptr;
}

void Pipeline::send(Transmit *way, const sh_frame &frame, u8 *reason)
{
	u32 i = 0;

	if (!way) {
		*reason = SH_R_transmit_failed;
		return;
	}
	while (i < dirty_count_ && dirty_[i] != way)
		i++;
	if (i == dirty_count_)
		dirty_[dirty_count_++] = way;
	way->queue(frame, reason);
}

void Pipeline::count(u32 packets)
{
	for (u32 i = 0; i < packets; i++) {
		const ProgramResult &r = results_[i];

		statistics_[word::reason_packets(r.reason)]++;
		statistics_[word::reason_bytes(r.reason)] += bytes_in_[i];
		if (r.target && sh_counts_for_target(r.reason)) {
			statistics_[word::target_packets(r.target)]++;
			statistics_[word::target_bytes(r.target)] += bytes_out_[i];
		}
	}
}

// Takes the frames that this host sends out of the batch: they are none of those that came.
void Pipeline::set_sent_aside(Batch *batch)
{
	u32 kept = 0;

	for (u32 i = 0; i < batch->count; i++)
		if (batch->sent >> i & 1)
			sent_[sent_count_++] = batch->frames[i];
		else
			batch->frames[kept++] = batch->frames[i];
	batch->count = kept;
	batch->sent = 0;
}

void Pipeline::note_sent(u32 from)
{
	for (u32 i = 0; i < sent_count_; i++) {
		bool tell;
		Sent outcome = run_sent(env_, sent_[i], &tell);

		if (tell) {
			u32 length = run_tell(env_, sent_[i], tell_[i]);
			u8 failed = 0;

			if (length)
				send(way(from), sh_frame{tell_[i], tell_[i] + length, tell_[i]}, &failed);
			statistics_[length && !failed ? word::told : word::untold]++;
		}

		statistics_[word::sent_packets] += outcome != Sent::nothing;
		statistics_[word::sent_made] += outcome == Sent::made;
	}
	sent_count_ = 0;
}

void Pipeline::run(Batch *batch, u32 from, const sh_tables *tables)
{
	u64 bytes = 0;

	env_.now_ns = batch->time_ns ? batch->time_ns : monotonic_ns();
	env_.tables = tables;
	if (batch->sent)
		set_sent_aside(batch);
	for (u32 i = 0; i < batch->count; i++) {
		bytes_in_[i] = static_cast<u32>(batch->frames[i].end - batch->frames[i].data);
		bytes += bytes_in_[i];
	}
	statistics_[word::packets_in] += batch->count;
	statistics_[word::bytes_in] += bytes;
	statistics_[word::batches]++;

	dirty_count_ = 0;
	run_program(env_, batch->frames, results_, batch->count);
	if (sent_count_)
		note_sent(from); // an answer comes after its question
	for (u32 i = 0; i < batch->count; i++) {
		ProgramResult &r = results_[i];

		bytes_out_[i] = static_cast<u32>(batch->frames[i].end - batch->frames[i].data);
		switch (sh_verdict_of(r.reason)) {
		case SH_FORWARD:
			send(way(r.ifindex), batch->frames[i], &r.reason);
			break;
		case SH_RETURN:
		case SH_INDICATE:
		case SH_CONTROL:
			send(way(from), batch->frames[i], &r.reason);
			break;
		case SH_PASS:
			if (r.popped)
				send(inner_way_.get(), batch->frames[i], &r.reason);
			break;
		default:
			break;
		}
	}
	for (u32 i = 0; i < dirty_count_; i++)
		dirty_[i]->flush();
	count(batch->count);
}

} // namespace shunt
