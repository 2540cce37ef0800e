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

std::unique_ptr<KernelProgram> KernelProgram::load(const KernelProgramOptions &options, const TableCapacity &capacity,
                                                   KernelMemory *memory, std::string *problem)
{
	std::unique_ptr<KernelProgram> program(new KernelProgram);

	program->object_ = Object::open(options.object_file, problem);
	Object *object = program->object_.get();
	if (object && !options.sent)
		object->leave_out("shunt_sent");
	if (!object || !TableMaps::size(object, capacity, problem) ||
	    !object->size("sh_kept_tags", (u64)SH_CACHED_TAGS * possible_processors(), problem) ||
	    !object->size("sh_kept_starts", (u64)SH_CACHED_STARTS * possible_processors(), problem) ||
	    !memory->prepare(object, options.geometry, options.targets, problem) || !object->load(problem) ||
	    !memory->take(*object, problem) || !program->tables_.map(*object, capacity, problem))
		return nullptr;
	program->tables_.state()->counters = memory->counters();
	if (options.own_clock && !program->set_clock(problem))
		return nullptr;
	return program;
}

bool KernelProgram::pin(const std::string &path, std::string *problem) const
{
	if (bpf_obj_pin(fd(), path.c_str()) == 0)
		return true;
	*problem = kernel_problem(path + " can't be pinned", errno);
	return false;
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
// two jiffies, the one soonest after an edge tells where the edges are: our clock shows the time of the last one, never the
// future.
bool KernelProgram::set_clock(std::string *problem)
{
	struct timespec resolution;
	long long base_ns = 0x7fffffffffffffff; // below zero, since jiffies begin before the boot
	u64 jiffies, now_ns, until = 0;

	clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
	u64 tick_ns = (u64)resolution.tv_nsec;
	do {
		if (!read_clocks(&jiffies, &now_ns)) {
			*problem = kernel_problem("the kernel does not run the packet program for a test", errno);
			return false;
		}
		until = until ? until : now_ns + 2 * tick_ns;
		base_ns = std::min(base_ns, (long long)(now_ns - jiffies * tick_ns));
	} while (now_ns < until);
	tables_.state()->clock = {(u64)base_ns, tick_ns};
	return true;
}

} // namespace shunt
