// SPDX-License-Identifier: Apache-2.0
//
// dump.h - packets before and after the kernel's packet program, for display.
//
// Owns: the tap (dump_tap.h) of one capture, the ring that its records arrive by, and the change to another packet program
// when a daemon replaces the present one.
// Must never: leave anything in the kernel after its destruction, or cost anything while no capture runs.
#ifndef SHUNT_KERNEL_DUMP_H
#define SHUNT_KERNEL_DUMP_H

#include <vector>

#include "kernel/dump_tap.h"

struct ring_buffer;

namespace shunt
{

enum class DumpMethod { any, probes, tracing_copy };

struct DumpOptions {
	std::string interface; // of the packet program; or
	u32 program = 0;       // its id, for packets of every interface; by probes only
	TapOptions tap;        // its filter's ifindex is set from the above
	DumpMethod method = DumpMethod::any;
};

struct DumpPacket {
	u64 timestamp_ns; // since 1970
	sh_dump_record record;
	std::vector<u8> before, after;
};

struct DumpBatch {
	std::vector<DumpPacket> packets;
	sh_dump_counts counts = {}; // since the start
	u32 program = 0;            // id of the observed program
	bool tracing_copy = false;  // observed by a tracing copy
	std::string ended;          // why no packet follows; empty: some may
};

struct FreeRing {
	void operator()(ring_buffer *ring) const;
};

class KernelDump
{
public:
	static Result<std::unique_ptr<KernelDump>> open(DumpOptions options);
	~KernelDump();
	KernelDump(const KernelDump &) = delete;

	// About `max` packets, waiting at most `timeout_ms` for the first. One thread at a time.
	Result<DumpBatch> read(u32 max, int timeout_ms);

private:
	KernelDump() = default;
	Status attach(RunningProgram program);
	Status open_tap(RunningProgram program);
	void detach();
	Status follow(DumpBatch *batch);
	sh_dump_counts counts() const;
	static int on_record(void *self, void *data, size_t bytes);

	DumpOptions options_;
	u32 program_ = 0;
	std::unique_ptr<DumpTap> tap_;
	std::unique_ptr<ring_buffer, FreeRing> ring_;
	sh_dump_counts earlier_ = {}; // of programs observed before the present one
	std::string ended_;
	u64 checked_ns_ = 0;         // when the hook was last checked
	DumpBatch *batch_ = nullptr; // of the read in progress
	u32 max_ = 0;
	u64 wall_offset_ns_ = 0;
};

} // namespace shunt

#endif
