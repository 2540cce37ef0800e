// SPDX-License-Identifier: Apache-2.0
//
// pipeline.cc - see the header for the order of the steps.
#include "user/pipeline.h"

#include "datapath/carrier/geneve.h"
#include "linux/clock.h"
#include "user/served.h"

namespace shunt
{

Pipeline::Pipeline(const Sessions &sessions, u64 *statistics) : statistics_(statistics)
{
	env_.bucket4 = sessions.bucket4();
	env_.bucket6 = sessions.bucket6();
	env_.fragments = sessions.fragments();
	env_.limits = sessions.limits();
	env_.told = sessions.told();
	env_.failures = sessions.failures();
	env_.served = is_served;
	env_.scratch = scratch_;
	env_.kept = &kept_;
}

bool Pipeline::add_link(u32 ifindex, std::unique_ptr<Transmit> transmit)
{
	u32 count = link_count_.load(std::memory_order_relaxed);

	if (count == LINKS)
		return false;
	links_[count] = Link{ifindex, std::move(transmit)};
	link_count_.store(count + 1, std::memory_order_release);
	return true;
}

bool Pipeline::has_link(u32 ifindex) const
{
	u32 count = link_count_.load(std::memory_order_relaxed);

	if (output_)
		return true;
	for (u32 i = 0; i < count; i++)
		if (links_[i].ifindex == ifindex)
			return true;
	return false;
}

Transmit *Pipeline::transmit_of(u32 ifindex)
{
	if (output_)
		return output_.get();
	u32 count = link_count_.load(std::memory_order_acquire);
	for (u32 i = 0; i < count; i++)
		if (links_[i].ifindex == ifindex)
			return links_[i].transmit.get();
	return nullptr;
}

void Pipeline::send(Transmit *transmit, const sh_frame &frame, u8 *reason)
{
	u32 i = 0;

	if (!transmit) {
		*reason = SH_R_transmit_failed;
		return;
	}
	while (i < dirty_count_ && dirty_[i] != transmit)
		i++;
	if (i == dirty_count_)
		dirty_[dirty_count_++] = transmit;
	transmit->queue(frame, reason);
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

// Moves egress frames out of the batch, so that only ingress frames remain.
void Pipeline::set_sent_aside(Batch *batch)
{
	u32 ingress = 0;

	for (u32 i = 0; i < batch->count; i++)
		if (batch->sent >> i & 1)
			sent_[sent_count_++] = batch->frames[i];
		else
			batch->frames[ingress++] = batch->frames[i];
	batch->count = ingress;
	batch->sent = 0;
}

void Pipeline::note_sent(u32 from)
{
	for (u32 i = 0; i < sent_count_; i++) {
		bool signal;
		Sent outcome = run_sent(env_, sent_[i], &signal);

		if (signal) {
			u32 length = write_signal(env_, sent_[i], signals_[i]);
			u8 failed = 0;

			if (length)
				send(transmit_of(from), sh_frame{signals_[i], signals_[i] + length, signals_[i]},
				     &failed);
			statistics_[length && !failed ? word::told : word::untold]++;
		}

		statistics_[word::sent_packets] += outcome != Sent::nothing;
		statistics_[word::sent_made] += outcome == Sent::made;
	}
	sent_count_ = 0;
}

void Pipeline::flush()
{
	for (u32 i = 0; i < dirty_count_; i++)
		dirty_[i]->flush();
	dirty_count_ = 0;
}

u8 Pipeline::send_fragments(const sh_frame &frame, u16 index)
{
	const sh_target *target = sh_target_at(&env_, index);
	u8 reasons[SH_FRAGMENTS] = {};

	if (!target || !fragments_.cut(frame, (u32)target->mtu - sh_geneve_overhead(target->family)))
		return SH_R_no_target;
	for (u32 i = 0; i < fragments_.count(); i++) {
		reasons[i] = run_fragment(env_, &fragments_[i], index);
		if (reasons[i] == SH_R_fragmented)
			send(transmit_of(target->ifindex), fragments_[i], &reasons[i]);
	}
	flush();
	for (u32 i = 0; i < fragments_.count(); i++)
		if (reasons[i] != SH_R_fragmented)
			return reasons[i];
	return SH_R_fragmented;
}

void Pipeline::send_fragments(const sh_frame &frame, u16 target, const sh_tables *tables, u64 now_ns)
{
	env_.now_ns = now_ns ? now_ns : monotonic_ns();
	env_.tables = tables;
	send_fragments(frame, target);
}

void Pipeline::run(Batch *batch, u32 from, const sh_tables *tables)
{
	u64 bytes = 0, fragmented = 0;

	env_.now_ns = batch->time_ns ? batch->time_ns : monotonic_ns();
	env_.tables = tables;
	env_.ifindex = from;
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
		note_sent(from); // after the ingress frames: an answer follows its question
	for (u32 i = 0; i < batch->count; i++) {
		ProgramResult &r = results_[i];

		bytes_out_[i] = static_cast<u32>(batch->frames[i].end - batch->frames[i].data);
		switch (sh_verdict_of(r.reason)) {
		case SH_FORWARD:
			if (r.reason == SH_R_fragmented)
				fragmented |= 1ull << i;
			else
				send(transmit_of(r.ifindex), batch->frames[i], &r.reason);
			break;
		case SH_RETURN:
		case SH_INDICATE:
		case SH_CONTROL:
			send(transmit_of(from), batch->frames[i], &r.reason);
			break;
		case SH_PASS:
			if (r.popped)
				send(inner_.get(), batch->frames[i], &r.reason);
			break;
		default:
			break;
		}
	}
	flush();
	for (; fragmented; fragmented &= fragmented - 1) {
		u32 i = (u32)__builtin_ctzll(fragmented);

		results_[i].reason = send_fragments(batch->frames[i], results_[i].target);
	}
	count(batch->count);
}

} // namespace shunt
