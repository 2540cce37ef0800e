// SPDX-License-Identifier: Apache-2.0
//
// turns_test.cc - the packet program and the sweep on several processors, of which one at a time takes a step.
//
// Owns: races by the dice. Where threads must meet in the same nanosecond, here one thread plays all processors: before any
// look at a record another one may have its turn. A seed brings a failure back. What is not seen here is the order in which
// a processor's memory shows its own stores.
#include <ucontext.h>

#include <doctest/doctest.h>

#include "crowd.h"
#include "engine/session_env.h"
#include "engine/sessions.h"
#include "held_up.h"
#include "seeds.h"

// The sweep, under names of its own.
#define sweep interrupted_sweep
#define free_session interrupted_free_session
#include "engine/aging.cc"
#undef sweep
#undef free_session

using namespace shunt;

namespace
{

constexpr u32 PROCESSORS = 4, SETS = 24, CLIENTS = 24, IDLE_MS = 5000;

class Turns
{
public:
	Turns() : crowd_(2000)
	{
		CHECK(sessions_.allocate(13, 3, 2)); // four buckets each
		for (u32 epoch = 1; epoch <= SETS; epoch++) {
			sets_.push_back(build_tables(Crowd::tables(epoch, IDLE_MS), sessions_.geometry()));
			CHECK(sets_.back());
		}
		for (Processor &processor : processors_) {
			CHECK(getcontext(&processor.context) == 0);
			processor.context.uc_stack.ss_sp = processor.stack;
			processor.context.uc_stack.ss_size = sizeof(processor.stack);
			processor.context.uc_link = nullptr;
			makecontext(&processor.context, &Turns::live, 0);
		}
	}

	// Some clients, and so many rounds in which each processor does some things. Between two rounds no processor works, and
	// all must be in order.
	void play(u64 seed, u32 rounds)
	{
		seed_ = seed;
		random_ = seed * 0x9e3779b97f4a7c15ull | 1;
		sessions_.clear();
		active_ = CLIENTS / 2 + below(CLIENTS / 2);
		haste_ = 1u << (1 + below(5));
		for (const Crowd::Packet *&client : clients_)
			client = &crowd_.packets[below((u32)crowd_.packets.size())];
		for (round_ = 0; round_ < rounds; round_++) {
			for (Processor &processor : processors_) {
				processor.left = below(8);
				memset(processor.scratch, 0, sizeof(processor.scratch)); // moves are tried anew
			}
			while (next())
				swapcontext(&here_, &running_->context);
			inspect();
		}
		for (int pass = 0; pass < 2; pass++)
			age(0, sessions_.buckets());
		demand(!twins(), "a flow has two records after a sweep");
	}

	void others()
	{
		Processor *before = running_;

		if (!before || below(haste_) || !next() || before == running_)
			return;
		swapcontext(&before->context, &running_->context);
	}

	u64 packets = 0, merged = 0;

private:
	struct Processor {
		ucontext_t context;
		u32 left = 0; // things to do in this round
		bool at_work = false;
		u64 scratch[SH_SCRATCH_BYTES / sizeof(u64)] = {};
		u8 memory[512];
		alignas(64) u8 stack[1 << 18];
	};

	u32 below(u32 n)
	{
		random_ ^= random_ << 13;
		random_ ^= random_ >> 7;
		random_ ^= random_ << 17;
		return (u32)((random_ >> 32) * n >> 32);
	}

	// One that still has something to do, or is at it.
	bool next()
	{
		u32 first = below(PROCESSORS);

		for (u32 i = 0; i < PROCESSORS; i++) {
			running_ = &processors_[(first + i) % PROCESSORS];
			if (running_->left || running_->at_work)
				return true;
		}
		running_ = nullptr;
		return false;
	}

	static void live()
	{
		for (;;) {
			Processor *me = playing_->running_;

			while (me->left) {
				me->left--;
				me->at_work = true;
				playing_->act(me);
				me->at_work = false;
			}
			playing_->running_ = nullptr;
			swapcontext(&me->context, &playing_->here_);
		}
	}

	void act(Processor *me)
	{
		u32 what = below(200);

		if (what < 10)
			age(below((u32)sessions_.buckets()), 1 + below(3));
		else if (what < 40)
			remove_one();
		else if (what == 40)
			now_ns_ += below(4000000000u); // some have fallen silent
		else if (what < 43)
			now_ns_ += 1 << SH_TICK_SHIFT;
		else if (what < 46)
			set_ = (set_ + 1) % SETS;
		else
			send(me);
	}

	void send(Processor *me)
	{
		const Crowd::Packet &packet = *clients_[below(active_)];
		u8 *data = me->memory + 160;
		sh_frame frame = {data, data + packet.frame.size(), me->memory};
		sh_env env = session_env(sessions_, sets_[set_]->tables(), me->scratch, now_ns_);

		memcpy(data, packet.frame.data(), packet.frame.size());
		sh_result result = sh_run(&env, &frame);
		packets++;
		if (sh_verdict_of(result.reason) == SH_FORWARD)
			demand(Crowd::may_have(packet.group, result.target), "a packet went to another group's target");
		else
			demand(result.reason == SH_R_fragment_unknown, "a packet was dropped");
	}

	void age(u64 from, u64 count)
	{
		SweepResult swept = interrupted_sweep(sessions_, from, count, (u32)(now_ns_ >> SH_TICK_SHIFT),
		                                      *sets_[set_], &counts_);

		merged += swept.duplicates;
	}

	void remove_one()
	{
		u64 wanted = below((u32)(sessions_.slots4() + sessions_.slots6())), at = 0;

		sessions_.walk(0, sessions_.buckets(), [&](sh_session4 *slot, u8) {
			if (at++ == wanted) {
				u64 claim = SH_READ_ONCE(slot->claim);
				sh_session_value seen = sh_session_read(slot);

				if (claim && !(claim & SH_CLAIM6_BUSY))
					interrupted_free_session(slot, claim, seen);
			}
		});
	}

	void inspect()
	{
		sessions_.walk(0, sessions_.buckets(), [&](sh_session4 *slot, u8 family) {
			if (!slot->claim) {
				demand(!slot->value.target, "a free record has a target");
				return;
			}
			demand(slot->value.target != 0, "a record has no target, and no writer is creating it");
			if (family == SH_IPV6)
				demand(!(slot->claim & SH_CLAIM6_BUSY), "a record is busy, and no writer holds it");
			demand(Crowd::may_have(group_of(slot, family), slot->value.target),
			       "a record has another group's target");
		});
	}

	static u16 group_of(const sh_session4 *slot, u8 family)
	{
		return Crowd::group_of(family == SH_IPV4 ? sh_addr_v4((be32)(slot->claim >> 32))
		                                         : reinterpret_cast<const sh_session6 *>(slot)->source);
	}

	bool twins()
	{
		std::vector<sh_session4 *> seen;
		bool found = false;

		sessions_.walk(0, sessions_.buckets(), [&](sh_session4 *slot, u8) {
			for (sh_session4 *other : seen)
				found = found || (slot->claim && slot->claim == other->claim);
			seen.push_back(slot);
		});
		return found;
	}

	void demand(bool right, const char *what)
	{
		if (right)
			return;
		fprintf(stderr, "seed %llu, round %u: %s\n", seed_, round_, what);
		exit(1);
	}

	Sessions sessions_;
	Crowd crowd_;
	std::vector<std::unique_ptr<TableBlock>> sets_;
	const Crowd::Packet *clients_[CLIENTS];
	SessionCounts counts_;
	Processor processors_[PROCESSORS];
	Processor *running_ = nullptr;
	ucontext_t here_;
	u64 seed_ = 0, random_ = 1, now_ns_ = 1000000000ull << 10;
	u32 active_ = 0, haste_ = 1, round_ = 0, set_ = 0;

public:
	static Turns *playing_;
};

Turns *Turns::playing_;

} // namespace

static void others()
{
	if (Turns::playing_)
		Turns::playing_->others();
}

// No processor is held up twice within two instructions.
static void others_again() {}

TEST_CASE("turns: four processors take turns at any look at a record, and every record stays its own flow's")
{
#ifdef __SANITIZE_THREAD__
	printf("  skipped: ThreadSanitizer can't follow one thread's several stacks\n");
#else
	std::unique_ptr<Turns> all(new Turns);

	Turns::playing_ = all.get();
	for (u64 seed = 1; seed <= seeds(200); seed++)
		all->play(seed, 4000);
	Turns::playing_ = nullptr;
	printf("  %llu packets, %llu records merged\n", all->packets, all->merged);
#endif
}
