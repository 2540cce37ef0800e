// SPDX-License-Identifier: Apache-2.0
//
// handover_test.cc - a record relocated between any two steps of a concurrent reader or writer.
//
// Owns: the few things that can happen to a record, and every place between the steps of a packet at which one or two of
// them may happen. What takes a coincidence elsewhere is gone through here, place by place.
#include <doctest/doctest.h>

#include "crowd.h"
#include "engine/session_env.h"
#include "engine/sessions.h"
#include "held_up.h"
#include "seeds.h"

using namespace shunt;

namespace
{

constexpr u32 CLIENTS = 36, HOUR_MS = 3600000;

enum Event { ENDS, ANOTHER, ANOTHER_ALIKE, LATE_STORE, MOVES, TABLES, SENDS, EVENTS };

class Handover
{
public:
	Handover() : crowd_(2000)
	{
		CHECK(sessions_.allocate(13, 3, 2)); // four buckets each
		for (u32 epoch = 1; epoch <= 3; epoch++) {
			sets_.push_back(build_tables(Crowd::tables(epoch, HOUR_MS), sessions_.geometry()));
			CHECK(sets_.back());
		}
		env_ = session_env(sessions_, nullptr, scratch_, 1000000000ull << 10);
	}

	// A table as it comes, one packet, and a record that matters to it; then the same again with every event at every place,
	// each time with another event soon after.
	void play(u64 seed)
	{
		seed_ = seed;
		random_ = seed * 0x9e3779b97f4a7c15ull | 1;
		sessions_.clear();
		first_ = below(2) ? 1 : below(3); // mostly the one that gives all the same target
		start();
		for (const Crowd::Packet *&client : clients_)
			client = &crowd_.packets[below((u32)crowd_.packets.size())];
		for (u32 n = 100, active = 8 + below(CLIENTS - 8); n; n--)
			send(*clients_[below(active)]);
		const Crowd::Packet &packet =
			below(3) ? crowd_.packets[below((u32)crowd_.packets.size())] : *clients_[0];
		sh_session4 *slot = record_for(packet);
		if (!slot || !slot->claim)
			return;

		set_ = below(2) ? first_ : (first_ + 1) % 3;
		Mapped before(sessions_);
		u32 places = try_with(before, packet, slot, ~0u, ENDS, ~0u, ENDS);
		for (u32 i = 0; i < places; i++)
			for (u32 what = 0; what < EVENTS; what++)
				try_with(before, packet, slot, i, (Event)what, i + below(below(2) ? 3 : 16),
				         below(2) ? SENDS : (Event)below(EVENTS));
	}

	void pass()
	{
		u32 at = place_;

		if (!held_)
			return;
		place_++;
		for (u32 n = 0; n < 2; n++)
			if (at == at_[n]) {
				held_ = false;
				happen(what_[n]);
				held_ = true;
			}
	}

	u64 tries = 0;

private:
	// The bytes of the whole table, to begin anew from.
	struct Mapped {
		explicit Mapped(const Sessions &s)
		    : four(s.bucket4(), s.bucket4() + s.geometry().buckets4),
		      six(s.bucket6(), s.bucket6() + s.geometry().buckets6)
		{
		}
		std::vector<sh_bucket4> four;
		std::vector<sh_bucket6> six;
	};

	u32 below(u32 n)
	{
		random_ ^= random_ << 13;
		random_ ^= random_ >> 7;
		random_ ^= random_ << 17;
		return (u32)((random_ >> 32) * n >> 32);
	}

	void start()
	{
		set_ = first_;
		memset(scratch_, 0, sizeof(scratch_));
	}

	// Returns how many places there are.
	u32 try_with(const Mapped &before, const Crowd::Packet &packet, sh_session4 *slot, u32 i, Event one, u32 j,
	             Event other)
	{
		u32 set = set_;

		memcpy(sessions_.bucket4(), before.four.data(), before.four.size() * sizeof(sh_bucket4));
		memcpy(sessions_.bucket6(), before.six.data(), before.six.size() * sizeof(sh_bucket6));
		memset(scratch_, 0, sizeof(scratch_));
		slot_ = slot;
		guest_ = nullptr;
		own_ = slot->claim;
		at_[0] = i, at_[1] = j, what_[0] = one, what_[1] = other;
		place_ = 0;
		held_ = true;
		send(packet);
		held_ = false;
		inspect();
		set_ = set;
		tries++;
		return place_;
	}

	void send(const Crowd::Packet &packet)
	{
		u8 memory[512], *data = memory + 160;
		sh_frame frame = {data, data + packet.frame.size(), memory};

		memcpy(data, packet.frame.data(), packet.frame.size());
		env_.tables = sets_[set_]->tables();
		sh_result result = sh_run(&env_, &frame);
		if (sh_verdict_of(result.reason) == SH_FORWARD)
			demand(Crowd::may_have(packet.group, result.target), "a packet went to another group's target");
		else
			demand(result.reason == SH_R_fragment_unknown, "a packet was dropped");
	}

	void happen(Event what)
	{
		u8 family = family_of(slot_);
		u64 claim = slot_->claim;
		sh_session_value seen = slot_->value;
		struct sh_session_key key;
		u64 scratch[SH_SCRATCH_BYTES / sizeof(u64)] = {};
		sh_env env = env_;

		env.scratch = scratch;
		if (what == SENDS) {
			u64 *before = std::exchange(env_.scratch, scratch);

			if (guest_)
				send(*guest_);
			env_.scratch = before;
		} else if (what == TABLES) {
			set_ = (set_ + 1) % 3;
		} else if (what == LATE_STORE) {
			slot_->value.last++;
		} else if (seen.target && sh_session_load_resident(sh_control(&env), slot_, family, &key, &seen)) {
			if (what == ENDS) {
				sh_session_release(slot_, claim, seen);
			} else if (what == MOVES) {
				struct sh_bucket bucket = {bucket_of(slot_), family == SH_IPV4 ? 16u : 32u,
				                           family == SH_IPV4 ? 4u : 2u};

				if (sh_session_claim_free(sh_bucket_other(&env, bucket, family, &key), family, &key,
				                          seen))
					sh_session_release(slot_, claim, seen);
			} else if (another(family, what == ANOTHER_ALIKE ? seen.target : 0, &key, &seen)) {
				sh_session_take_over(slot_, claim, slot_->value, family, &key, seen);
			}
		}
	}

	// A client that may be in this slot; with `target`, one who may have that. Not whom the packet found there: that a record
	// goes to another and comes back within two loads is what the protocol does not see.
	bool another(u8 family, u16 target, struct sh_session_key *key, sh_session_value *value)
	{
		for (u32 n = 0; n < 200; n++) {
			const Crowd::Packet &packet = crowd_.packets[below((u32)crowd_.packets.size())];

			if (key_of(packet, key) != family || (target && !Crowd::may_have(packet.group, target)))
				continue;
			if (key->claim == own_)
				continue;
			if (sh_bucket_of(&env_, family, key->hash, below(2)).base != bucket_of(slot_))
				continue;
			if (!target)
				value->target = (u16)(1 + 2 * packet.group);
			guest_ = &packet;
			return true;
		}
		return false;
	}

	u8 key_of(const Crowd::Packet &packet, struct sh_session_key *key)
	{
		u8 *data = const_cast<u8 *>(packet.frame.data());
		sh_frame frame = {data, data + packet.frame.size(), data};
		sh_parsed parsed = {};

		sh_parse_link(&frame, &parsed);
		sh_parse_ip(&frame, &parsed);
		sh_parse_transport(&frame, &parsed);
		env_.tables = sets_[set_]->tables();
		sh_session_key(sh_control(&env_), &parsed.flow,
		               parsed.flow.family == SH_IPV4 ? Crowd::SERVICE4 : Crowd::SERVICE6, key);
		return parsed.fragmentation == SH_FRAGMENT_LATER ? 0 : parsed.flow.family;
	}

	// Its own, or one that it would have to do with if there were none.
	sh_session4 *record_for(const Crowd::Packet &packet)
	{
		union sh_session_value seen;
		struct sh_session_key key;
		u8 family = key_of(packet, &key);

		if (!family)
			return nullptr;
		struct sh_bucket bucket = sh_bucket_of(&env_, family, key.hash, below(2));
		sh_session4 *own = sh_session_find(&env_, &key, &seen);
		return own ? own : SH_SLOT(bucket, below(bucket.slots));
	}

	u8 family_of(const sh_session4 *slot) const
	{
		const u8 *four = reinterpret_cast<const u8 *>(sessions_.bucket4()),
			 *it = reinterpret_cast<const u8 *>(slot);

		return it >= four && it < four + sessions_.geometry().buckets4 * 64 ? SH_IPV4 : SH_IPV6;
	}

	static u8 *bucket_of(sh_session4 *slot)
	{
		return reinterpret_cast<u8 *>(reinterpret_cast<uintptr_t>(slot) & ~(uintptr_t)63);
	}

	void inspect()
	{
		sessions_.walk(0, sessions_.buckets(), [&](sh_session4 *slot, u8 family) {
			struct sh_session_key key;
			sh_session_value seen;

			if (!slot->claim) {
				demand(!slot->value.target, "a free record has a target");
				return;
			}
			demand(slot->value.target != 0, "a record has no target, and no writer is creating it");
			demand(sh_session_load_resident(sh_control(&env_), slot, family, &key, &seen),
			       "a record is half another's");
			u16 group =
				Crowd::group_of(family == SH_IPV4 ? sh_addr_v4((be32)(key.claim >> 32)) : key.source);
			demand(Crowd::may_have(group, seen.target), "a record has another group's target");
		});
	}

	void demand(bool right, const char *what)
	{
		if (right)
			return;
		fprintf(stderr, "seed %llu, event %u at %u, event %u at %u: %s\n", seed_, what_[0], at_[0], what_[1],
		        at_[1], what);
		exit(1);
	}

	Sessions sessions_;
	Crowd crowd_;
	std::vector<std::unique_ptr<TableBlock>> sets_;
	const Crowd::Packet *clients_[CLIENTS];
	sh_env env_;
	u64 scratch_[SH_SCRATCH_BYTES / sizeof(u64)];
	u64 seed_ = 0, random_ = 1;
	u32 first_ = 0, set_ = 0, place_ = 0, at_[2] = {~0u, ~0u};
	Event what_[2] = {ENDS, ENDS};
	sh_session4 *slot_ = nullptr;
	const Crowd::Packet *guest_ = nullptr; // whose record it has become
	u64 own_ = 0;                          // whose it was
	bool held_ = false;
};

Handover *playing;

} // namespace

static void others()
{
	if (playing)
		playing->pass();
}

static void others_again()
{
	if (playing)
		playing->pass();
}

TEST_CASE("handover: a record ends, moves or becomes another's at every place of a packet's way")
{
	std::unique_ptr<Handover> all(new Handover);

	playing = all.get();
	for (u64 seed = 1; seed <= seeds(6000); seed++)
		all->play(seed);
	playing = nullptr;
	printf("  %llu tries\n", all->tries);
}
