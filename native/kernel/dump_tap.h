// SPDX-License-Identifier: Apache-2.0
//
// dump_tap.h - the two methods to observe what the kernel's packet program does.
//
// Owns: their common interface. A tap is in force from its construction to its destruction, and leaves nothing in the kernel.
//
//   probes        (dump_probes.cc)  two programs that the kernel runs before and after the packet program (bpf/dump.bpf.c)
//   tracing copy  (dump_copy.cc)    a copy of the packet program that reports each packet (bpf/stand_in.bpf.c), in its place
//
// Probes change nothing that runs, so they are tried first. A kernel in lockdown may refuse them.
#ifndef SHUNT_KERNEL_DUMP_TAP_H
#define SHUNT_KERNEL_DUMP_TAP_H

#include <memory>

#include "kernel/bpf/dump.h"
#include "kernel/object.h"
#include "kernel/running_program.h"

namespace shunt
{

// What both methods are opened with.
struct TapOptions {
	sh_dump_wanted filter = {}; // its ifindex is the interface of the packet program; 0: any
	u32 ring_bytes = 1 << 20;   // a power of two, whole pages
};

class DumpTap
{
public:
	virtual ~DumpTap() = default;
	// It holds the maps of kernel/bpf/tap.h.
	virtual const Object &object() const = 0;
	// The id of the program on the interface's hook meanwhile.
	virtual u32 on_hook() const = 0;
	// Call regularly: a tap whose reader has died ends by itself.
	virtual void keep_alive() {}
	virtual bool tracing_copy() const { return false; }
};

// For both, before load(): the filter and the ring's size.
inline Status prepare_tap(Object *object, const TapOptions &options)
{
	Status status = object->resize("sh_dump_ring", options.ring_bytes);

	return status.ok() ? object->set(".rodata.wanted", &options.filter, sizeof(options.filter)) : status;
}

// `program` must be the packet program.
Result<std::unique_ptr<DumpTap>> open_probes(const RunningProgram &program, const TapOptions &options);
// On the interface of options.filter.
Result<std::unique_ptr<DumpTap>> open_tracing_copy(RunningProgram program, const TapOptions &options);
// Puts the packet program back in the place of a tracing copy whose reader has died. Fails if the reader lives.
Status end_orphaned_copy(const RunningProgram &copy, u32 ifindex);

} // namespace shunt

#endif
