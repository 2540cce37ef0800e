/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * record.h - one record of the session table: read it, find it, renew it, give it another target, release it.
 *
 * Owns: the claim protocol, by which several processors use a record at once and without a lock.
 * Must never: decide which target a session gets (lookup/choose.h), or release a record because of its age (that is the aging
 * sweep's, native/engine/aging.cc).
 *
 * States of a record:
 *   free      claim 0, target 0
 *   claiming  claim k, target 0      the processor whose compare-and-swap won writes the value; all others skip the record;
 *                                    an IPv6 claim is busy until the address is written
 *   live      claim k, target > 0
 *   ending    claim k, target 0      the processor that swaps a live value for 0 owns the record, and frees or re-claims it
 * Only its owner uses or writes a record with target 0. So a value belongs to the claim that is read both before and after
 * it, and a processor that writes a value for a claim first becomes the owner and then checks the claim. Only `last` may be
 * stored late, into a record that another session has just taken over: that makes the record younger, or takes back a later
 * `last` of the same moment.
 * One race remains: a record that ends, is claimed by another session, ends, and is claimed again by the first session, all
 * between two loads of one reader, shows this reader the other session's target for one packet.
 */
#ifndef SHUNT_DATAPATH_SESSION_RECORD_H
#define SHUNT_DATAPATH_SESSION_RECORD_H

#include "datapath/session/key.h"

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

/* Ages compare modulo 2^32. A `last` ahead of our clock is age 0: another processor stored it a moment later, or what the
 * backend sent keeps the session alive for longer than what the client sends would (egress.h). */
SH_INLINE u32 sh_session_age(u32 now, u32 last)
{
	u32 age = now - last;

	return age > 0x80000000u ? 0 : age;
}

/* Is time `a` after time `b`? Modulo 2^32, as ages. */
SH_INLINE int sh_session_later(u32 a, u32 b)
{
	return a != b && a - b <= 0x7fffffffu;
}

/* How long a session in this state may be idle: of TCP all of `idle` only when established (RFC 5382, REQ-5). */
SH_INLINE u32 sh_session_period(const struct sh_service *service, u8 flags)
{
	return (flags & SH_SESSION_STATE) == SH_SESSION_OPEN ? service->idle_ticks : service->idle_transitory_ticks;
}

/* A packet of a live session: its time, the state that `marks` (passage.h) bring it to, and from the second packet on the mark
 * that the flow is not a one-packet flood. Returns 0 when the session has changed since it was read. A time that is ahead
 * stays: the session ends at the later of both. */
SH_INLINE int sh_session_touch(struct sh_session4 *slot, union sh_session_value seen, u32 now, u8 marks)
{
	union sh_session_value next = seen;

	if (SH_LIKELY((seen.flags & (SH_SESSION_PROVEN | marks)) == (SH_SESSION_PROVEN | marks))) {
		if (sh_session_later(now, seen.last))
			SH_WRITE_ONCE(slot->value.last, now);
		return 1;
	}
	if (sh_session_later(now, seen.last))
		next.last = now;
	/* User space captures both directions apart, so an answer may overtake its question. */
	if (seen.flags & SH_SESSION_SENT)
		next.flags &= (u8)~SH_SESSION_SENT;
	else
		next.flags |= SH_SESSION_PROVEN;
	if (marks & SH_SESSION_BEGINS)
		next.flags &= (u8)~SH_SESSION_STATE;
	else
		next.flags |= marks;
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
