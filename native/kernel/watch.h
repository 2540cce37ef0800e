// SPDX-License-Identifier: Apache-2.0
//
// watch.h - counts frames of the packet program that a driver did not transmit, by tracepoints (kernel/bpf/watch.bpf.c).
//
// Owns: those programs and their links, which end with this object.
// Must never: be required. A kernel without type information (BTF) forwards packets all the same.
#ifndef SHUNT_KERNEL_WATCH_H
#define SHUNT_KERNEL_WATCH_H

#include <vector>

#include "kernel/object.h"

namespace shunt
{

class Watch
{
public:
	// Counts into the map of counters behind the descriptor.
	static Result<std::unique_ptr<Watch>> start(int counters_fd, u32 counters, u32 program,
	                                            const std::vector<u32> &links);
	Watch(const Watch &) = delete;

	// Another program transmits from now on.
	void set_program(u32 program);

private:
	Watch() = default;
	Status open(int counters_fd);

	std::unique_ptr<Object> object_;
	Mapping state_;
	std::vector<BpfLink> links_;
};

} // namespace shunt

#endif
