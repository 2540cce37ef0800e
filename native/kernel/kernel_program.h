// SPDX-License-Identifier: Apache-2.0
//
// kernel_program.h - one instance of the kernel's packet program: loaded, its clock set, its tables published.
//
// Owns: an Object with tables of its own over memory that it may share with others. Tables that outgrow its maps take a new
// instance; so does a new version of the program. Both run over the same sessions, and the swap at the interface is atomic.
// Must never: attach anything.
#ifndef SHUNT_KERNEL_KERNEL_PROGRAM_H
#define SHUNT_KERNEL_KERNEL_PROGRAM_H

#include "kernel/kernel_memory.h"
#include "kernel/table_maps.h"

namespace shunt
{

struct KernelProgramOptions {
	std::string object_file;  // empty: the program that this addon carries
	SessionGeometry geometry; // of sessions, where the memory has none yet
	u32 targets = 4096;       // with counters of their own, where the memory has none yet
	bool sent = false;        // load the program that sees what a backend sends, too
	bool own_clock = true;    // false: the caller sets the time (set_time)
};

class KernelProgram
{
public:
	// Uses the memory's maps, or makes them. NULL and one sentence.
	static std::unique_ptr<KernelProgram> load(const KernelProgramOptions &options, const TableCapacity &capacity,
	                                           KernelMemory *memory, std::string *problem);

	bool holds(const sh_tables &tables) const { return tables_.capacity().holds(tables); }
	void publish(const sh_tables &tables) { tables_.publish(tables); }
	void set_time(u64 now_ns) { tables_.state()->clock = {now_ns, 0}; }

	bool pin(const std::string &path, std::string *problem) const;

	const Object &object() const { return *object_; }
	int fd() const { return object_->program_fd("shunt_xdp"); }
	int sent_fd() const { return object_->program_fd("shunt_sent"); } // of options.sent
	u32 id() const { return object_->program_id("shunt_xdp"); }

private:
	bool set_clock(std::string *problem);
	bool read_clocks(u64 *jiffies, u64 *now_ns);

	std::unique_ptr<Object> object_;
	TableMaps tables_;
};

} // namespace shunt

#endif
