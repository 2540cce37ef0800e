// SPDX-License-Identifier: Apache-2.0
//
// running_program.h - a BPF program that runs in the kernel: its identity, its maps, and the XDP hook that it is on.
//
// Owns: descriptors of programs, maps and links that this process may inspect.
// Must never: change anything.
#ifndef SHUNT_KERNEL_RUNNING_PROGRAM_H
#define SHUNT_KERNEL_RUNNING_PROGRAM_H

#include <string>
#include <vector>

#include "datapath/types.h"
#include "linux/descriptor.h"

namespace shunt
{

struct NamedMap {
	std::string name; // at most 15 characters
	Descriptor fd;
};

struct RunningProgram {
	u32 id = 0;       // 0: none
	Descriptor fd;    // closed: it may not be inspected, or is gone
	std::string name; // at most 15 characters
	std::string tag;  // the same for the same instructions
	u32 types = 0;    // the id of its BTF

	static RunningProgram by_id(u32 id);
	static RunningProgram by_fd(int fd); // which stays the caller's

	bool packet_program() const { return name == "shunt_xdp"; }
	bool tracing_copy() const { return name == "shunt_stand_in"; } // dump_copy.cc
	bool ours() const { return packet_program() || tracing_copy(); }
	std::string description() const; // "program xdp_pass (id 12)"

	std::vector<NamedMap> maps() const;
	// The value of an array map's only entry. False if there is none of this name and size.
	bool value(const char *map, void *value, size_t bytes) const;
};

// The program on the interface's XDP hook, in any mode; ours before any other. id 0: none.
RunningProgram xdp_program_on(u32 ifindex);
// The link that attaches the program to the interface; closed: it was attached without one.
Descriptor xdp_link_on(u32 ifindex, u32 program);

} // namespace shunt

#endif
