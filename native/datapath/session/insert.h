/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * insert.h - make a record for a new session.
 *
 * Owns: the order of attempts, and who is evicted.
 *
 * A flow has two buckets. It is looked up in both and placed in the first with room. If both are full, it takes the place of a
 * one-packet session that has been silent for a while (left over from a flood). Otherwise a resident is relocated to its own
 * other bucket, at most two relocations deep (cuckoo hashing, Pagh and Rodler 2001: the first eviction then occurs at 86 %
 * occupancy, with depth one at 66 %). Only then is the oldest record evicted, of the one-packet sessions or else of the silent
 * ones. An active session keeps its record; then the new flow gets none.
 *
 * Must never: evict a session that is not silent.
 */
#ifndef SHUNT_DATAPATH_SESSION_INSERT_H
#define SHUNT_DATAPATH_SESSION_INSERT_H

#include "datapath/session/record.h"

/* Makes a slot that we own (claimed from 0, or taken over) this session's. The order matters: while the target is 0 the
 * record is owned by this processor, so the value comes last; no other processor writes it, so a store is enough. */
SH_INLINE void sh_session_publish(struct sh_session4 *slot, u8 family, const struct sh_session_key *key,
                                  union sh_session_value value)
{
	if (family != SH_IPV4) {
		((struct sh_session6 *)slot)->source = key->source;
		__sync_lock_test_and_set(&slot->claim, key->claim);
	}
	value.flags |= SH_SESSION_FRESH;
	if (family == SH_IPV4)
		SH_WRITE_LAST(slot->value.word, value.word);
	else
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
			sh_session_publish(slot, family, key, value);
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
	sh_session_publish(slot, family, key, value);
	return 1;
}

/* Loads a slot's key and value for relocation. Returns 0 if the slot is free or in transition. */
SH_INLINE int sh_session_load_resident(const struct sh_control *control, const struct sh_session4 *slot, u8 family,
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

/* Puts a session into `bucket` and returns its slot; 0: no room. `room` is memory for the keys of relocated residents. */
typedef struct sh_session4 *sh_session_place(const struct sh_env *env, struct sh_bucket bucket, u8 family,
                                             const struct sh_session_key *key, union sh_session_value value,
                                             struct sh_session_key *room);

SH_INLINE struct sh_session4 *sh_session_place_free(const struct sh_env *env, struct sh_bucket bucket, u8 family,
                                                    const struct sh_session_key *key, union sh_session_value value,
                                                    struct sh_session_key *room)
{
	(void)env, (void)room;
	return sh_session_claim_free(bucket, family, key, value);
}

/* One relocation: moves a resident of `bucket` to its other bucket, where `place` finds room for it, and gives its slot to
 * `key`. Returns the slot; 0: no resident could be moved. `place` is a constant, so the compiler inlines it: with
 * sh_session_place_free the path is one relocation long, with sh_session_place_relocating two. */
SH_INLINE struct sh_session4 *sh_session_relocate(const struct sh_env *env, struct sh_bucket bucket, u8 family,
                                                  const struct sh_session_key *key, union sh_session_value value,
                                                  struct sh_session_key *room, sh_session_place *place)
{
	const struct sh_control *control = sh_control(env);
	struct sh_session_key *resident = room;
	union sh_session_value seen;
	u32 i;

	for (i = 0; control && i < bucket.slots; i++) {
		struct sh_session4 *slot = SH_SLOT(bucket, i), *copy;
		struct sh_bucket other;

		if (!sh_session_load_resident(control, slot, family, resident, &seen))
			continue;
		other = sh_bucket_other(env, bucket, family, resident);
		if (!other.base || other.base == bucket.base)
			continue;
		/* The copy is written before the old record ends, so a concurrent look-up finds one of them. */
		copy = place(env, other, family, resident, seen, room + 1);
		if (!copy)
			continue;
		if (sh_session_take_over(slot, resident->claim, seen, family, key, value))
			return slot;
		seen.flags |= SH_SESSION_FRESH; /* as sh_session_publish has written it */
		sh_session_release(copy, resident->claim, seen);
	}
	return 0;
}

SH_INLINE struct sh_session4 *sh_session_place_relocating(const struct sh_env *env, struct sh_bucket bucket, u8 family,
                                                          const struct sh_session_key *key,
                                                          union sh_session_value value, struct sh_session_key *room)
{
	return sh_session_relocate(env, bucket, family, key, value, room, sh_session_place_free);
}

/* A one-packet session that has been silent for so long is a flood's debris, or a client that has its answer: 2 s. */
#define SH_DEBRIS_TICKS (2000000000u >> SH_TICK_SHIFT)

/* The rank for eviction: a one-packet session before all others, and of two the one that is silent for longer. */
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

/* What an insertion works in; it lies in the engine's scratch memory behind what the packet keeps there. The last two words
 * outlive a packet. */
#define SH_SCRATCH_SESSION 640
struct sh_session_work {
	struct sh_session_key residents[2];
	u32 full_backoff; /* insertions yet that need not look for a move */
	u32 guess;        /* the service of the packet before (sh_session_ask_early) */
};

/* Moves look into up to forty other buckets. Where they have just failed, the table is full and they would fail again; so
 * only one insertion in so many tries them then, and a flood costs no more than an eviction. */
#define SH_FULL_BACKOFF 64
SH_STATIC_ASSERT(SH_SCRATCH_SESSION + sizeof(struct sh_session_work) <= SH_SCRATCH_BYTES, "tables.h, SH_SCRATCH_BYTES");

/* `scratch` is the engine's, from its first byte on. */
SH_INLINE struct sh_session_work *sh_session_work_in(void *scratch)
{
	return (struct sh_session_work *)((u8 *)scratch + SH_SCRATCH_SESSION);
}

/* Asks for the bucket that the flow has if it goes to the same service as the packet before it, and makes that key. The bucket
 * comes from memory while checks and the look-up of the service go on; most of a gateway's packets in a row are for few
 * services, and a wrong guess costs a fetch. Returns the service that was guessed. */
SH_INLINE u16 sh_session_ask_early(const struct sh_env *env, const struct sh_control *control,
                                   const struct sh_flow *flow, const struct sh_session_work *work,
                                   struct sh_session_key *key)
{
	u16 guess = (u16)work->guess;
	struct sh_bucket bucket;

	sh_session_key(control, flow, guess, key);
	bucket = flow->family == SH_IPV4 ? sh_bucket_of(env, SH_IPV4, key->hash, 0)
	                                 : sh_bucket_of(env, SH_IPV6, key->hash, 0);
	if (bucket.base)
		(void)SH_READ_FIRST(SH_SLOT(bucket, 0)->claim);
	return guess;
}

SH_INLINE u32 sh_session_insert_as(const struct sh_env *env, const struct sh_session_key *key, u8 family,
                                   union sh_session_value value)
{
	void *scratch = sh_scratch(env);
	struct sh_session_work *work;
	struct sh_session_key *room;
	struct sh_bucket bucket;
	u32 which;

	if (!scratch)
		return SH_INSERT_FAILED;
	work = sh_session_work_in(scratch);
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
	for (which = 0; which < 2 && !work->full_backoff; which++) {
		bucket = sh_bucket_of(env, family, key->hash, which);
		if (bucket.base &&
		    (sh_session_relocate(env, bucket, family, key, value, room, sh_session_place_free) ||
		     sh_session_relocate(env, bucket, family, key, value, room, sh_session_place_relocating)))
			return SH_INSERTED;
	}
	work->full_backoff = work->full_backoff ? work->full_backoff - 1 : SH_FULL_BACKOFF;
	return sh_session_evict(env, key, family, value, SH_RANK(0, SH_DEBRIS_TICKS)) ? SH_INSERTED_EVICTING
	                                                                              : SH_INSERT_FAILED;
}

/* Makes a record for a key that sh_session_find did not find. Two processors that insert one key at one time may leave
 * two records; both hold the same answer, and the sweep merges them. `word` is the value's; returns enum sh_insert. */
SH_STAGE_ALONE u32 sh_session_insert(const struct sh_env *env_copy, const struct sh_session_key *key, u64 word)
{
	union sh_session_value value;
	struct sh_env env;

	if (!env_copy || !key || sh_env_restore(env_copy, &env))
		return SH_INSERT_FAILED;
	value.word = word;
	return key->family == SH_IPV4 ? sh_session_insert_as(&env, key, SH_IPV4, value)
	                              : sh_session_insert_as(&env, key, SH_IPV6, value);
}

#endif
