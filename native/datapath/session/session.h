/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * session.h - find a session, or claim a record for it.
 *
 * Owns: how records are claimed, read, moved to another target, and evicted, by several processors at once and
 * without a lock. Both families run through the same code: a record's first two words are alike (session_layout.h),
 * so a bucket is a base, a stride and a number of slots.
 * Must never: decide which target a session gets (choose.h), or free a record because of its age (that is the aging
 * sweep's, native/engine/aging.cc; here a record is only ever taken over by another session).
 *
 * The protocol of a record:
 *   free      claim 0, target 0
 *   claiming  claim k, target 0      only the one whose compare-and-swap won writes the value; all others pass over it;
 *                                    an IPv6 claim is busy until the address is written
 *   live      claim k, target > 0
 *   ending    claim k, target 0      whoever swaps a live value for 0 owns the record, and then frees or re-claims it
 * A record with target 0 is never used and never written by anybody but its owner. So a value belongs to the claim that
 * stands there before and after it was read, and whoever writes a value for a claim first becomes the owner, then looks at
 * the claim. `last` alone may be stored late into a record that has just changed hands: it makes it younger; or after a
 * later one of the same moment, which it takes back. What is
 * left: a record that ends, becomes another's, ends and is made anew for the first, all between two loads of one reader,
 * shows it the other's target for one packet.
 *
 * A flow has two buckets. It is looked for in both and placed in the first with room. When both are full it takes the
 * place of a one-packet session that has been silent for a while (a flood's debris); else a resident is moved to its own
 * other bucket, or there in the place of one that can be moved on (cuckoo hashing, Pagh and Rodler 2001, with at most two
 * moves: the first eviction then comes at 86 % occupancy, with one move at 66 %); only then is the oldest evicted, of
 * the one-packet sessions or else of those that are silent. Who is talking keeps his place, and the new flow gets none.
 */
#ifndef SHUNT_DATAPATH_SESSION_SESSION_H
#define SHUNT_DATAPATH_SESSION_SESSION_H

#include "datapath/lookup/hash.h"
#include "datapath/platform.h"

/* What a session is looked up by. */
struct sh_session_key {
	u64 hash;
	u64 claim;
	struct sh_addr source; /* compared for IPv6 only: an IPv4 claim holds the whole address */
	u8 family;
};

struct sh_bucket {
	u8 *base; /* NULL: no such bucket */
	u32 stride;
	u32 slots;
};

#define SH_SLOT(bucket, i) ((struct sh_session4 *)((bucket).base + (i) * (bucket).stride))

SH_INLINE u64 sh_hash_claim4(const struct sh_control *control, u64 claim)
{
	return sh_mix(claim ^ control->seed[0]);
}

/* Port and service are mixed before the address joins them: unmixed, a change of the one could undo a change of the other,
 * and who chooses both could aim at a bucket. */
SH_INLINE u64 sh_hash_claim6(const struct sh_control *control, u32 port_and_service, const struct sh_addr *source)
{
	return sh_hash_address(sh_mix(control->seed[0] ^ port_and_service), source);
}

/* The key of a flow towards the service with this id. */
SH_INLINE void sh_session_key(const struct sh_control *control, const struct sh_flow *flow, u16 service,
                              struct sh_session_key *key)
{
	u32 low = (u32)flow->source_port << 16 | service;

	key->family = flow->family;
	key->source = flow->source;
	if (flow->family == SH_IPV4) {
		key->claim = (u64)flow->source.w[3] << 32 | low;
		key->hash = sh_hash_claim4(control, key->claim);
	} else {
		key->hash = sh_hash_claim6(control, low, &flow->source);
		key->claim = (key->hash >> 33) << 32 | low;
	}
}

/* The flow's first (which 0) or second (which 1) bucket. */
SH_INLINE struct sh_bucket sh_bucket_of(const struct sh_env *env, u8 family, u64 hash, u32 which)
{
	const struct sh_control *control = sh_control(env);
	u32 index = which ? (u32)(hash >> 32) : (u32)hash;
	struct sh_bucket bucket = {0, 0, 0};

	if (!control)
		return bucket;
	if (family == SH_IPV4) {
		bucket.base = (u8 *)sh_bucket4_at(env, index & control->bucket4_mask);
		bucket.stride = sizeof(struct sh_session4);
		bucket.slots = SH_SLOTS4;
	} else {
		bucket.base = (u8 *)sh_bucket6_at(env, index & control->bucket6_mask);
		bucket.stride = sizeof(struct sh_session6);
		bucket.slots = SH_SLOTS6;
	}
	return bucket;
}

SH_INLINE int sh_session_matches(const struct sh_session4 *slot, u64 claim, u8 family, const struct sh_session_key *key)
{
	return claim == key->claim &&
	       (family == SH_IPV4 || sh_addr_equal(&((const struct sh_session6 *)slot)->source, &key->source));
}

SH_INLINE union sh_session_value sh_session_read(const struct sh_session4 *slot)
{
	union sh_session_value value;

	value.word = SH_READ_FIRST(slot->value.word);
	return value;
}

/* The same of a slot that was found by its claim; 0 if it has changed hands since, for then the value may be another's. */
SH_INLINE union sh_session_value sh_session_read_as(const struct sh_session4 *slot, u64 claim)
{
	union sh_session_value value = sh_session_read(slot);

	if (SH_UNLIKELY(SH_READ_ONCE(slot->claim) != claim))
		value.word = 0;
	return value;
}

/* In the functions from here on, `family` is the key's, handed over as a constant: the sizes of slots follow from it, and
 * the BPF verifier wants to see them. */
SH_INLINE struct sh_session4 *sh_session_find_as(const struct sh_env *env, u8 family, const struct sh_session_key *key,
                                                 union sh_session_value *seen)
{
	struct sh_session4 *ending = 0;
	u32 look, i;

	seen->word = 0;
	/* First, second, and the first once more: a session that is moved stands in the new place before it leaves the old
	 * one, but that may be behind us. */
	for (look = 0; look < 3; look++) {
		struct sh_bucket bucket = sh_bucket_of(env, family, key->hash, look & 1);

		if (!bucket.base)
			return 0;
		for (i = 0; i < bucket.slots; i++) {
			struct sh_session4 *slot = SH_SLOT(bucket, i);

			if (!sh_session_matches(slot, SH_READ_FIRST(slot->claim), family, key))
				continue;
			*seen = sh_session_read_as(slot, key->claim);
			if (SH_LIKELY(seen->target))
				return slot;
			ending = slot;
		}
	}
	return ending;
}

/* The record of this key, and its value; with target 0: it is being made or is ending. NULL: there is none. */
SH_INLINE struct sh_session4 *sh_session_find(const struct sh_env *env, const struct sh_session_key *key,
                                              union sh_session_value *seen)
{
	return key->family == SH_IPV4 ? sh_session_find_as(env, SH_IPV4, key, seen)
	                              : sh_session_find_as(env, SH_IPV6, key, seen);
}

/* Makes a slot that we own (claimed from 0, or taken over) this session's. The order matters: while the target is 0 the
 * record is nobody else's, so the value comes last. */
SH_INLINE void sh_session_settle(struct sh_session4 *slot, u8 family, const struct sh_session_key *key,
                                 union sh_session_value value)
{
	if (family != SH_IPV4) {
		((struct sh_session6 *)slot)->source = key->source;
		__sync_lock_test_and_set(&slot->claim, key->claim);
	}
	value.flags |= SH_SESSION_FRESH;
	__sync_lock_test_and_set(&slot->value.word, value.word);
}

/* The word a slot is first claimed by. An IPv6 claim is busy until its address is written. */
SH_INLINE u64 sh_session_first_claim(u8 family, const struct sh_session_key *key)
{
	return family == SH_IPV4 ? key->claim : key->claim | SH_CLAIM6_BUSY;
}

/* The slot of `bucket` that is now this session's, or NULL: there is no free one. */
SH_INLINE struct sh_session4 *sh_session_claim_free(struct sh_bucket bucket, u8 family,
                                                    const struct sh_session_key *key, union sh_session_value value)
{
	u32 i;

	for (i = 0; i < bucket.slots; i++) {
		struct sh_session4 *slot = SH_SLOT(bucket, i);

		if (SH_READ_ONCE(slot->claim) == 0 &&
		    __sync_bool_compare_and_swap(&slot->claim, 0, sh_session_first_claim(family, key))) {
			sh_session_settle(slot, family, key, value);
			return slot;
		}
	}
	return 0;
}

/* Ends the session in `slot`, if it is still as `seen`, and gives the slot to `key`. */
SH_INLINE int sh_session_take_over(struct sh_session4 *slot, u64 claim, union sh_session_value seen, u8 family,
                                   const struct sh_session_key *key, union sh_session_value value)
{
	if (!seen.target || !__sync_bool_compare_and_swap(&slot->value.word, seen.word, 0))
		return 0;
	if (!__sync_bool_compare_and_swap(&slot->claim, claim, sh_session_first_claim(family, key))) {
		/* The slot changed hands between our two looks, to a session with the very same value: give it back, whatever
		 * `last` was stored late. */
		__sync_lock_test_and_set(&slot->value.word, seen.word);
		return 0;
	}
	sh_session_settle(slot, family, key, value);
	return 1;
}

/* Frees a record that was read as {claim, seen}. Returns 0 when it has changed since. The aging sweep's, too. */
SH_INLINE int sh_session_release(struct sh_session4 *slot, u64 claim, union sh_session_value seen)
{
	if (!__sync_bool_compare_and_swap(&slot->value.word, seen.word, 0))
		return 0;
	if (!__sync_bool_compare_and_swap(&slot->claim, claim, 0)) {
		__sync_lock_test_and_set(&slot->value.word, seen.word);
		return 0;
	}
	return 1;
}

/* Reads who lives in a slot, to move it. 0: nobody, or it is changing hands. */
SH_INLINE int sh_session_resident(const struct sh_control *control, const struct sh_session4 *slot, u8 family,
                                  struct sh_session_key *resident, union sh_session_value *seen)
{
	resident->claim = SH_READ_FIRST(slot->claim);
	*seen = sh_session_read_as(slot, resident->claim);
	resident->family = family;
	if (!seen->target || !resident->claim)
		return 0;
	if (family == SH_IPV4) {
		resident->hash = sh_hash_claim4(control, resident->claim);
		return 1;
	}
	if (resident->claim & SH_CLAIM6_BUSY)
		return 0;
	resident->source = ((const struct sh_session6 *)slot)->source;
	resident->hash = sh_hash_claim6(control, (u32)resident->claim, &resident->source);
	/* An address that was half another's does not hash to its own claim. */
	return (resident->hash >> 33) << 32 == (resident->claim & ~0xffffffffULL) &&
	       SH_READ_ONCE(slot->claim) == resident->claim;
}

SH_INLINE struct sh_bucket sh_bucket_other(const struct sh_env *env, struct sh_bucket bucket, u8 family,
                                           const struct sh_session_key *key)
{
	struct sh_bucket other = sh_bucket_of(env, family, key->hash, 0);

	return other.base == bucket.base ? sh_bucket_of(env, family, key->hash, 1) : other;
}

/* Moves one resident of `bucket` to a free slot of its other bucket, and takes its place. The slot, or NULL. `residents`
 * is room to work in. */
SH_INLINE struct sh_session4 *sh_session_move_one(const struct sh_env *env, struct sh_bucket bucket, u8 family,
                                                  const struct sh_session_key *key, union sh_session_value value,
                                                  struct sh_session_key *residents)
{
	const struct sh_control *control = sh_control(env);
	struct sh_session_key *resident = residents;
	union sh_session_value seen;
	u32 i;

	for (i = 0; control && i < bucket.slots; i++) {
		struct sh_session4 *slot = SH_SLOT(bucket, i), *copy;
		struct sh_bucket other;

		if (!sh_session_resident(control, slot, family, resident, &seen))
			continue;
		other = sh_bucket_other(env, bucket, family, resident);
		if (!other.base || other.base == bucket.base)
			continue;
		/* First the copy, then the old place: a look-up meanwhile finds one of them. */
		copy = sh_session_claim_free(other, family, resident, seen);
		if (!copy)
			continue;
		if (sh_session_take_over(slot, resident->claim, seen, family, key, value))
			return slot;
		seen.flags |= SH_SESSION_FRESH; /* as it was settled */
		sh_session_release(copy, resident->claim, seen);
	}
	return 0;
}

/* The same, where the resident's other bucket is full as well, but one of its residents can be moved on. */
SH_INLINE struct sh_session4 *sh_session_move_two(const struct sh_env *env, struct sh_bucket bucket, u8 family,
                                                  const struct sh_session_key *key, union sh_session_value value,
                                                  struct sh_session_key *residents)
{
	const struct sh_control *control = sh_control(env);
	struct sh_session_key *resident = residents;
	union sh_session_value seen;
	u32 i;

	for (i = 0; control && i < bucket.slots; i++) {
		struct sh_session4 *slot = SH_SLOT(bucket, i), *copy;
		struct sh_bucket other;

		if (!sh_session_resident(control, slot, family, resident, &seen))
			continue;
		other = sh_bucket_other(env, bucket, family, resident);
		if (!other.base || other.base == bucket.base)
			continue;
		copy = sh_session_move_one(env, other, family, resident, seen, residents + 1);
		if (!copy)
			continue;
		if (sh_session_take_over(slot, resident->claim, seen, family, key, value))
			return slot;
		seen.flags |= SH_SESSION_FRESH; /* as it was settled */
		sh_session_release(copy, resident->claim, seen);
	}
	return 0;
}

/* Ages compare modulo 2^32. A `last` ahead of our clock is age 0: another processor stored it a moment later, or what the
 * backend sent keeps the session alive for longer than what the client sends would (sent.h). */
SH_INLINE u32 sh_session_age(u32 now, u32 last)
{
	u32 age = now - last;

	return age > 0x80000000u ? 0 : age;
}

/* A one-packet session that has been silent for so long is a flood's debris, or a client that has its answer: 2 s. */
#define SH_DEBRIS_TICKS (2000000000u >> SH_TICK_SHIFT)

/* Who is evicted first: a one-packet session before all others, and of two the one that is silent for longer. */
#define SH_RANK(unproven, age) (((u64)(unproven) << 32 | (age)) + 1)

/* Takes the place of the session of the highest rank in either bucket, if that is above `floor`. */
SH_INLINE int sh_session_evict(const struct sh_env *env, const struct sh_session_key *key, u8 family,
                               union sh_session_value value, u64 floor)
{
	union sh_session_value seen, worst;
	struct sh_session4 *victim = 0;
	u32 which, i;
	u64 rank;

	worst.word = 0;
	for (which = 0; which < 2; which++) {
		struct sh_bucket bucket = sh_bucket_of(env, family, key->hash, which);

		for (i = 0; bucket.base && i < bucket.slots; i++) {
			seen = sh_session_read(SH_SLOT(bucket, i));
			rank = SH_RANK(!(seen.flags & SH_SESSION_PROVEN), sh_session_age(value.last, seen.last));
			if (seen.target && rank > floor) {
				victim = SH_SLOT(bucket, i);
				worst = seen;
				floor = rank;
			}
		}
	}
	return victim && sh_session_take_over(victim, SH_READ_ONCE(victim->claim), worst, family, key, value);
}

enum sh_insert { SH_INSERTED, SH_INSERTED_EVICTING, SH_INSERT_FAILED };

/* What an insertion works in; it lies in the engine's scratch memory behind what the packet keeps there. */
#define SH_SCRATCH_SESSION 640
struct sh_session_work {
	struct sh_session_key residents[2];
	u32 crowded; /* insertions yet that need not look for a move; the one word here that outlives a packet */
};

/* Moves look into up to forty other buckets. Where they have just failed, the table is full and they would fail again; so
 * only one insertion in so many tries them then, and a flood costs no more than an eviction. */
#define SH_CROWDED 64
SH_STATIC_ASSERT(SH_SCRATCH_SESSION + sizeof(struct sh_session_work) <= SH_SCRATCH_BYTES, "tables.h, SH_SCRATCH_BYTES");

SH_INLINE u32 sh_session_insert_as(const struct sh_env *env, const struct sh_session_key *key, u8 family,
                                   union sh_session_value value)
{
	u8 *scratch = (u8 *)sh_scratch(env);
	struct sh_session_work *work;
	struct sh_session_key *room;
	struct sh_bucket bucket;
	u32 which;

	if (!scratch)
		return SH_INSERT_FAILED;
	work = (struct sh_session_work *)(scratch + SH_SCRATCH_SESSION);
	room = work->residents;
	for (which = 0; which < 2; which++) {
		bucket = sh_bucket_of(env, family, key->hash, which);
		if (!bucket.base)
			return SH_INSERT_FAILED;
		if (sh_session_claim_free(bucket, family, key, value))
			return SH_INSERTED;
	}
	if (sh_session_evict(env, key, family, value, SH_RANK(1, SH_DEBRIS_TICKS)))
		return SH_INSERTED_EVICTING;
	for (which = 0; which < 2 && !work->crowded; which++) {
		bucket = sh_bucket_of(env, family, key->hash, which);
		if (bucket.base && (sh_session_move_one(env, bucket, family, key, value, room) ||
		                    sh_session_move_two(env, bucket, family, key, value, room)))
			return SH_INSERTED;
	}
	work->crowded = work->crowded ? work->crowded - 1 : SH_CROWDED;
	return sh_session_evict(env, key, family, value, SH_RANK(0, SH_DEBRIS_TICKS)) ? SH_INSERTED_EVICTING
	                                                                              : SH_INSERT_FAILED;
}

/* Makes a record for a key that sh_session_find did not find. Two processors that insert one key at one time may leave
 * two records; both hold the same answer, and the sweep merges them. `word` is the value's; returns enum sh_insert. */
SH_STAGE_ALONE u32 sh_session_insert(const struct sh_env *handed, const struct sh_session_key *key, u64 word)
{
	union sh_session_value value;
	struct sh_env env;

	if (!handed || !key || sh_env_again(handed, &env))
		return SH_INSERT_FAILED;
	value.word = word;
	return key->family == SH_IPV4 ? sh_session_insert_as(&env, key, SH_IPV4, value)
	                              : sh_session_insert_as(&env, key, SH_IPV6, value);
}

/* Is time `a` after time `b`? Modulo 2^32, as ages. */
SH_INLINE int sh_session_later(u32 a, u32 b)
{
	return a != b && a - b <= 0x7fffffffu;
}

/* A packet of a live session: its time, and from the second packet on the proof that somebody is there. Returns 0 when
 * the session has changed since it was read. A time that is ahead stays: the session ends at the later of both. */
SH_INLINE int sh_session_touch(struct sh_session4 *slot, union sh_session_value seen, u32 now)
{
	union sh_session_value next = seen;

	if (seen.flags & SH_SESSION_PROVEN) {
		if (sh_session_later(now, seen.last))
			SH_WRITE_ONCE(slot->value.last, now);
		return 1;
	}
	if (sh_session_later(now, seen.last))
		next.last = now;
	next.flags |= SH_SESSION_PROVEN;
	return __sync_bool_compare_and_swap(&slot->value.word, seen.word, next.word);
}

/* Gives a live session another target. Returns 0 when it has changed since it was read. */
SH_INLINE int sh_session_move(struct sh_session4 *slot, const struct sh_session_key *key, union sh_session_value seen,
                              union sh_session_value next)
{
	int ours;

	if (!seen.target || !__sync_bool_compare_and_swap(&slot->value.word, seen.word, 0))
		return 0;
	/* It may be another's by now, with the very same value. */
	ours = SH_READ_ONCE(slot->claim) == key->claim;
	__sync_lock_test_and_set(&slot->value.word, ours ? next.word : seen.word);
	return ours;
}

#endif
