// SPDX-License-Identifier: Apache-2.0
//
// hash_table.h - builds the open-addressed hash tables that the packet program looks up.
//
// Owns: their fill: every entry within SH_PROBES slots of its home, two thirds of the slots full at most, so that a
// look-up that finds nothing ends soon.
// Must never: use another hash than the look-up does (datapath/lookup/hash.h).
#ifndef SHUNT_ENGINE_HASH_TABLE_H
#define SHUNT_ENGINE_HASH_TABLE_H

#include <functional>
#include <vector>

#include <engine_platform.h>

namespace shunt
{

// The slots, a power of two of them; none if the entries do not fit the largest table, as when more than SH_PROBES of
// them have one key. `occupied` tells an entry from an empty slot, Slot{}.
template <typename Slot>
std::vector<Slot> build_hash_table(const std::vector<Slot> &entries, const std::function<u32(const Slot &)> &hash,
                                   const std::function<bool(const Slot &)> &occupied)
{
	constexpr size_t LARGEST = 1u << 28;
	size_t slots = 4;

	while (slots * 2 < entries.size() * 3)
		slots *= 2;
	for (; slots <= LARGEST; slots *= 2) {
		std::vector<Slot> table(slots, Slot{});
		bool all = true;

		for (const Slot &entry : entries) {
			u32 home = hash(entry);
			u32 k = 0;

			while (k < SH_PROBES && occupied(table[(home + k) & (slots - 1)]))
				k++;
			if (k == SH_PROBES) {
				all = false;
				break;
			}
			table[(home + k) & (slots - 1)] = entry;
		}
		if (all)
			return table;
	}
	return {};
}

} // namespace shunt

#endif
