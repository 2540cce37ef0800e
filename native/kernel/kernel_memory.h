// SPDX-License-Identifier: Apache-2.0
//
// kernel_memory.h - what outlives a daemon: session table, fragment table and counters, in maps of the kernel's.
//
// Owns: these four maps, their pins, and the mappings through which the control side walks them.
// Must never: adopt maps of another layout. Their pins carry the layout's number, so another version finds none.
#ifndef SHUNT_KERNEL_KERNEL_MEMORY_H
#define SHUNT_KERNEL_KERNEL_MEMORY_H

#include "engine/sessions.h"
#include "engine/statistics.h"
#include "kernel/object.h"

namespace shunt
{

class KernelMemory
{
public:
	KernelMemory() = default;
	~KernelMemory();
	KernelMemory(const KernelMemory &) = delete;

	// Takes up the maps pinned in this folder, if they are all there and whole.
	bool adopt(const std::string &pins);
	// Before load(): tells the object to use these maps, or, if there are none yet, of which size to make them.
	bool prepare(Object *object, const SessionGeometry &geometry, u32 targets, std::string *problem) const;
	// After load(): the maps are the object's.
	bool take(const Object &object, std::string *problem);
	bool pin(const std::string &pins, std::string *problem) const;
	static void unpin(const std::string &pins);

	void swap(KernelMemory &other);

	bool there() const { return fds_[0] >= 0; }
	const SessionGeometry &geometry() const { return geometry_; }
	u32 counters() const { return counters_; } // per processor
	int counters_fd() const { return fds_[3]; }
	// Moves the mappings out, to whoever walks them.
	bool lend(Sessions *sessions, Statistics *statistics, std::string *problem) const;

private:
	bool measure();

	enum { MAPS = 4 };
	static const char *const names_[MAPS];
	int fds_[MAPS] = {-1, -1, -1, -1};
	SessionGeometry geometry_;
	u32 counters_ = 0;
};

// Processors that the kernel may ever use.
u32 possible_processors();

} // namespace shunt

#endif
