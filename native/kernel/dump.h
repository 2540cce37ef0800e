// SPDX-License-Identifier: Apache-2.0
//
// dump.h - packets before and after the kernel's packet program, for people.
//
// Owns: the way by which they are seen (dump_way.h) for as long as somebody dumps, the ring they come up by, and the change
// to another packet program when a daemon puts one in the place of the last.
// Must never: leave anything in the kernel when it is gone; who does not dump pays nothing.
#ifndef SHUNT_KERNEL_DUMP_H
#define SHUNT_KERNEL_DUMP_H

#include <vector>

#include "kernel/dump_way.h"

struct ring_buffer;

namespace shunt
{

enum class DumpWays { either, probes, stand_in };

struct DumpOptions {
	std::string interface;      // whose packet program; or
	u32 program = 0;            // this one, for packets of every interface; by probes only
	sh_dump_wanted wanted = {}; // its interface is set from the above
	u32 ring_bytes = 1 << 20;   // a power of two, whole pages
	DumpWays ways = DumpWays::either;
};

struct DumpPacket {
	u64 timestamp_ns; // since 1970
	sh_dump_record record;
	std::vector<u8> before, after;
};

struct DumpBatch {
	std::vector<DumpPacket> packets;
	sh_dump_counts counts = {}; // since the beginning
	u32 program = 0;            // the one that is watched
	bool stand_in = false;      // by a stand-in for it
	std::string ended;          // why no more will come
};

class KernelDump
{
public:
	// NULL and one sentence.
	static std::unique_ptr<KernelDump> open(DumpOptions options, std::string *problem);
	~KernelDump();
	KernelDump(const KernelDump &) = delete;

	// About `max` packets, waiting at most `timeout_ms` for the first. One thread at a time. False and one sentence when
	// the capture has failed.
	bool read(u32 max, int timeout_ms, DumpBatch *batch, std::string *problem);

private:
	KernelDump() = default;
	bool attach(RunningProgram program, std::string *problem);
	bool open_way(RunningProgram program, std::string *problem);
	void detach();
	bool follow(DumpBatch *batch, std::string *problem);
	sh_dump_counts counts() const;
	static int on_record(void *self, void *data, size_t bytes);

	DumpOptions options_;
	u32 program_ = 0;
	std::unique_ptr<DumpWay> way_;
	ring_buffer *ring_ = nullptr;
	sh_dump_counts earlier_ = {}; // of the programs watched before this one
	std::string ended_;
	u64 looked_ns_ = 0;          // when the hook was last looked at
	DumpBatch *batch_ = nullptr; // of the read under way
	u32 max_ = 0;
	u64 wall_offset_ns_ = 0;
};

} // namespace shunt

#endif
