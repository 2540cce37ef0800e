// SPDX-License-Identifier: Apache-2.0
//
// stress.h - one session table under several processors, both engines and the aging sweep at once.
//
// Owns: the threads, and the invariants of packet/session.h's protocol that must hold when they are done.
#ifndef SHUNT_TEST_STRESS_H
#define SHUNT_TEST_STRESS_H

#include <mutex>
#include <sched.h>
#include <set>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "crowd.h"
#include "datapath/session/insert.h"
#include "kernel/kernel_program.h"
#include "linux/clock.h"
#include "user/pipeline.h"
#include "user/publication.h"

// After ours: they name their own types.
#include <bpf/bpf.h>
#include <linux/bpf.h>

using namespace shunt;

class Nowhere final : public Transmit
{
public:
	void queue(const sh_frame &, u8 *) override {}
	void flush() override {}
};

struct Load {
	u32 clients;
	u32 window; // of so many packets, which moves on; the clients that it leaves behind fall silent
	u64 records4, records6, fragments;
	u32 idle_ms;
	bool removing; // now and then all sessions of one target are removed by hand
	u32 run_ms;
	u32 user_threads, kernel_threads;
};

// What a thread's packets left by.
struct Tally {
	u64 by_reason[SH_REASON_COUNT] = {};

	void add(const Tally &other)
	{
		for (u32 i = 0; i < SH_REASON_COUNT; i++)
			by_reason[i] += other.by_reason[i];
	}
	u64 packets() const
	{
		u64 sum = 0;

		for (u64 count : by_reason)
			sum += count;
		return sum;
	}
};

inline u32 random_below(u64 *state, u32 n)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (u32)((*state >> 32) * n >> 32);
}

class Stress
{
public:
	explicit Stress(const Load &load) : load_(load), crowd_(load.clients)
	{
		Statistics unused;

		if (load.kernel_threads) {
			KernelProgramOptions options;

			options.geometry = Sessions::geometry_for(load.records4, load.records6, load.fragments);
			options.targets = 128;
			auto program = KernelProgram::load(options, {256, 256, 256, 256, 256, 256}, &memory_);
			if (!program.ok())
				fprintf(stderr, "%s\n", program.status().message().c_str());
			CHECK(program.ok());
			program_ = program.take();
			CHECK(memory_.map(&sessions_, &unused).ok());
		} else {
			CHECK(sessions_.allocate(load.records4, load.records6, load.fragments));
		}
		CHECK(statistics_.allocate(load.user_threads));
		aging_ = build_tables(Crowd::tables(0, load.idle_ms), sessions_.geometry());
		CHECK(aging_);
		publish();
	}

	void run()
	{
		std::vector<std::unique_ptr<Publication::Reader>> readers;
		std::vector<std::thread> threads;

		for (u32 i = 0; i < load_.user_threads; i++) {
			readers.emplace_back(new Publication::Reader);
			publication_.add_reader(readers.back().get());
		}
		for (u32 i = 0; i < load_.user_threads; i++)
			threads.emplace_back([this, i, reader = readers[i].get()] { in_user_space(i, reader); });
		for (u32 i = 0; i < load_.kernel_threads; i++)
			threads.emplace_back([this, i] { in_the_kernel(i); });
		threads.emplace_back([this] { age(); });
		for (u64 end = monotonic_ns() + load_.run_ms * 1000000ull; monotonic_ns() < end && !failed_;) {
			usleep(10000);
			publish();
		}
		done_ = true;
		for (std::thread &thread : threads)
			thread.join();
		if (failed_)
			fprintf(stderr, "%s\n", failure_.c_str());
		CHECK(!failed_);
		settle();
	}

private:
	void publish()
	{
		std::unique_ptr<TableBlock> block =
			build_tables(Crowd::tables(++epoch_, load_.idle_ms), sessions_.geometry());

		CHECK(block);
		if (program_)
			program_->publish(*block->tables());
		publication_.publish(std::move(block));
	}

	void fail(const std::string &what)
	{
		std::lock_guard<std::mutex> lock(mutex_);

		if (!failed_)
			failure_ = what;
		failed_ = true;
		done_ = true;
	}

	// Half of all packets come from a few of the clients at hand, whose sessions live for long; the others crowd in.
	const Crowd::Packet &next(u64 *random) const
	{
		u32 first = (u32)((monotonic_ns() >> 17) * load_.window >> 7), all = (u32)crowd_.packets.size();
		u32 within = random_below(random, 2) ? load_.window : load_.window / 64 + 1;

		return crowd_.packets[(first + random_below(random, within)) % all];
	}

	void judge(const char *engine, const Crowd::Packet &packet, u8 reason, u16 target)
	{
		if (sh_verdict_of(reason) == SH_FORWARD) {
			if (!Crowd::may_have(packet.group, target))
				fail(std::string(engine) + ": a packet of group " + std::to_string(packet.group) +
				     " went to target " + std::to_string(target) + ", reason " +
				     std::to_string(reason));
		} else if (reason != SH_R_fragment_unknown) {
			fail(std::string(engine) + ": a packet left by reason " + std::to_string(reason));
		}
	}

	void in_user_space(u32 worker, Publication::Reader *reader)
	{
		constexpr u32 SLOT = 512;
		std::unique_ptr<Pipeline> pipeline(new Pipeline(sessions_, statistics_.worker(worker)));
		std::vector<u8> memory(SLOT * BATCH);
		std::unique_ptr<Batch> batch(new Batch);
		const Crowd::Packet *packets[BATCH];
		u64 random = 0x9e3779b97f4a7c15ull + worker;
		Tally tally;

		pipeline->set_output(std::unique_ptr<Transmit>(new Nowhere));
		while (!done_) {
			batch->count = 1 + random_below(&random, BATCH);
			for (u32 i = 0; i < batch->count; i++) {
				u8 *floor = memory.data() + SLOT * i;

				packets[i] = &next(&random);
				memcpy(floor + HEADROOM, packets[i]->frame.data(), packets[i]->frame.size());
				batch->frames[i] = {floor + HEADROOM, floor + HEADROOM + packets[i]->frame.size(),
				                    floor};
			}
			pipeline->run(batch.get(), 0, reader->enter(publication_));
			for (u32 i = 0; i < batch->count; i++) {
				judge("user space", *packets[i], pipeline->reason(i), pipeline->target(i));
				tally.by_reason[pipeline->reason(i)]++;
			}
		}
		reader->leave();
		std::lock_guard<std::mutex> lock(mutex_);
		user_.add(tally);
	}

	// On a processor of its own, as softirqs are. What the reason was, its counters say at the end.
	void in_the_kernel(u32 processor)
	{
		u64 random = 0xd1b54a32d192ed03ull + processor, packets = 0;
		u8 out[512];
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(processor % std::thread::hardware_concurrency(), &one);
		sched_setaffinity(0, sizeof(one), &one);
		for (; !done_; packets++) {
			const Crowd::Packet &packet = next(&random);
			LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet.frame.data(), .data_out = out,
			            .data_size_in = (u32)packet.frame.size(), .data_size_out = sizeof(out),
			            .repeat = 1);

			if (bpf_prog_test_run_opts(program_->fd(), &run))
				return fail("the kernel runs no packet");
			bool sent = run.retval == XDP_TX || run.retval == XDP_REDIRECT;
			judge("the kernel", packet, sent ? SH_R_forwarded : SH_R_fragment_unknown,
			      Crowd::target_of(out));
		}
		std::lock_guard<std::mutex> lock(mutex_);
		kernel_packets_ += packets;
	}

	// Sweeps slice by slice, and lists what there is.
	void age()
	{
		SessionCounts counts;
		u64 from = 0, listed = 0, random = 1;

		while (!done_) {
			SweepResult swept = sweep(sessions_, from, 5, now_tick(), *aging_, &counts);

			from = swept.next;
			expired_ += swept.expired;
			merged_ += swept.duplicates;
			for (const SessionRow &row : list_sessions(sessions_, SessionFilter(), 8, 0, &listed))
				if (!Crowd::may_have(Crowd::group_of(row.source), row.target))
					fail("a listed session of group " +
					     std::to_string(Crowd::group_of(row.source)) + " has target " +
					     std::to_string(row.target));
			if (from == 0 && load_.removing) {
				SessionFilter some;

				some.by_target = true;
				some.targets = {(u16)(1 + random_below(&random, Crowd::COMMON))};
				removed_ +=
					remove_sessions(sessions_, some, now_tick(), 0, sessions_.buckets()).removed;
			}
		}
	}

	// All writers have ended: one sweep, and then every record must be whole, in its place and alone.
	void settle()
	{
		std::set<std::pair<u64, std::string>> flows;

		sweep_all();
		sessions_.walk(0, sessions_.buckets(), [&](sh_session4 *slot, u8 family) {
			std::string source;

			if (!slot->claim) {
				CHECK_EQ(slot->value.target, 0);
				return;
			}
			CHECK(slot->value.target);
			CHECK(in_its_place(slot, family));
			if (family == SH_IPV6)
				source.assign((const char *)reinterpret_cast<sh_session6 *>(slot)->source.b, 16);
			CHECK(Crowd::may_have(group_of(slot, family), slot->value.target));
			CHECK(flows.insert({slot->claim, source}).second);
		});
		SweepResult again = sweep_all();
		CHECK((again.live <= flows.size() && again.live + again.expired == flows.size() && !again.duplicates));
		account(flows.size());
	}

	static u32 now_tick() { return (u32)(monotonic_ns() >> SH_TICK_SHIFT); }

	SweepResult sweep_all()
	{
		SessionCounts counts;
		SweepResult all = sweep(sessions_, 0, sessions_.buckets(), now_tick(), *aging_, &counts);

		CHECK_EQ(all.next, 0);
		expired_ += all.expired;
		merged_ += all.duplicates;
		return all;
	}

	u16 group_of(const sh_session4 *slot, u8 family) const
	{
		return Crowd::group_of(family == SH_IPV4 ? sh_addr_v4((be32)(slot->claim >> 32))
		                                         : reinterpret_cast<const sh_session6 *>(slot)->source);
	}

	bool in_its_place(const sh_session4 *slot, u8 family)
	{
		const struct sh_control &control = publication_.current()->tables()->control;
		u8 *bucket = reinterpret_cast<u8 *>(reinterpret_cast<uintptr_t>(slot) & ~(uintptr_t)63);
		struct sh_session_key key;
		union sh_session_value seen;
		sh_env env = {};

		env.tables = publication_.current()->tables();
		env.bucket4 = sessions_.bucket4();
		env.bucket6 = sessions_.bucket6();
		return sh_session_load_resident(&control, slot, family, &key, &seen) &&
		       (sh_bucket_of(&env, family, key.hash, 0).base == bucket ||
		        sh_bucket_of(&env, family, key.hash, 1).base == bucket);
	}

	// No record has come from nowhere or gone without a trace. A session that expired and was used again in place counts as
	// new and was not: so the books balance only where nothing expires. A move that lost its race may leave a copy, which is
	// one more than was made.
	void account(u64 live)
	{
		if (program_) {
			Sessions unused;
			Statistics counters;

			CHECK(memory_.map(&unused, &counters).ok());
			for (u32 i = 0; i < counters.workers(); i++)
				for (u32 reason = 0; reason < SH_REASON_COUNT; reason++)
					kernel_.by_reason[reason] += counters.worker(i)[word::reason_packets(reason)];
			CHECK_EQ(kernel_.packets(), kernel_packets_);
		}
		Tally all = user_;
		all.add(kernel_);
		u64 made = all.by_reason[SH_R_forwarded_new], left = live + merged_ + expired_ + removed_;
		printf("  %llu packets here, %llu in the kernel: %llu new, %llu evicting, %llu moved, %llu unlisted; "
		       "%llu live, "
		       "%llu expired, %llu removed, %llu merged\n",
		       user_.packets(), kernel_.packets(), made, all.by_reason[SH_R_forwarded_evicting],
		       all.by_reason[SH_R_forwarded_moved], all.by_reason[SH_R_forwarded_unlisted], live, expired_,
		       removed_, merged_);
		if (expired_ == 0)
			CHECK((left >= made && left - made <= made / 100 + 10));
	}

	Load load_;
	Crowd crowd_;
	KernelMemory memory_;
	std::unique_ptr<KernelProgram> program_;
	Sessions sessions_;
	Statistics statistics_;
	Publication publication_;
	std::unique_ptr<TableBlock> aging_; // idle times and seeds are the same in every set
	u32 epoch_ = 0;
	std::atomic<bool> done_ = false, failed_ = false;
	std::mutex mutex_;
	std::string failure_;
	Tally user_, kernel_;
	u64 kernel_packets_ = 0, expired_ = 0, removed_ = 0, merged_ = 0;
};

#endif
