// SPDX-License-Identifier: Apache-2.0
//
// table_maps.cc - see the header.
#include "kernel/table_maps.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <ctime>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace shunt
{

static u32 lines_of(u32 rows)
{
	return (rows + SH_ROWS_A_LINE - 1) / SH_ROWS_A_LINE;
}

static u32 room_for(u64 entries)
{
	return static_cast<u32>(std::bit_ceil(std::max<u64>(entries + entries / 2, 4)));
}

TableCapacity TableCapacity::of(const sh_tables &tables)
{
	const struct sh_control &c = tables.control;

	return TableCapacity{room_for(c.service_mask + 1), room_for(c.rule_mask + 1),  room_for(c.own_mask + 1),
	                     room_for(c.redirections),     room_for(lines_of(c.rows)), room_for(c.targets)};
}

bool TableCapacity::holds(const sh_tables &tables) const
{
	const struct sh_control &c = tables.control;

	return c.service_mask < services && c.rule_mask < rules && c.own_mask < own && c.redirections <= redirections &&
	       lines_of(c.rows) <= row_lines && c.targets <= targets;
}

Status TableMaps::resize(Object *object, const TableCapacity &capacity)
{
	const std::pair<const char *, u32> maps[] = {
		{"sh_services", capacity.services}, {"sh_rules", capacity.rules},
		{"sh_own", capacity.own},           {"sh_redirections", capacity.redirections},
		{"sh_rows", capacity.row_lines},    {"sh_targets", capacity.targets},
	};

	for (auto [map, entries] : maps)
		if (Status status = object->resize(map, (u64)entries * SH_SIDES); !status.ok())
			return status;
	return {};
}

Status TableMaps::map(const Object &object, const TableCapacity &capacity)
{
	const std::pair<const char *, Mapping *> maps[] = {
		{".data.state", &state_},
		{"sh_services", &services_},
		{"sh_rules", &rules_},
		{"sh_own", &own_},
		{"sh_redirections", &redirections_},
		{"sh_rows", &rows_},
		{"sh_targets", &targets_},
		{"sh_keys", &keys_},
	};

	capacity_ = capacity;
	for (auto [name, mapping] : maps) {
		Result<Mapping> mapped = object.map(name);

		if (!mapped.ok())
			return mapped.status();
		*mapping = mapped.take();
	}
	return {};
}

// Entry by entry, since the entries of both sides alternate.
template <typename Entry> static void copy(Mapping &to, u32 side, const Entry *from, u32 count)
{
	Entry *entries = reinterpret_cast<Entry *>(to.data());

	static_assert(sizeof(Entry) % 8 == 0, "an array map keeps entries of whole 8 bytes");
	for (u32 i = 0; i < count; i++)
		entries[i * SH_SIDES + side] = from[i];
}

// Never the side in force.
static u32 other_side(const sh_state &state)
{
	return state.side == 0 ? 1 : 0;
}

void TableMaps::fill(const sh_tables &tables)
{
	const struct sh_control &control = tables.control;
	u32 side = other_side(*state());

	wait_for_packets(); // that began while this side was the one in force
	copy(services_, side, tables.services, control.service_mask + 1);
	copy(rules_, side, tables.rules, control.rule_mask + 1);
	copy(own_, side, tables.own, control.own_mask + 1);
	copy(redirections_, side, tables.redirections, control.redirections);
	copy(targets_, side, tables.targets, control.targets);
	copy(keys_, side, tables.keys, SH_KEYS);
	sh_row_line *lines = reinterpret_cast<sh_row_line *>(rows_.data());
	for (u32 i = 0; i < control.rows; i += SH_ROWS_A_LINE)
		memcpy(lines[i / SH_ROWS_A_LINE * SH_SIDES + side].row, tables.rows + i,
		       std::min<u32>(SH_ROWS_A_LINE, control.rows - i) * sizeof(u16));
	state()->control[side] = control;
}

void TableMaps::swap()
{
	__atomic_store_n(&state()->side, other_side(*state()), __ATOMIC_RELEASE);
}

void wait_for_packets()
{
	// XDP runs inside read-side critical sections of RCU; this system call waits for all of them.
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0)
		return;
	// Not on kernels with full dynticks: there, longer than any packet can take.
	struct timespec long_enough = {0, 100000000};
	nanosleep(&long_enough, nullptr);
}

} // namespace shunt
