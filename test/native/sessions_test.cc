// SPDX-License-Identifier: Apache-2.0
//
// sessions_test.cc - records made by the packet program, aged and listed beside it.
#include <set>
#include <thread>

#include <doctest/doctest.h>

#include "datapath/session/insert.h"
#include "engine/session_env.h"
#include "engine/sessions.h"
#include "fixtures.h"

using namespace shunt;

namespace
{

struct Fixture {
	Sessions sessions;
	std::unique_ptr<TableBlock> block;
	sh_env env = {};

	explicit Fixture(u64 records4, u64 records6 = 1000)
	{
		CHECK(sessions.allocate(records4, records6, 16));
		block = build_tables(spec_of_one_service(), sessions.geometry());
		CHECK(block);
		env = session_env(sessions, block->tables());
	}

	struct sh_session_key key(u32 i, u8 family = SH_IPV4)
	{
		struct sh_session_key key;
		sh_flow flow = {};

		flow.family = family;
		flow.source = sh_addr_v4(sh_htonl(0x0a000000 + (i >> 14)));
		if (family == SH_IPV6)
			flow.source.w[0] = sh_htonl(0x20010db8);
		flow.source_port = sh_htons((u16)(1024 + (i & 0x3fff)));
		::sh_session_key(sh_control(&env), &flow, 1, &key);
		return key;
	}

	u32 insert(u32 i, u32 tick, u16 target = 1, u8 family = SH_IPV4)
	{
		struct sh_session_key k = key(i, family);
		sh_session_value value = {};

		value.last = tick;
		value.target = target;
		// Each processor has scratch memory of its own; here, each thread.
		thread_local u64 scratch[SH_SCRATCH_BYTES / sizeof(u64)];
		sh_env own = env;
		own.scratch = scratch;
		return sh_session_insert(&own, &k, value.word);
	}

	sh_session4 *find(u32 i, u8 family = SH_IPV4)
	{
		struct sh_session_key k = key(i, family);

		union sh_session_value seen;

		return sh_session_find(&env, &k, &seen);
	}

	// In slices, as the event loop does it.
	u64 remove(const SessionFilter &filter, u32 tick, u64 slice = 100)
	{
		u64 removed = 0, from = 0;

		do {
			RemoveResult part = remove_sessions(sessions, filter, tick, from, slice);

			removed += part.removed;
			from = part.next;
		} while (from);
		return removed;
	}

	SweepResult sweep_all(u32 tick, SessionCounts *counts, u64 slice = 100)
	{
		SweepResult total, part;
		u64 from = 0;

		do {
			part = sweep(sessions, from, slice, tick, *block, counts);
			total.live += part.live;
			total.expired += part.expired;
			total.duplicates += part.duplicates;
			from = part.next;
		} while (from);
		return total;
	}
};

} // namespace

TEST_CASE("sessions: R9: made, found, counted, expired when idle")
{
	Fixture f(10000);
	SessionCounts counts;
	u32 idle = f.block->aging()[1].idle_ticks;

	for (u32 i = 0; i < 5000; i++)
		CHECK_EQ(f.insert(i, 1000 + (i & 1), (u16)(1 + i % 2), i % 5 ? SH_IPV4 : SH_IPV4), SH_INSERTED);
	for (u32 i = 0; i < 100; i++)
		CHECK_EQ(f.insert(i, 1000, 2, SH_IPV6), SH_INSERTED);
	for (u32 i = 0; i < 5000; i++)
		CHECK(f.find(i));
	for (u32 i = 0; i < 100; i++)
		CHECK(f.find(i, SH_IPV6));

	SweepResult r = f.sweep_all(1000 + idle, &counts);
	CHECK_EQ(r.live, 5100);
	CHECK_EQ(r.expired, 0);
	CHECK_EQ(counts.services[1], 5100);
	CHECK_EQ(counts.targets[1], 2500);
	CHECK_EQ(counts.targets[2], 2600);

	counts = SessionCounts();
	r = f.sweep_all(1000 + idle + 1, &counts);
	CHECK_EQ(r.expired, 2600); // those last seen at tick 1000
	CHECK_EQ(r.live, 2500);
	CHECK((!f.find(0) && f.find(1) && !f.find(0, SH_IPV6)));
	// The clock wraps after 52 days.
	Fixture g(1000);
	g.insert(1, 0xfffffff0u);
	CHECK_EQ(g.sweep_all(0x10, &counts).live, 1);
	CHECK_EQ(g.sweep_all(0x10 + idle, &counts).expired, 1);
}

TEST_CASE("sessions: the first eviction comes after 85 % of the slots are taken")
{
	Fixture f((1 << 16) * 85 / 100 * SH_SLOTS4);
	u64 slots = f.sessions.slots4(), i = 0;

	CHECK_EQ(slots, (1 << 16) * SH_SLOTS4);
	while (i < slots && f.insert((u32)i, 1) == SH_INSERTED)
		i++;
	printf("  first eviction at %.1f %%\n", 100.0 * (double)i / (double)slots);
	CHECK(i >= slots * 85 / 100);
	u64 lost = 0;
	for (u64 known = 0; known < i; known++)
		lost += !f.find((u32)known);
	CHECK_EQ(lost, 1); // the one evicted by the last insert; records relocated on the way are still found
}

TEST_CASE("sessions: a table holds as many IPv6 sessions as it was asked for before the first eviction")
{
	for (u64 wanted : {100000ull, 104857ull, 1000000ull}) {
		Fixture f(1000, wanted);
		u64 i = 0;

		// On a processor that has not met a full table before.
		std::thread([&] {
			while (i < f.sessions.slots6() && f.insert((u32)i, 1, 1, SH_IPV6) == SH_INSERTED)
				i++;
		}).join();
		printf("  first eviction at %.1f %%\n", 100.0 * (double)i / (double)f.sessions.slots6());
		CHECK(i >= wanted);
	}
}

TEST_CASE("sessions: a full table evicts the unproven first, and goes on taking")
{
	Fixture f(100);
	u32 slots = (u32)f.sessions.slots4();
	u32 evicted = 0;

	for (u32 i = 0; i < 8 * slots; i++) {
		u32 how = f.insert(i, i);
		CHECK(how != SH_INSERT_FAILED);
		evicted += how == SH_INSERTED_EVICTING;
	}
	CHECK(evicted > 0);
	SessionCounts counts;
	CHECK(f.sweep_all(8 * slots, &counts).live <= slots);
}

TEST_CASE("sessions: rows are listed by filter, page by page, and removed by hand")
{
	Fixture f(10000);
	std::set<u32> seen;
	u64 from = 0;

	for (u32 i = 0; i < 3000; i++)
		f.insert(i, 500, (u16)(1 + i % 3));
	f.insert(7, 400, 3, SH_IPV6);
	do {
		for (const SessionRow &row : list_sessions(f.sessions, SessionFilter(), 100, 600, &from)) {
			if (row.family == SH_IPV6) {
				CHECK((row.idle_ticks == 200 && row.source.w[0] == sh_htonl(0x20010db8)));
				continue;
			}
			CHECK_EQ(row.idle_ticks, 100);
			CHECK(seen.insert(row.source_port).second);
		}
	} while (from);
	CHECK_EQ(seen.size(), 3000);

	SessionFilter one;
	one.by_source = one.by_port = true;
	one.source = v4(10, 0, 0, 0);
	one.source_port = 1024 + 42;
	CHECK_EQ(list_sessions(f.sessions, one, 10, 600, &from).size(), 1);
	CHECK_EQ(f.remove(one, 600), 1);
	CHECK((!f.find(42) && f.find(43)));
	SessionFilter some;
	some.by_target = true;
	CHECK_EQ(f.remove(some, 600), 0); // of no target
	some.targets = {1, 3};
	some.idle_at_least = 101;
	CHECK_EQ(f.remove(some, 600), 1); // the one that is idle for 200
	some.idle_at_least = 100;
	CHECK_EQ(f.remove(some, 600), 1999);
	CHECK_EQ(list_sessions(f.sessions, SessionFilter(), 5000, 600, &from).size(), 1000);
}

TEST_CASE("sessions: two threads insert the same flows while a third ages; every record is whole")
{
	Fixture f(20000, 8000);
	constexpr u32 FLOWS = 20000;
	std::atomic<bool> done = false;
	auto insert_all = [&](u16 target, bool backwards) {
		for (u32 n = 0; n < FLOWS; n++) {
			u32 i = backwards ? FLOWS - 1 - n : n;
			u8 family = i % 4 ? SH_IPV4 : SH_IPV6;
			sh_session4 *slot = f.find(i, family);

			if (!slot) {
				f.insert(i, 1000, target, family);
				continue;
			}
			sh_session_value seen = sh_session_read(slot);
			CHECK(seen.target <= 2);
			if (seen.target)
				sh_session_touch(slot, seen, 1000, 0);
		}
	};

	std::thread a(insert_all, 1, false), b(insert_all, 2, true), c([&] {
		SessionCounts counts;

		while (!done)
			f.sweep_all(1001, &counts, 1000);
	});
	a.join();
	b.join();
	done = true;
	c.join();
	SessionCounts counts;
	f.sweep_all(1001, &counts);
	CHECK_EQ(counts.targets[0], 0);
	CHECK_EQ(counts.targets[1] + counts.targets[2], counts.services[1]);
	u32 missing = 0;
	for (u32 i = 0; i < FLOWS; i++)
		missing += !f.find(i, i % 4 ? SH_IPV4 : SH_IPV6);
	printf("  %u records for %u flows, %u without\n", counts.services[1], FLOWS, missing);
	// No slot is lost: what has a claim has a target.
	f.sessions.walk(0, f.sessions.buckets(),
	                [](sh_session4 *slot, u8) { CHECK((slot->claim == 0 || sh_session_read(slot).target != 0)); });
}
