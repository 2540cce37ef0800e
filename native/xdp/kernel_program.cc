// SPDX-License-Identifier: Apache-2.0
//
// kernel_program.cc - see the header.
#include "xdp/kernel_program.h"

#include <cerrno>

#include <bpf/bpf.h>

namespace shunt
{

constexpr u64 JIFFIES_WATCHED_NS = 40000000;

std::unique_ptr<KernelProgram> KernelProgram::load(const KernelProgramOptions &options, const TableCapacity &capacity,
						   KernelMemory *memory, std::string *problem)
{
	std::unique_ptr<KernelProgram> program(new KernelProgram);

	program->object_ = Object::open(options.object_file, problem);
	Object *object = program->object_.get();
	if (!object || !TableMaps::size(object, capacity, problem) ||
	    !object->size("sh_kept_tags", (u64)SH_KEPT_TAGS * possible_processors(), problem) ||
	    !object->size("sh_kept_starts", (u64)SH_KEPT_STARTS * possible_processors(), problem) ||
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

// How long a jiffy is stands nowhere that can be relied on (CONFIG_HZ is in files that a distribution may leave out), so it
// is measured, from one edge to another. The clock then shows the time of the last edge: never the future.
bool KernelProgram::set_clock(std::string *problem)
{
	u64 first, first_ns, edge, edge_ns, last, last_ns;
	auto next_edge = [&](u64 *jiffies, u64 *now_ns) {
		u64 before = *jiffies;

		do
			if (!read_clocks(jiffies, now_ns))
				return false;
		while (*jiffies == before);
		return true;
	};

	bool read = read_clocks(&first, &first_ns) && next_edge(&first, &first_ns);
	edge = first;
	edge_ns = first_ns;
	do {
		read = read && next_edge(&edge, &edge_ns);
	} while (read && edge_ns - first_ns < JIFFIES_WATCHED_NS);
	last = edge;
	last_ns = edge_ns;
	if (!read) {
		*problem = kernel_problem("the kernel does not run the packet program for a test", errno);
		return false;
	}
	u64 per_second = ((last - first) * 1000000000 + (last_ns - first_ns) / 2) / (last_ns - first_ns);
	u64 tick_ns = (1000000000 + per_second / 2) / per_second; // TICK_NSEC, include/linux/jiffies.h
	tables_.state()->clock = {last_ns - last * tick_ns, tick_ns};
	return true;
}

} // namespace shunt
