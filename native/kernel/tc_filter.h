// SPDX-License-Identifier: Apache-2.0
//
// tc_filter.h - BPF programs at an interface's clsact qdisc (tc-bpf(8)): attach, find, detach.
//
// A filter outlives its process; the next one finds it by its place and its program's name, and replaces it. Its handle says
// whether the qdisc was created for it and is to be removed with it.
//
// Owns: the filters at the slots that are passed to it, and the qdisc if it was created for one of them.
// Must never: replace or remove another program's filter, or a qdisc that another program created or uses.
#ifndef SHUNT_KERNEL_TC_FILTER_H
#define SHUNT_KERNEL_TC_FILTER_H

#include <cstdint>
#include <initializer_list>
#include <string>

#include "kernel/running_program.h"
#include "linux/status.h"

namespace shunt
{

enum class TcDirection { ingress, egress };

// A place for one filter of ours at every interface.
struct TcSlot {
	TcDirection direction;
	uint32_t priority;
	uint32_t handle;     // of a filter on a qdisc that existed before; handle + 1: the qdisc was created for it
	const char *program; // its name, at most 15 characters: a filter whose program has another one is not ours
};

struct TcAttachment {
	const TcSlot *slot;
	int program_fd;
};

// The handle of our filter at this slot; 0: there is none.
uint32_t tc_find(uint32_t ifindex, const TcSlot &slot);
// The program of our filter at this slot; of id 0: there is none.
RunningProgram tc_program(uint32_t ifindex, const TcSlot &slot);
// Attaches each program at its slot in this order, replacing our filters of an earlier process and creating the clsact qdisc
// if there is none. On an error the filters attached before stay, for tc_detach(); a qdisc created for none of them is removed.
Status tc_attach(const std::string &interface, uint32_t ifindex, std::initializer_list<TcAttachment> attachments);
// Replaces the program of the filter with this handle, between two packets.
Status tc_replace(const std::string &interface, uint32_t ifindex, const TcSlot &slot, int program_fd);
// Detaches our filters at these slots, then removes the qdisc if it was created for one of them and has no filter left.
// False: there was no filter of ours.
bool tc_detach(uint32_t ifindex, std::initializer_list<const TcSlot *> slots);

} // namespace shunt

#endif
