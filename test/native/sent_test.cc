// SPDX-License-Identifier: Apache-2.0
//
// sent_test.cc - a backend's own table: what it sends, periods that change, senders that are counted.
//
// Owns: the promise that a session ends at the later of both periods, whatever writers write its time at the same moment.
#include <atomic>
#include <set>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "datapath/session/insert.h"
#include "engine/session_env.h"
#include "fixtures.h"
#include "kernel/kernel_program.h"
#include "linux/clock.h"
#include "user/pipeline.h"

// After ours: they name their own types.
#include <bpf/bpf.h>
#include <linux/bpf.h>

using namespace shunt;

namespace
{

const sh_addr OWN = v4(10, 77, 3, 11);

TableSpec backend_spec(u32 idle_ms, u32 idle_sent_ms, bool counts_sources = false)
{
	TableSpec spec = spec_of_one_service();

	spec.roles = SH_ROLE_BACKEND;
	spec.own = {OWN};
	spec.direct = {{.service = 1, .address = OWN, .port = 53, .family = SH_IPV4}};
	spec.services[0].idle_ms = idle_ms;
	spec.services[0].idle_sent_ms = idle_sent_ms;
	spec.services[0].count_sources = counts_sources;
	return spec;
}

sh_addr client(u32 i)
{
	return v4(10, 1, (u8)(i >> 8), (u8)i);
}

constexpr u64 NS = 1ull << SH_TICK_SHIFT; // of a tick

// A backend in user space, at whatever time is wanted.
class Backend
{
public:
	explicit Backend(const Sessions &sessions) : batch_(new Batch)
	{
		CHECK(statistics_.allocate(1));
		pipeline_.reset(new Pipeline(sessions, statistics_.worker(0)));
	}

	void put(u32 i, bool sent)
	{
		std::vector<u8> frame =
			sent ? udp_frame(OWN, 53, client(i), 4000, 8) : udp_frame(client(i), 4000, OWN, 53, 8);
		u8 *floor = memory_[batch_->count];

		memcpy(floor + HEADROOM, frame.data(), frame.size());
		batch_->sent |= (u64)sent << batch_->count;
		batch_->frames[batch_->count++] = {floor + HEADROOM, floor + HEADROOM + frame.size(), floor};
	}
	void run(const sh_tables *tables, u32 tick)
	{
		batch_->time_ns = tick * NS;
		pipeline_->run(batch_.get(), 0, tables);
		*batch_ = Batch();
	}
	void one(u32 i, bool sent, const sh_tables *tables, u32 tick)
	{
		put(i, sent);
		run(tables, tick);
	}
	u64 word(u32 at) { return statistics_.worker(0)[at]; }

private:
	Statistics statistics_;
	std::unique_ptr<Pipeline> pipeline_;
	std::unique_ptr<Batch> batch_;
	u8 memory_[BATCH][256];
};

struct Table {
	Sessions sessions;
	std::unique_ptr<TableBlock> block;

	explicit Table(u64 records = 10000) { CHECK(sessions.allocate(records, 10, 10)); }
	const sh_tables *set(u32 idle_ms, u32 idle_sent_ms, bool counts_sources = false)
	{
		block = build_tables(backend_spec(idle_ms, idle_sent_ms, counts_sources), sessions.geometry());
		CHECK(block);
		return block->tables();
	}
	u64 live(u32 tick, SessionCounts *counts = nullptr)
	{
		SessionCounts unused;

		return sweep(sessions, 0, sessions.buckets(), tick, *block, counts ? counts : &unused).live;
	}
};

u32 ticks(u32 ms)
{
	return (u32)((u64)ms * 1000000 >> SH_TICK_SHIFT);
}

} // namespace

TEST_CASE("sent: R9: a session ends at the later of both periods, and what is sent counts as nothing that came")
{
	Table t;
	Backend backend(t.sessions);
	const sh_tables *tables = t.set(10000, 4000);
	const u32 idle = ticks(10000), sent = ticks(4000);

	backend.one(1, false, tables, 1000);
	backend.one(1, true, tables, 1000 + 10); // ends sooner than the client's packet has it end
	CHECK_EQ(t.live(1000 + idle), 1);
	backend.one(1, true, tables, 1000 + idle);
	CHECK_EQ(t.live(1000 + idle + sent), 1);
	CHECK_EQ(t.live(1000 + idle + sent + 1), 0);
	backend.one(2, true, tables, 50000); // none there: made
	CHECK_EQ(t.live(50000 + sent), 1);
	CHECK_EQ(t.live(50000 + sent + 1), 0);
	CHECK_EQ(backend.word(word::packets_in), 1);
	CHECK_EQ(backend.word(word::reason_packets(SH_R_direct)), 1);
	CHECK_EQ(backend.word(word::sent_packets), 3);
	CHECK_EQ(backend.word(word::sent_made), 1);

	// The other way round: answers keep it for longer than questions, which do not shorten that.
	tables = t.set(1000, 60000);
	backend.one(3, false, tables, 100000);
	backend.one(3, true, tables, 100010);
	backend.one(3, false, tables, 100020);
	CHECK_EQ(t.live(100010 + ticks(60000)), 1);
	CHECK_EQ(t.live(100010 + ticks(60000) + 2), 0);
}

TEST_CASE("sent: R9: an answer that is captured before its question proves no client; a second question does")
{
	Table t;
	Backend backend(t.sessions);
	const sh_tables *tables = t.set(10000, 10000);
	auto proven = [&] {
		u32 count = 0;

		t.sessions.walk(0, t.sessions.buckets(), [&](sh_session4 *slot, u8) {
			count += slot->claim && slot->value.flags & SH_SESSION_PROVEN;
		});
		return count;
	};

	backend.one(1, true, tables, 1000);
	backend.one(1, false, tables, 1001);
	CHECK_EQ(t.live(1002), 1);
	CHECK_EQ(proven(), 0);
	backend.one(1, true, tables, 1003);
	CHECK_EQ(proven(), 0);
	backend.one(1, false, tables, 1004);
	CHECK_EQ(proven(), 1);
}

TEST_CASE("sent: R9: the sweep ends a TCP session by its state: half-open and closing ones sooner, UDP ones by one "
          "period")
{
	Table t;
	TableSpec spec = spec_of_one_service();
	u32 now = 1000;
	u16 port = 1;
	auto live = [&](u8 protocol, u8 flags, u32 age) {
		struct sh_session_key key;
		sh_session_value value = {};
		struct sh_flow flow = {};

		spec.services[0].protocol = protocol;
		spec.services[0].idle_ms = 10000;
		spec.services[0].idle_transitory_ms = 2000;
		t.block = build_tables(spec, t.sessions.geometry());
		u64 scratch[SH_SCRATCH_BYTES / sizeof(u64)] = {};
		sh_env env = session_env(t.sessions, t.block->tables(), scratch);
		flow.family = SH_IPV4;
		flow.source = client(1);
		flow.source_port = port++;
		sh_session_key(sh_control(&env), &flow, 1, &key);
		value.last = now;
		value.target = 1;
		value.flags = flags;
		CHECK_EQ(sh_session_insert(&env, &key, value.word), SH_INSERTED);
		bool is = t.live(now + age) == 1;
		t.live(now += 1000000); // none is left
		return is;
	};

	CHECK(live(SH_TCP, 0, ticks(1900)));
	CHECK(!live(SH_TCP, 0, ticks(2100)));
	CHECK(live(SH_TCP, SH_SESSION_OPEN, ticks(9900)));
	CHECK(!live(SH_TCP, SH_SESSION_OPEN, ticks(10100)));
	CHECK(live(SH_TCP, SH_SESSION_OPEN | SH_SESSION_CLOSING, ticks(1900)));
	CHECK(!live(SH_TCP, SH_SESSION_OPEN | SH_SESSION_CLOSING, ticks(2100)));
	CHECK(live(SH_UDP, 0, ticks(9900)));
	CHECK(!live(SH_UDP, 0, ticks(10100)));
}

TEST_CASE("sent: R9: new periods hold at once, for sessions that are there: shorter, longer, and none for what is sent")
{
	Table t;
	Backend backend(t.sessions);
	const sh_tables *tables = t.set(10000, 10000);
	const u32 now = 200000;

	for (u32 i = 0; i < 10; i++)
		backend.one(i, i % 2, tables, now);
	CHECK_EQ(t.live(now + ticks(9000)), 10);
	t.set(20000, 20000);
	CHECK_EQ(t.live(now + ticks(15000)), 10);
	tables = t.set(10000, 0);
	backend.one(0, true, tables, now + ticks(9000));
	backend.one(77, true, tables, now + ticks(9000));
	CHECK_EQ(t.live(now + ticks(9900)), 10);
	t.set(1000, 1000);
	CHECK_EQ(t.live(now + ticks(9900)), 0);

	// An hour's worth of a time ahead is no more than the new period's.
	tables = t.set(1000, 3600000);
	backend.one(1, true, tables, now);
	CHECK_EQ(t.live(now + ticks(2000000)), 1);
	t.set(1000, 5000);
	CHECK_EQ(t.live(now + 100), 1);
	CHECK_EQ(t.live(now + 100 + ticks(5000)), 1);
	CHECK_EQ(t.live(now + 100 + ticks(5000) + 2), 0);
}

TEST_CASE("sent: the slots of a backend's own addresses name the services, and the rules stay theirs")
{
	TableSpec spec = backend_spec(1000, 1000);
	SessionGeometry geometry;
	spec.rules = {{1, v4(198, 51, 100, 0), 120, 0}};
	spec.services.push_back({.id = 2,
	                         .address = v4(203, 0, 113, 54),
	                         .port = 53,
	                         .protocol = SH_UDP,
	                         .family = SH_IPV4,
	                         .idle_ms = 1000});
	spec.direct.push_back(
		{.service = 2, .address = OWN, .port = 53, .family = SH_IPV4}); // where service 1 listens already
	auto block = build_tables(spec, geometry);
	CHECK(block);
	u32 own = 0;
	for (u32 i = 0; i <= block->tables()->control.service_mask; i++) {
		const sh_service &slot = block->tables()->services[i];

		if (slot.id && sh_addr_equal(&slot.address, &OWN))
			own += slot.id;
		else if (slot.id == 1)
			CHECK_EQ(slot.prefix_count, 1);
	}
	CHECK_EQ(own, 1);
	spec.direct.push_back({.service = 9, .address = OWN, .port = 54, .family = SH_IPV4});
	CHECK(TableBlock::build(spec, geometry).status().message() ==
	      "direct[2] names a service that does not exist: 9");
}

TEST_CASE("sent: R10: different senders, with a standard error of 1.6 %, exact where they are few")
{
	constexpr u32 SEEDS = 40;

	for (u32 n : {0u, 1u, 2u, 10u, 100u, 1000u, 5000u, 12000u, 20000u, 100000u, 500000u}) {
		double sum = 0, squares = 0;

		for (u32 seed = 1; seed <= SEEDS; seed++) {
			Distinct distinct;

			for (u32 i = 0; i < n; i++)
				for (u32 again = 0; again < 2; again++)
					distinct.add(sh_mix(sh_mix(seed) ^ i));
			double error = n ? ((double)distinct.count() - n) / n : distinct.count();
			sum += error;
			squares += error * error;
			CHECK((error < 0.06 && error > -0.06));
			if (n <= 10)
				CHECK_EQ(distinct.count(), n);
		}
		double mean = sum / SEEDS, deviation = sqrt(squares / SEEDS);
		printf("  %6u: mean error %+.2f %%, standard error %.2f %%\n", n, 100 * mean, 100 * deviation);
		CHECK((deviation < 0.022 && mean < 0.01 && mean > -0.01));
	}
}

TEST_CASE("sent: R10: records count as flows, or as senders where the service is counted so")
{
	Table t(20000);
	const sh_tables *tables = t.set(30000, 0, true);
	u64 scratch[SH_SCRATCH_BYTES / sizeof(u64)] = {};
	sh_env env = session_env(t.sessions, tables, scratch);

	for (u32 i = 0; i < 1000; i++) // 100 senders with ten flows each, to two targets
		for (u16 target : {1, 2}) {
			struct sh_session_key key;
			sh_session_value value = {};
			sh_flow flow = {};

			flow.family = SH_IPV4;
			flow.source = client(i / 10);
			flow.source_port = sh_htons((u16)(1000 * target + i % 10));
			sh_session_key(&tables->control, &flow, 1, &key);
			value.last = 100;
			value.target = target;
			CHECK_EQ(sh_session_insert(&env, &key, value.word), SH_INSERTED);
		}
	SessionCounts by_source, by_flow;
	CHECK_EQ(t.live(100, &by_source), 2000);
	CHECK_EQ(by_source.services[1], 2000);
	CHECK((by_source.sources.count(1) >= 98 && by_source.sources.count(1) <= 102));
	CHECK((by_source.target_sources.count(2) >= 98 && by_source.target_sources.count(2) <= 102));
	CHECK_EQ(by_source.target_records[2], 1000);
	t.set(30000, 0, false);
	CHECK_EQ(t.live(100, &by_flow), 2000);
	CHECK_EQ(by_flow.sources.count(1), 0);
	CHECK_EQ(by_flow.target_records[2], 0);
}

namespace
{

// Clients that come straight, and answers to them, from several threads and the kernel, beside the sweep.
class Crossfire
{
public:
	static constexpr u32 CLIENTS = 600;

	explicit Crossfire(bool with_kernel)
	{
		Statistics unused;

		if (with_kernel) {
			KernelProgramOptions options;

			options.geometry = Sessions::geometry_for(4000, 10, 10);
			options.sent = true;
			auto program = KernelProgram::load(options, {256, 256, 256, 256, 256, 256}, &memory_);
			if (!program.ok())
				fprintf(stderr, "%s\n", program.status().message().c_str());
			CHECK(program.ok());
			program_ = program.take();
			CHECK(memory_.map(&sessions_, &unused).ok());
		} else {
			CHECK(sessions_.allocate(4000, 10, 10));
		}
		block_ = build_tables(backend_spec(2000, 2000), sessions_.geometry());
		CHECK(block_);
		if (program_)
			program_->publish(*block_->tables());
	}

	void run(u32 ms)
	{
		std::vector<std::thread> threads;

		for (u32 i = 0; i < 2; i++)
			threads.emplace_back([this, i] { in_user_space(i); });
		if (program_)
			threads.emplace_back([this] { in_the_kernel(); });
		threads.emplace_back([this] {
			SessionCounts counts;

			for (u64 from = 0; !done_;)
				from = sweep(sessions_, from, 50, now(), *block_, &counts).next;
		});
		usleep(ms * 1000);
		done_ = true;
		for (std::thread &thread : threads)
			thread.join();
		settle();
	}

private:
	static u32 now() { return (u32)(monotonic_ns() >> SH_TICK_SHIFT); }

	void said(u32 i, u32 tick)
	{
		u32 before = last_[i];

		while (tick > before && !last_[i].compare_exchange_weak(before, tick))
			;
	}

	void in_user_space(u32 seed)
	{
		Backend backend(sessions_);
		u64 random = 77 + seed;

		while (!done_) {
			u32 tick = now(), clients[BATCH];

			for (u32 &i : clients) {
				random = random * 6364136223846793005ull + 1442695040888963407ull;
				i = (u32)(random >> 33) % CLIENTS;
				backend.put(i, random >> 63);
			}
			backend.run(block_->tables(), tick);
			for (u32 i : clients)
				said(i, tick);
			packets_ += BATCH;
		}
	}

	void in_the_kernel()
	{
		for (u64 random = 1; !done_; packets_++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			u32 i = (u32)(random >> 33) % CLIENTS, tick = now();
			bool sent = random >> 63;
			std::vector<u8> frame = sent ? udp_frame(OWN, 53, client(i), 4000, 20)
			                             : udp_frame(client(i), 4000, OWN, 53, 20);
			LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(), .data_size_in = (u32)frame.size(),
			            .repeat = 1);

			CHECK(!bpf_prog_test_run_opts(sent ? program_->sent_fd() : program_->fd(), &run));
			said(i, tick - 10); // its clock is the jiffies'
		}
	}

	// All writers have ended. Each client has one record, which ends no sooner than his last packet or answer says; but for
	// the moment by which a store of another's may have been late.
	void settle()
	{
		constexpr u32 LATE = 400;
		std::set<u64> flows;
		SessionCounts counts;

		SweepResult swept = sweep(sessions_, 0, sessions_.buckets(), now(), *block_, &counts);
		sessions_.walk(0, sessions_.buckets(), [&](sh_session4 *slot, u8) {
			if (!slot->claim) {
				CHECK_EQ(slot->value.target, 0);
				return;
			}
			u32 i = sh_ntohl((be32)(slot->claim >> 32)) & 0xffff;
			CHECK(flows.insert(slot->claim).second);
			CHECK_EQ(slot->value.target, SH_TARGET_LOCAL);
			CHECK((i < CLIENTS && slot->value.last + LATE >= last_[i] && slot->value.last <= now()));
		});
		printf("  %llu packets, %zu sessions, %llu twice at the end\n", (u64)packets_, flows.size(),
		       swept.duplicates);
		CHECK_EQ(flows.size(), CLIENTS);
	}

	Sessions sessions_;
	KernelMemory memory_;
	std::unique_ptr<KernelProgram> program_;
	std::unique_ptr<TableBlock> block_;
	std::atomic<u32> last_[CLIENTS] = {};
	std::atomic<u64> packets_ = 0;
	std::atomic<bool> done_ = false;
};

} // namespace

TEST_CASE("stress: clients and answers at once, in user space: every session is one, and as young as its last packet")
{
	Crossfire(false).run(600);
}

TEST_CASE("stress: the same beside the kernel's two programs, over one table (needs root)")
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	printf("  skipped: under a sanitizer, which can't see the kernel\n");
#else
	if (geteuid() == 0)
		Crossfire(true).run(600);
#endif
}
