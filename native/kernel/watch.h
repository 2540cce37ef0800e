// SPDX-License-Identifier: Apache-2.0
//
// watch.h - counts frames of ours that a driver did not take, from the kernel's tracepoints (kernel/bpf/watch.bpf.c).
//
// Owns: those programs and their links, which end with this object.
// Must never: be needed. Where the kernel has no type information (BTF), packets are served all the same.
#ifndef SHUNT_KERNEL_WATCH_H
#define SHUNT_KERNEL_WATCH_H

#include <vector>

#include "kernel/object.h"

struct bpf_link;

namespace shunt
{

class Watch
{
public:
	// Counts into the counters' map behind the descriptor. NULL and one sentence.
	static std::unique_ptr<Watch> start(int counters_fd, u32 counters, u32 program, const std::vector<u32> &links,
	                                    std::string *problem);
	~Watch();
	Watch(const Watch &) = delete;

	// Another program sends now.
	void set_program(u32 program);

private:
	Watch() = default;

	std::unique_ptr<Object> object_;
	Mapping state_;
	std::vector<bpf_link *> links_;
};

} // namespace shunt

#endif
