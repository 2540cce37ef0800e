// SPDX-License-Identifier: Apache-2.0
//
// table_maps.h - a set of tables, in the kernel: two sides of every map, and the swap between them.
//
// Owns: the sizes of the table maps, the copy of a TableBlock into the side that is not in force, and the store that swaps.
// Must never: write the side in force, or one that a packet may still be reading.
#ifndef SHUNT_KERNEL_TABLE_MAPS_H
#define SHUNT_KERNEL_TABLE_MAPS_H

#include "engine/tables.h"
#include "kernel/bpf/state.h"
#include "kernel/object.h"

namespace shunt
{

// Entries of one side.
struct TableCapacity {
	u32 services = 4, rules = 4, own = 4, redirections = 4, row_lines = 4, targets = 4;

	// Room for this set and for one half as large again.
	static TableCapacity of(const sh_tables &tables);
	bool holds(const sh_tables &tables) const;
};

class TableMaps
{
public:
	// Before and after the object's load().
	static Status resize(Object *object, const TableCapacity &capacity);
	Status map(const Object &object, const TableCapacity &capacity);

	const TableCapacity &capacity() const { return capacity_; }
	sh_state *state() const { return reinterpret_cast<sh_state *>(state_.data()); }
	// Writes the side that is not in force; the set must fit. What was written before and not swapped is lost.
	void fill(const sh_tables &tables);
	// Puts what fill() has written in force.
	void swap();
	void publish(const sh_tables &tables)
	{
		fill(tables);
		swap();
	}

private:
	TableCapacity capacity_;
	Mapping state_, services_, rules_, own_, redirections_, rows_, targets_, keys_;
};

// Returns when every packet that was being processed at the call is done.
void wait_for_packets();

} // namespace shunt

#endif
