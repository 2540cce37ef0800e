// SPDX-License-Identifier: Apache-2.0
//
// kernel_program.cc - see the header.
#include "kernel/kernel_program.h"

#include <algorithm>
#include <cerrno>
#include <ctime>

#include <bpf/bpf.h>

namespace shunt
{

Result<std::unique_ptr<KernelProgram>> KernelProgram::load(const KernelProgramOptions &options,
                                                           const TableCapacity &capacity, KernelMemory *memory)
{
	std::unique_ptr<KernelProgram> program(new KernelProgram);

	if (Status status = program->open(options, capacity, memory); !status.ok())
		return status;
	return program;
}

Status KernelProgram::open(const KernelProgramOptions &options, const TableCapacity &capacity, KernelMemory *memory)
{
	auto opened = Object::open(options.object_file);

	if (!opened.ok())
		return opened.status();
	object_ = opened.take();
	if (!options.sent)
		object_->exclude("shunt_sent");
	Status status = TableMaps::resize(object_.get(), capacity);
	if (status.ok())
		status = object_->resize("sh_cached_tags", (u64)SH_CACHED_TAGS * possible_processors());
	if (status.ok())
		status = object_->resize("sh_tag_starts", (u64)SH_CACHED_STARTS * possible_processors());
	if (status.ok())
		status = memory->prepare(object_.get(), options.geometry, options.targets);
	if (status.ok())
		status = object_->load();
	if (status.ok())
		status = memory->take(*object_);
	if (status.ok())
		status = tables_.map(*object_, capacity);
	if (!status.ok())
		return status;
	tables_.state()->counters = memory->counters();
	return options.own_clock ? set_clock() : Status();
}

Status KernelProgram::reset(const KernelMemory &memory)
{
	*tables_.state() = {};
	tables_.state()->side = SH_NO_SIDE;
	tables_.state()->counters = memory.counters();
	return object_->clear_maps();
}

Status KernelProgram::pin(const std::string &path) const
{
	if (bpf_obj_pin(fd(), path.c_str()))
		return Status::system(path + " cannot be pinned", errno);
	return {};
}

bool KernelProgram::read_clocks(u64 *jiffies, u64 *now_ns)
{
	u8 frame[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = 1);

	if (bpf_prog_test_run_opts(object_->program_fd("sh_read_clocks"), &run))
		return false;
	*jiffies = tables_.state()->seen.jiffies;
	*now_ns = tables_.state()->seen.now_ns;
	return true;
}

// A jiffy is as long as the resolution of the coarse clocks (TICK_NSEC; kernel/time/posix-timers.c). Of several readings over
// two jiffies, the one soonest after an edge locates the edges: the program's clock shows the time of the last edge, never a
// time in the future.
Status KernelProgram::set_clock()
{
	struct timespec resolution;
	long long base_ns = 0x7fffffffffffffff; // below zero, since jiffies begin before the boot
	u64 jiffies, now_ns, until = 0;

	clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
	u64 tick_ns = (u64)resolution.tv_nsec;
	do {
		if (!read_clocks(&jiffies, &now_ns))
			return Status::system("BPF_PROG_TEST_RUN of the packet program", errno);
		until = until ? until : now_ns + 2 * tick_ns;
		base_ns = std::min(base_ns, (long long)(now_ns - jiffies * tick_ns));
	} while (now_ns < until);
	tables_.state()->clock = {(u64)base_ns, tick_ns};
	return {};
}

} // namespace shunt
