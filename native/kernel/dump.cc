// SPDX-License-Identifier: Apache-2.0
//
// dump.cc - see the header.
#include "kernel/dump.h"

#include <cerrno>
#include <cstring>
#include <net/if.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel/kernel_memory.h"
#include "linux/clock.h"

namespace shunt
{

constexpr u64 CHECK_INTERVAL_NS = 100000000;

namespace
{

// The packet program that the options name; fails if there is none, or it is not ours. Sets the filter's interface.
Result<RunningProgram> find_program(DumpOptions *options)
{
	RunningProgram program;
	u32 *ifindex = &options->tap.filter.ifindex;

	*ifindex = 0;
	if (options->program) {
		program = RunningProgram::by_id(options->program);
		options->method = DumpMethod::probes;
	} else {
		*ifindex = if_nametoindex(options->interface.c_str());
		if (!*ifindex)
			return Status::error("there is no interface named " + options->interface);
		program = xdp_program_on(*ifindex);
		if (!program.id)
			return Status::error("no XDP program runs on " + options->interface);
	}
	if (!program.fd.is_open())
		return Status::system(program.description() + " cannot be inspected", errno);
	if (!program.ours())
		return Status::error(options->program
		                             ? program.description() + " is not Shunt's packet program"
		                             : "the XDP hook of " + options->interface + " is held by " +
		                                       program.description() + ", which is not Shunt's packet program");
	return program;
}

} // namespace

void FreeRing::operator()(ring_buffer *ring) const
{
	ring_buffer__free(ring);
}

Result<std::unique_ptr<KernelDump>> KernelDump::open(DumpOptions options)
{
	std::unique_ptr<KernelDump> dump(new KernelDump);
	Result<RunningProgram> program = find_program(&options);

	if (!program.ok())
		return program.status();
	dump->options_ = std::move(options);
	if (Status status = dump->attach(program.take()); !status.ok())
		return status;
	dump->checked_ns_ = monotonic_ns();
	return dump;
}

KernelDump::~KernelDump()
{
	detach();
}

Status KernelDump::open_tap(RunningProgram program)
{
	std::string refused;

	if (options_.method != DumpMethod::tracing_copy) {
		auto probes = open_probes(program, options_.tap);
		if (probes.ok()) {
			tap_ = probes.take();
			return {};
		}
		refused = probes.status().message();
		if (options_.method == DumpMethod::probes)
			return Status::error("the packet program cannot be observed by probes: " + refused);
	}
	auto copy = open_tracing_copy(std::move(program), options_.tap);
	if (copy.ok()) {
		tap_ = copy.take();
		return {};
	}
	if (refused.empty())
		return copy.status();
	return Status::error("the packet program can be observed neither by probes: " + refused +
	                     "; nor by a tracing copy: " + copy.status().message());
}

Status KernelDump::attach(RunningProgram program)
{
	if (program.tracing_copy()) {
		if (Status status = end_orphaned_copy(program, options_.tap.filter.ifindex); !status.ok())
			return status;
		program = xdp_program_on(options_.tap.filter.ifindex);
	}
	program_ = program.id;
	if (Status status = open_tap(std::move(program)); !status.ok())
		return status;
	ring_.reset(ring_buffer__new(tap_->object().map_fd("sh_dump_ring"), on_record, this, nullptr));
	if (!ring_)
		return Status::system("the ring of the capture cannot be mapped", errno);
	return {};
}

void KernelDump::detach()
{
	ring_.reset();
	tap_.reset();
}

sh_dump_counts KernelDump::counts() const
{
	std::vector<sh_dump_counts> each(possible_processors());
	sh_dump_counts sum = earlier_;
	const u32 zero = 0;

	static_assert(sizeof(sh_dump_counts) % 8 == 0, "the kernel copies whole 8 bytes for each processor");
	if (!tap_ || bpf_map_lookup_elem(tap_->object().map_fd("sh_dump_counts"), &zero, each.data()))
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
	return dump->batch_->packets.size() < dump->max_ ? 0
	                                                 : -ECANCELED; // this record is consumed, the next ones are not
}

// Moves the tap to a packet program that has replaced the observed one.
Status KernelDump::follow(DumpBatch *batch)
{
	u64 now_ns = monotonic_ns();

	tap_->keep_alive();
	if (options_.program || now_ns - checked_ns_ < CHECK_INTERVAL_NS)
		return {};
	checked_ns_ = now_ns;
	RunningProgram program = xdp_program_on(options_.tap.filter.ifindex);
	if (program.id == tap_->on_hook())
		return {};

	max_ = ~0u; // every record of the old program
	ring_buffer__consume(ring_.get());
	earlier_ = counts();
	detach();
	if (program.ours()) {
		Status status = attach(std::move(program));
		if (!status.ok()) {
			detach();
			ended_ = status.message();
		}
		return status;
	}
	ended_ =
		program.id ? program.description() + " has taken the XDP hook of " + options_.interface : "the packet program has been detached from " + options_.interface;
	batch->ended = ended_;
	return {};
}

Result<DumpBatch> KernelDump::read(u32 max, int timeout_ms)
{
	DumpBatch batch;

	wall_offset_ns_ = realtime_ns() - monotonic_ns();
	batch_ = &batch;
	max_ = max;
	batch.ended = ended_;
	if (ring_) {
		// Records that are there already need no wake-up by the kernel.
		ring_buffer__consume(ring_.get());
		if (batch.packets.empty())
			ring_buffer__poll(ring_.get(), timeout_ms);
		if (Status status = follow(&batch); !status.ok())
			return status;
	}
	batch.counts = counts();
	batch.program = program_;
	batch.tracing_copy = tap_ && tap_->tracing_copy();
	return batch;
}

} // namespace shunt
