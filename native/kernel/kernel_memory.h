// SPDX-License-Identifier: Apache-2.0
//
// kernel_memory.h - the state that outlives a daemon: session table, fragment table, counters and clients' failure
// reports, in BPF maps.
//
// Owns: these five maps, their pins, and the mappings through which the control plane walks them.
// Must never: adopt maps of another layout. The pins carry the layout's number, so another version finds none.
#ifndef SHUNT_KERNEL_KERNEL_MEMORY_H
#define SHUNT_KERNEL_KERNEL_MEMORY_H

#include "engine/sessions.h"
#include "engine/statistics.h"
#include "kernel/object.h"
#include "linux/descriptor.h"

namespace shunt
{

class KernelMemory
{
public:
	KernelMemory() = default;
	KernelMemory(const KernelMemory &) = delete;

	// Adopts the maps pinned in this folder, if all are there and of the right layout.
	bool adopt(const std::string &pins);
	// Before load(): has the object use these maps, or, if there are none yet, sets the sizes of its own.
	Status prepare(Object *object, const SessionGeometry &geometry, u32 targets) const;
	// After load(): takes the object's maps, if there were none yet.
	Status take(const Object &object);
	Status pin(const std::string &pins) const;
	static void unpin(const std::string &pins);

	void swap(KernelMemory &other);

	bool has_maps() const { return maps_[0].is_open(); }
	const SessionGeometry &geometry() const { return geometry_; }
	u32 counters() const { return counters_; } // per processor
	int counters_fd() const { return maps_[3].get(); }
	// Maps the memory into these two.
	Status map(Sessions *sessions, Statistics *statistics) const;

private:
	bool measure(); // false: a map is missing, or of another layout

	enum { MAPS = 5 };
	static const char *const names_[MAPS];
	Descriptor maps_[MAPS];
	SessionGeometry geometry_;
	u32 counters_ = 0;
};

// Processors that the kernel may use.
u32 possible_processors();

} // namespace shunt

#endif
