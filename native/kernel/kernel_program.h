// SPDX-License-Identifier: Apache-2.0
//
// kernel_program.h - one instance of the kernel's packet program: loaded, its clock set, its tables published.
//
// Owns: an Object with tables of its own over memory that it may share with other instances. Tables that outgrow its maps
// need a new instance; so does a new version of the program. Both run over the same sessions, and the exchange at the
// interface is atomic.
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
	u32 targets = 4096;       // with counters of their own, where the memory has no counters yet
	bool sent = false;        // also load the program that observes egress packets
	bool own_clock = true;    // false: the caller sets the time (set_time)
};

class KernelProgram
{
public:
	// Uses the memory's maps, or makes them.
	static Result<std::unique_ptr<KernelProgram>> load(const KernelProgramOptions &options,
	                                                   const TableCapacity &capacity, KernelMemory *memory);

	bool holds(const sh_tables &tables) const { return tables_.capacity().holds(tables); }
	void publish(const sh_tables &tables) { tables_.publish(tables); }
	// The two halves of publish().
	void fill(const sh_tables &tables) { tables_.fill(tables); }
	void swap() { tables_.swap(); }
	void set_time(u64 now_ns) { tables_.state()->clock = {now_ns, 0}; }

	// As after load(): no tables, sessions or counts. For runs over files, which need no new verification.
	Status reset(const KernelMemory &memory);

	Status pin(const std::string &path) const;

	const Object &object() const { return *object_; }
	int fd() const { return object_->program_fd("shunt_xdp"); }
	int sent_fd() const { return object_->program_fd("shunt_sent"); } // of options.sent
	u32 id() const { return object_->program_id("shunt_xdp"); }

private:
	KernelProgram() = default;
	Status open(const KernelProgramOptions &options, const TableCapacity &capacity, KernelMemory *memory);
	Status set_clock();
	bool read_clocks(u64 *jiffies, u64 *now_ns);

	std::unique_ptr<Object> object_;
	TableMaps tables_;
};

} // namespace shunt

#endif
