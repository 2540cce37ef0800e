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
 *   claiming  claim k, target 0      only the one whose compare-and-swap won writes the value; all others pass over it
 *   live      claim k, target > 0
 *   ending    claim k, target 0      whoever swaps a live value for 0 owns the record, and then frees or re-claims it
 * A record with target 0 is never used and never written by anybody but its owner, so no reader can meet the target of
 * another session. `last` alone may be stored late into a record that has just changed hands: it makes it younger.
 *
 * A flow has two buckets. It is looked for in both, placed in the first with room, and when both are full a resident
 * is moved to its own other bucket (cuckoo hashing, Pagh and Rodler 2001, with one move); only then is one evicted.
 */
#ifndef SHUNT_PACKET_SESSION_H
#define SHUNT_PACKET_SESSION_H

#include "hash.h"
#include "platform.h"

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

SH_INLINE u64 sh_hash_claim6(const struct sh_control *control, u32 ports_and_service, const struct sh_addr *source)
{
	return sh_hash_address(control->seed[0] ^ ports_and_service, source);
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

SH_INLINE int sh_session_matches(const struct sh_session4 *slot, u64 claim, const struct sh_session_key *key)
{
	return claim == key->claim &&
	       (key->family == SH_IPV4 || sh_addr_equal(&((const struct sh_session6 *)slot)->source, &key->source));
}

/* The live or ending record of this key, or NULL. */
SH_INLINE struct sh_session4 *sh_session_find(const struct sh_env *env, const struct sh_session_key *key)
{
	u32 which, i;

	for (which = 0; which < 2; which++) {
		struct sh_bucket bucket = sh_bucket_of(env, key->family, key->hash, which);

		if (!bucket.base)
			return 0;
		for (i = 0; i < bucket.slots; i++)
			if (sh_session_matches(SH_SLOT(bucket, i), SH_READ_ONCE(SH_SLOT(bucket, i)->claim), key))
				return SH_SLOT(bucket, i);
	}
	return 0;
}

SH_INLINE union sh_session_value sh_session_read(const struct sh_session4 *slot)
{
	union sh_session_value value;

	value.word = SH_READ_ONCE(slot->value.word);
	return value;
}

/* Makes a slot that we own (claimed from 0, or taken over) this session's. The order matters: see the head. */
SH_INLINE void sh_session_settle(struct sh_session4 *slot, const struct sh_session_key *key, union sh_session_value value)
{
	if (key->family != SH_IPV4)
		((struct sh_session6 *)slot)->source = key->source;
	__sync_lock_test_and_set(&slot->value.word, value.word);
	if (key->family != SH_IPV4)
		__sync_lock_test_and_set(&slot->claim, key->claim);
}

/* The word a slot is first claimed by. An IPv6 claim is busy until its address is written. */
SH_INLINE u64 sh_session_first_claim(const struct sh_session_key *key)
{
	return key->family == SH_IPV4 ? key->claim : key->claim | SH_CLAIM6_BUSY;
}

SH_INLINE int sh_session_claim_free(struct sh_bucket bucket, const struct sh_session_key *key, union sh_session_value value)
{
	u32 i;

	for (i = 0; i < bucket.slots; i++) {
		struct sh_session4 *slot = SH_SLOT(bucket, i);

		if (SH_READ_ONCE(slot->claim) == 0 && __sync_bool_compare_and_swap(&slot->claim, 0, sh_session_first_claim(key))) {
			sh_session_settle(slot, key, value);
			return 1;
		}
	}
	return 0;
}

/* Ends the session in `slot`, if it is still as `seen`, and gives the slot to `key`. */
SH_INLINE int sh_session_take_over(struct sh_session4 *slot, u64 claim, union sh_session_value seen,
				   const struct sh_session_key *key, union sh_session_value value)
{
	if (!seen.target || !__sync_bool_compare_and_swap(&slot->value.word, seen.word, 0))
		return 0;
	if (!__sync_bool_compare_and_swap(&slot->claim, claim, sh_session_first_claim(key)))
		return 0;
	sh_session_settle(slot, key, value);
	return 1;
}

/* Moves one resident of `bucket` to its other bucket and takes its place. */
SH_INLINE int sh_session_make_room(const struct sh_env *env, struct sh_bucket bucket, const struct sh_session_key *key,
				   union sh_session_value value)
{
	const struct sh_control *control = sh_control(env);
	u32 i;

	if (!control)
		return 0;
	for (i = 0; i < bucket.slots; i++) {
		struct sh_session4 *slot = SH_SLOT(bucket, i);
		struct sh_session_key resident;
		struct sh_bucket other;
		union sh_session_value seen = sh_session_read(slot);

		resident.claim = SH_READ_ONCE(slot->claim);
		resident.family = key->family;
		if (!seen.target || !resident.claim || (key->family != SH_IPV4 && resident.claim & SH_CLAIM6_BUSY))
			continue;
		if (key->family == SH_IPV4) {
			resident.hash = sh_hash_claim4(control, resident.claim);
		} else {
			resident.source = ((struct sh_session6 *)slot)->source;
			resident.hash = sh_hash_claim6(control, (u32)resident.claim, &resident.source);
		}
		other = sh_bucket_of(env, key->family, resident.hash, 0);
		if (other.base == bucket.base)
			other = sh_bucket_of(env, key->family, resident.hash, 1);
		if (!other.base || other.base == bucket.base || !sh_session_claim_free(other, &resident, seen))
			continue;
		if (sh_session_take_over(slot, resident.claim, seen, key, value))
			return 1;
	}
	return 0;
}

/* Ages compare modulo 2^32; a `last` that another processor stored a moment after our clock was read is age 0. */
SH_INLINE u32 sh_session_age(u32 now, u32 last)
{
	u32 age = now - last;

	return age > 0x80000000u ? 0 : age;
}

/* Takes the place of the oldest record that only ever saw one packet (a flood's), or else of the oldest. */
SH_INLINE int sh_session_evict(struct sh_bucket bucket, const struct sh_session_key *key, union sh_session_value value)
{
	union sh_session_value seen, worst = {0};
	struct sh_session4 *victim = 0;
	u64 rank, worst_rank = 0;
	u32 i;

	for (i = 0; i < bucket.slots; i++) {
		seen = sh_session_read(SH_SLOT(bucket, i));
		if (!seen.target)
			continue;
		rank = (u64)!(seen.flags & SH_SESSION_PROVEN) << 32 | sh_session_age(value.last, seen.last);
		if (!victim || rank > worst_rank) {
			victim = SH_SLOT(bucket, i);
			worst = seen;
			worst_rank = rank;
		}
	}
	return victim && sh_session_take_over(victim, SH_READ_ONCE(victim->claim), worst, key, value);
}

enum sh_insert { SH_INSERTED, SH_INSERTED_EVICTING, SH_INSERT_FAILED };

/* `family` is key->family, as a constant: the sizes of slots follow from it. */
SH_INLINE u32 sh_session_insert_as(const struct sh_env *env, const struct sh_session_key *handed, u8 family,
				   union sh_session_value value)
{
	struct sh_session_key key = *handed;
	struct sh_bucket first, second;

	key.family = family;
	first = sh_bucket_of(env, family, key.hash, 0);
	second = sh_bucket_of(env, family, key.hash, 1);
	if (!first.base || !second.base)
		return SH_INSERT_FAILED;
	if (sh_session_claim_free(first, &key, value) || sh_session_claim_free(second, &key, value) ||
	    sh_session_make_room(env, first, &key, value) || sh_session_make_room(env, second, &key, value))
		return SH_INSERTED;
	return sh_session_evict(first, &key, value) ? SH_INSERTED_EVICTING : SH_INSERT_FAILED;
}

/* Makes a record for a key that sh_session_find did not find. Two processors that insert one key at one time may leave
 * two records; both hold the same answer, and the sweep merges them. `word` is the value's; returns enum sh_insert. */
SH_STAGE_ALONE u32 sh_session_insert(const struct sh_env *handed, const struct sh_session_key *key, u64 word)
{
	union sh_session_value value = {word};
	struct sh_env env;

	if (!handed || !key || sh_env_again(handed, &env))
		return SH_INSERT_FAILED;
	return key->family == SH_IPV4 ? sh_session_insert_as(&env, key, SH_IPV4, value)
				      : sh_session_insert_as(&env, key, SH_IPV6, value);
}

/* A packet of a live session: its time, and from the second packet on the proof that somebody is there. Returns 0 when
 * the session has changed since it was read. */
SH_INLINE int sh_session_touch(struct sh_session4 *slot, union sh_session_value seen, u32 now)
{
	union sh_session_value next = seen;

	if (seen.flags & SH_SESSION_PROVEN) {
		if (seen.last != now)
			SH_WRITE_ONCE(slot->value.last, now);
		return 1;
	}
	next.last = now;
	next.flags |= SH_SESSION_PROVEN;
	return __sync_bool_compare_and_swap(&slot->value.word, seen.word, next.word);
}

/* Gives a live session another target. Returns 0 when it has changed since it was read. */
SH_INLINE int sh_session_move(struct sh_session4 *slot, union sh_session_value seen, union sh_session_value next)
{
	return seen.target && __sync_bool_compare_and_swap(&slot->value.word, seen.word, next.word);
}

#endif
