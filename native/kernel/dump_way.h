// SPDX-License-Identifier: Apache-2.0
//
// dump_way.h - the two ways to see what the kernel's packet program does.
//
// Owns: their common shape. Either is in force from its making to its end; then nothing of it is left in the kernel.
//
//   probes     (dump_probes.cc)    two programs that the kernel runs before and after the packet program (kernel/bpf/dump.bpf.c)
//   stand-in   (dump_stand_in.cc)  a copy of the packet program that tells what it does (kernel/bpf/stand_in.bpf.c), in its place
//
// Probes touch nothing that runs, so they come first. A kernel that is locked down may refuse them.
#ifndef SHUNT_KERNEL_DUMP_WAY_H
#define SHUNT_KERNEL_DUMP_WAY_H

#include <memory>

#include "kernel/bpf/dump.h"
#include "kernel/object.h"
#include "kernel/running_program.h"

namespace shunt
{

class DumpWay
{
public:
	virtual ~DumpWay() = default;
	// It holds the maps that kernel/bpf/tap.h names.
	virtual const Object &object() const = 0;
	// The program that the interface's hook shows meanwhile.
	virtual u32 on_hook() const = 0;
	// The reader is still there.
	virtual void stay() {}
	virtual bool stand_in() const { return false; }
};

// For both: before load(), what is wanted and how large the ring is.
inline bool prepare_tap(Object *object, const sh_dump_wanted &wanted, u32 ring_bytes, std::string *problem)
{
	return object->size("sh_dump_ring", ring_bytes, problem) &&
	       object->set(".rodata.wanted", &wanted, sizeof(wanted), problem);
}

// NULL and one sentence. `program` must be the packet program.
std::unique_ptr<DumpWay> open_probes(const RunningProgram &program, const sh_dump_wanted &wanted, u32 ring_bytes,
                                     std::string *problem);
// On the interface that `wanted` names.
std::unique_ptr<DumpWay> open_stand_in(RunningProgram program, const sh_dump_wanted &wanted, u32 ring_bytes,
                                       std::string *problem);
// A stand-in on this interface whose reader has gone without a word: the packet program takes its place again. False and
// one sentence if that reader is there, or nothing can be done.
bool end_left_over_stand_in(const RunningProgram &stand_in, u32 ifindex, std::string *problem);

} // namespace shunt

#endif
