// SPDX-License-Identifier: Apache-2.0
//
// dump.cc - see the header.
#include "kernel/dump.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <net/if.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel/kernel_memory.h"

namespace shunt
{

constexpr u64 LOOK_AGAIN_NS = 100000000;

static u64 clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

std::unique_ptr<KernelDump> KernelDump::open(DumpOptions options, std::string *problem)
{
	std::unique_ptr<KernelDump> dump(new KernelDump);
	RunningProgram program;

	options.wanted.ifindex = 0;
	if (options.program) {
		program = RunningProgram::by_id(options.program);
		options.ways = DumpWays::probes;
	} else {
		options.wanted.ifindex = if_nametoindex(options.interface.c_str());
		if (!options.wanted.ifindex) {
			*problem = "there is no interface " + options.interface;
			return nullptr;
		}
		program = xdp_program_on(options.wanted.ifindex);
		if (!program.id) {
			*problem = "no XDP program runs on " + options.interface;
			return nullptr;
		}
	}
	if (program.fd < 0) {
		*problem = kernel_problem(program.in_words() + " can't be looked at", errno);
		return nullptr;
	}
	if (!program.ours()) {
		*problem = options.program ? program.in_words() + " is not Shunt's packet program"
		                           : "the XDP hook of " + options.interface + " is held by " +
		                                     program.in_words() + ", which is not Shunt's packet program";
		return nullptr;
	}
	dump->options_ = std::move(options);
	if (!dump->attach(std::move(program), problem))
		return nullptr;
	dump->looked_ns_ = clock_ns(CLOCK_MONOTONIC);
	return dump;
}

KernelDump::~KernelDump()
{
	detach();
}

bool KernelDump::open_way(RunningProgram program, std::string *problem)
{
	std::string refused;

	if (options_.ways != DumpWays::stand_in) {
		way_ = open_probes(program, options_.wanted, options_.ring_bytes, &refused);
		if (way_)
			return true;
		if (options_.ways == DumpWays::probes) {
			*problem = "the packet program can't be watched by probes: " + refused;
			return false;
		}
	}
	way_ = open_stand_in(std::move(program), options_.wanted, options_.ring_bytes, problem);
	if (!way_ && !refused.empty())
		*problem = "the packet program can be watched neither by probes: " + refused +
		           "; nor by a stand-in: " + *problem;
	return way_ != nullptr;
}

bool KernelDump::attach(RunningProgram program, std::string *problem)
{
	if (program.stand_in()) {
		if (!end_left_over_stand_in(program, options_.wanted.ifindex, problem))
			return false;
		program = xdp_program_on(options_.wanted.ifindex);
	}
	program_ = program.id;
	if (!open_way(std::move(program), problem))
		return false;
	ring_ = ring_buffer__new(way_->object().map_fd("sh_dump_ring"), on_record, this, nullptr);
	if (ring_)
		return true;
	*problem = kernel_problem("the capture's ring can't be mapped", errno);
	return false;
}

void KernelDump::detach()
{
	ring_buffer__free(ring_);
	ring_ = nullptr;
	way_.reset();
}

sh_dump_counts KernelDump::counts() const
{
	std::vector<sh_dump_counts> each(possible_processors());
	sh_dump_counts sum = earlier_;
	const u32 zero = 0;

	static_assert(sizeof(sh_dump_counts) % 8 == 0, "the kernel hands out whole 8 bytes for each processor");
	if (!way_ || bpf_map_lookup_elem(way_->object().map_fd("sh_dump_counts"), &zero, each.data()))
		return sum;
	for (const sh_dump_counts &one : each) {
		sum.seen += one.seen;
		sum.matched += one.matched;
		sum.suppressed += one.suppressed;
		sum.lost += one.lost;
	}
	return sum;
}

int KernelDump::on_record(void *self, void *data, size_t bytes)
{
	KernelDump *dump = static_cast<KernelDump *>(self);
	const u8 *at = static_cast<const u8 *>(data) + sizeof(sh_dump_record);
	DumpPacket packet;

	memcpy(&packet.record, data, sizeof(packet.record));
	if (bytes < sizeof(packet.record) + packet.record.before_kept + packet.record.after_kept)
		return 0;
	packet.timestamp_ns = packet.record.now_ns + dump->wall_offset_ns_;
	packet.before.assign(at, at + packet.record.before_kept);
	at += packet.record.before_kept;
	packet.after.assign(at, at + packet.record.after_kept);
	dump->batch_->packets.push_back(std::move(packet));
	return dump->batch_->packets.size() < dump->max_ ? 0 : -ECANCELED; // this record is taken, the next ones stay
}

// Is the program still there? Another one of ours in its place is watched from now on.
bool KernelDump::follow(DumpBatch *batch, std::string *problem)
{
	u64 now_ns = clock_ns(CLOCK_MONOTONIC);

	way_->stay();
	if (options_.program || now_ns - looked_ns_ < LOOK_AGAIN_NS)
		return true;
	looked_ns_ = now_ns;
	RunningProgram program = xdp_program_on(options_.wanted.ifindex);
	if (program.id == way_->on_hook())
		return true;

	max_ = ~0u; // all that the old program still sent up
	ring_buffer__consume(ring_);
	earlier_ = counts();
	detach();
	if (program.ours()) {
		if (attach(std::move(program), problem))
			return true;
		detach();
		ended_ = *problem;
		return false;
	}
	ended_ =
		program.id ? program.in_words() + " has taken the XDP hook of " + options_.interface : "the packet program has left " + options_.interface;
	batch->ended = ended_;
	return true;
}

bool KernelDump::read(u32 max, int timeout_ms, DumpBatch *batch, std::string *problem)
{
	wall_offset_ns_ = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	batch_ = batch;
	max_ = max;
	batch->ended = ended_;
	if (ring_) {
		// What is there already is taken without waiting for the kernel to say so.
		ring_buffer__consume(ring_);
		if (batch->packets.empty())
			ring_buffer__poll(ring_, timeout_ms);
		if (!follow(batch, problem))
			return false;
	}
	batch->counts = counts();
	batch->program = program_;
	batch->stand_in = way_ && way_->stand_in();
	return true;
}

} // namespace shunt
