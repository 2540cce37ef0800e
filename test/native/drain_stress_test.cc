// SPDX-License-Identifier: Apache-2.0
//
// drain_stress_test.cc - sessions of a draining target stay with it while a flood moves records about the table.
//
// Owns: the promise that a move is never seen half: a look-up finds the record in the one place or in the other.
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "engine/sessions.h"
#include "fixtures.h"
#include "linux/clock.h"
#include "user/pipeline.h"

using namespace shunt;

namespace
{

constexpr u16 DRAINING = 1, ACTIVE = 2;
constexpr u32 CLIENTS = 1500; // of the 4096 slots; who sends a second packet is evicted last

TableSpec tables(u32 epoch, u16 row)
{
	TableSpec spec = spec_of_one_service();

	spec.epoch = epoch;
	spec.redirections[0].rows = {row};
	spec.targets[0].state = row == DRAINING ? SH_ACTIVE : SH_DRAINING;
	return spec;
}

class Sender
{
public:
	explicit Sender(const Sessions &sessions) : batch_(new Batch)
	{
		CHECK(statistics_.allocate(1));
		pipeline_.reset(new Pipeline(sessions, statistics_.worker(0)));
	}

	// A batch from clients first .. first + BATCH - 1 of this network.
	void send(u8 network, u32 first, u32 clients, const sh_tables *tables)
	{
		for (u32 i = 0; i < BATCH; i++) {
			u32 client = (first + i) % clients;
			std::vector<u8> frame = udp_frame(v4(10, network, (u8)(client >> 8), (u8)client),
			                                  (u16)(1024 + (client >> 16)), v4(203, 0, 113, 53), 53, 8);

			memcpy(memory_[i] + HEADROOM, frame.data(), frame.size());
			batch_->frames[i] = {memory_[i] + HEADROOM, memory_[i] + HEADROOM + frame.size(), memory_[i]};
		}
		batch_->count = BATCH;
		pipeline_->run(batch_.get(), 0, tables);
	}
	u16 target(u32 i) const { return pipeline_->target(i); }

private:
	Statistics statistics_;
	std::unique_ptr<Pipeline> pipeline_;
	std::unique_ptr<Batch> batch_;
	u8 memory_[BATCH][512];
};

} // namespace

TEST_CASE("stress: sessions of a draining target are found through a flood that moves their records")
{
	Sessions sessions;
	std::atomic<bool> done = false;
	u64 asked = 0, elsewhere = 0;

	CHECK(sessions.allocate(3400, 1, 1));
	CHECK_EQ(sessions.slots4(), 4096);
	auto before = build_tables(tables(1, DRAINING), sessions.geometry());
	auto after = build_tables(tables(2, ACTIVE), sessions.geometry());
	Sender clients(sessions);
	for (u32 i = 0; i < 2 * CLIENTS; i += BATCH)
		clients.send(1, i, CLIENTS, before->tables());

	std::thread flood([&] {
		Sender sender(sessions);

		for (u32 i = 0; !done; i += BATCH)
			sender.send(2, i, 1 << 24, after->tables());
	});
	// The flood's sessions end before the table is quite full: that is when most records move.
	std::thread relief([&] {
		SessionFilter flooding;

		flooding.by_target = true;
		flooding.targets = {ACTIVE};
		for (; !done; usleep(300))
			remove_sessions(sessions, flooding, 0, 0, sessions.buckets());
	});
	for (u64 end = monotonic_ns() + 1000000000; monotonic_ns() < end;) {
		clients.send(1, (u32)asked, CLIENTS, after->tables());
		asked += BATCH;
		for (u32 i = 0; i < BATCH; i++)
			elsewhere += clients.target(i) != DRAINING;
	}
	done = true;
	flood.join();
	relief.join();
	printf("  %llu packets, %llu elsewhere\n", asked, elsewhere);
	CHECK_EQ(elsewhere, 0);
}
