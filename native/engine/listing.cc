// SPDX-License-Identifier: Apache-2.0
//
// listing.cc - sessions as rows for display, their removal by an operator, and their copy to a table of another size.
#include "engine/session_env.h"
#include "engine/sessions.h"

#include <algorithm>

#include "datapath/session/insert.h"

namespace shunt
{

// False for a slot that is free or in transition.
static bool read_row(const sh_session4 *slot, u8 family, u32 now_tick, u64 *claim, sh_session_value *seen,
                     SessionRow *row)
{
	*claim = SH_READ_ONCE(slot->claim);
	if (!*claim || (family == SH_IPV6 && *claim & SH_CLAIM6_BUSY))
		return false;
	*seen = sh_session_read(slot);
	if (!seen->target)
		return false;
	row->source = family == SH_IPV4 ? sh_addr_v4((be32)(*claim >> 32))
	                                : reinterpret_cast<const sh_session6 *>(slot)->source;
	if (SH_READ_ONCE(slot->claim) != *claim)
		return false; // another session took the slot while its address was read
	row->source_port = sh_ntohs((be16)(*claim >> 16));
	row->service = (u16)*claim;
	row->target = seen->target;
	row->family = family;
	row->proven = seen->flags & SH_SESSION_PROVEN;
	row->state = seen->flags & SH_SESSION_STATE;
	row->idle_ticks = sh_session_age(now_tick, seen->last);
	return true;
}

static bool matches(const SessionFilter &filter, const SessionRow &row)
{
	return (!filter.by_service || filter.service == row.service) &&
	       (!filter.by_target || std::binary_search(filter.targets.begin(), filter.targets.end(), row.target)) &&
	       row.idle_ticks >= filter.idle_at_least && (!filter.by_port || filter.source_port == row.source_port) &&
	       (!filter.by_source || sh_addr_equal(&filter.source, &row.source));
}

std::vector<SessionRow> list_sessions(const Sessions &sessions, const SessionFilter &filter, u64 limit, u32 now_tick,
                                      u64 *from)
{
	std::vector<SessionRow> rows;
	u64 bucket = *from;

	// Whole buckets, so that the bucket to continue at is exact: the limit may be exceeded by one bucket's slots.
	for (; bucket < sessions.buckets() && rows.size() < limit; bucket++)
		sessions.walk(bucket, 1, [&](sh_session4 *slot, u8 family) {
			sh_session_value seen;
			SessionRow row;
			u64 claim;

			if (read_row(slot, family, now_tick, &claim, &seen, &row) && matches(filter, row))
				rows.push_back(row);
		});
	*from = bucket < sessions.buckets() ? bucket : 0;
	return rows;
}

u64 copy_sessions(const Sessions &from, const Sessions &to, const sh_tables &tables)
{
	u64 scratch[SH_SCRATCH_BYTES / sizeof(u64)] = {};
	sh_env env = session_env(to, &tables, scratch);
	u64 lost = 0;

	from.walk(0, from.buckets(), [&](sh_session4 *slot, u8 family) {
		struct sh_session_key key;
		sh_session_value seen, found;
		SessionRow row;
		u64 claim;
		sh_flow flow = {};

		if (!read_row(slot, family, 0, &claim, &seen, &row))
			return;
		flow.family = family;
		flow.source = row.source;
		flow.source_port = sh_htons(row.source_port);
		sh_session_key(&tables.control, &flow, row.service, &key);
		if (!sh_session_find(&env, &key, &found))
			lost += sh_session_insert(&env, &key, seen.word) == SH_INSERT_FAILED;
	});
	return lost;
}

RemoveResult remove_sessions(const Sessions &sessions, const SessionFilter &filter, u32 now_tick, u64 from, u64 count)
{
	RemoveResult result;

	sessions.walk(from, count, [&](sh_session4 *slot, u8 family) {
		// A packet may update the session between the read and the compare-and-swap; then it is read again.
		for (int attempt = 0; attempt < 8; attempt++) {
			sh_session_value seen;
			SessionRow row;
			u64 claim;

			if (!read_row(slot, family, now_tick, &claim, &seen, &row) || !matches(filter, row))
				return;
			if (free_session(slot, claim, seen)) {
				result.removed++;
				return;
			}
		}
	});
	result.next = count < sessions.buckets() - std::min(from, sessions.buckets()) ? from + count : 0;
	return result;
}

} // namespace shunt
