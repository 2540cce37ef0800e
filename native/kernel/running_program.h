// SPDX-License-Identifier: Apache-2.0
//
// running_program.h - a BPF program that somebody else has loaded: who it is, its maps, and the XDP hook it is on.
//
// Owns: descriptors of what the kernel lets us look at.
// Must never: change anything.
#ifndef SHUNT_KERNEL_RUNNING_PROGRAM_H
#define SHUNT_KERNEL_RUNNING_PROGRAM_H

#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include "datapath/types.h"

namespace shunt
{

class BpfDescriptor
{
public:
	explicit BpfDescriptor(int fd = -1) : fd_(fd) {}
	~BpfDescriptor() { reset(); }
	BpfDescriptor(BpfDescriptor &&other) noexcept { std::swap(fd_, other.fd_); }
	BpfDescriptor &operator=(BpfDescriptor &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	void reset()
	{
		if (fd_ >= 0)
			close(fd_);
		fd_ = -1;
	}
	operator int() const { return fd_; }

private:
	int fd_ = -1;
};

struct NamedMap {
	std::string name; // at most 15 characters
	BpfDescriptor fd;
};

struct RunningProgram {
	u32 id = 0;       // 0: none
	BpfDescriptor fd; // none: it may not be looked at, or is gone
	std::string name; // at most 15 characters
	std::string tag;  // the same for the same instructions
	u32 types = 0;    // the id of its BTF

	static RunningProgram by_id(u32 id);
	static RunningProgram by_fd(int fd); // which stays the caller's

	bool packet_program() const { return name == "shunt_xdp"; }
	bool stand_in() const { return name == "shunt_stand_in"; } // dump_stand_in.cc
	bool ours() const { return packet_program() || stand_in(); }
	std::string in_words() const; // "program xdp_pass (id 12)"

	std::vector<NamedMap> maps() const;
	// The value of an array map's only entry. False if there is none of this name and size.
	bool value(const char *map, void *value, size_t bytes) const;
};

// What holds the interface's XDP hook, in whichever mode; ours before any other.
RunningProgram xdp_program_on(u32 ifindex);
// The link by which the program is there; none: it was attached without one.
BpfDescriptor xdp_link_on(u32 ifindex, u32 program);

} // namespace shunt

#endif
