/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * assign.h - a flow's target: the one that its session has, or one by the tables.
 *
 * Owns: steps 4 and 5 of program.h, and what becomes of a session whose target went away or failed its client.
 * Must never: touch a packet.
 */
#ifndef SHUNT_DATAPATH_LOOKUP_ASSIGN_H
#define SHUNT_DATAPATH_LOOKUP_ASSIGN_H

#include "datapath/lookup/choose.h"
#include "datapath/parse/parse.h"
#include "datapath/session/insert.h"

/* What one look at the session table came to. */
struct sh_assignment {
	u16 target; /* 0: no target */
	u8 reason;  /* forwarded... or why there is none */
};

SH_INLINE int sh_target_usable(const struct sh_target *target, u8 epoch)
{
	return target && target->state != SH_INACTIVE && target->epoch == epoch;
}

/* Step 5: a target by the tables, unless it is given. Draining targets have no rows, so a new session can't get one.
 * `env_copy` and `choice` are scratch memory for the stage that is verified alone; on BPF's stack there is no room. */
SH_INLINE u16 sh_choose_target(const struct sh_env *env, struct sh_env *env_copy, struct sh_choice *choice,
                               const struct sh_service *service, const struct sh_flow *flow, u16 given, u8 *epoch)
{
	const struct sh_target *target;
	u32 index = given;

	if (SH_LIKELY(!given)) {
		*env_copy = *env;
		index = sh_choose(env_copy, service, flow, choice);
	}
	target = index ? sh_target_at(env, index) : 0;
	if (!target || target->state == SH_INACTIVE)
		return 0;
	*epoch = target->epoch;
	return (u16)index;
}

/* Steps 4 and 5 of the packet `p`. A TCP connection that is not known here (its session ended, or it came by another gateway)
 * goes by its row, where every gateway sends it; a backend that does not know it either may send it on (backend.h). `other`,
 * if it is not 0, is the target that the client is to have now, since its own has failed it (R8). */
SH_INLINE struct sh_assignment sh_assign_target(const struct sh_env *env, struct sh_env *env_copy,
                                                struct sh_choice *choice, const struct sh_service *service,
                                                const struct sh_flow *flow, const struct sh_session_key *key, u16 other,
                                                const struct sh_parsed *p)
{
	u32 now = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT);
	union sh_session_value seen, next = {0};
	struct sh_session4 *slot = sh_session_find(env, key, &seen);
	struct sh_assignment answer = {0, SH_R_no_target};
	int expired = 0;

	if (slot) {
		expired = sh_session_age(now, seen.last) > sh_session_period(service, seen.flags);
		if (seen.target && !expired && (SH_LIKELY(!other) || seen.target == other) &&
		    sh_target_usable(sh_target_at(env, seen.target), seen.epoch)) {
			sh_session_touch(slot, seen, now, p->marks);
			answer.target = seen.target;
			answer.reason = SH_R_forwarded;
			return answer;
		}
	}
	next.last = now;
	choice->by = sh_parsed_continues(p) ? SH_BY_ROW : SH_BY_LOADS;
	next.target = sh_choose_target(env, env_copy, choice, service, flow, other, &next.epoch);
	if (!next.target) {
		if (choice->deny)
			answer.reason = SH_R_denied;
		return answer;
	}
	answer.target = next.target;
	if (SH_UNLIKELY(choice->alone)) {
		answer.reason = SH_R_forwarded_alone;
	} else if (!slot) {
		u32 inserted;

		*env_copy = *env;
		inserted = sh_session_insert(env_copy, key, next.word);
		answer.reason = inserted == SH_INSERTED            ? SH_R_forwarded_new
		                : inserted == SH_INSERTED_EVICTING ? SH_R_forwarded_evicting
		                                                   : SH_R_forwarded_unlisted;
	} else if (!seen.target) {
		answer.reason = SH_R_forwarded_unlisted; /* another processor is just writing this record */
	} else {
		next.flags = expired ? 0 : seen.flags;
		sh_session_move(slot, key, seen, next); /* if it fails, another processor did the same */
		answer.reason = expired ? SH_R_forwarded_new : SH_R_forwarded_moved;
	}
	return answer;
}

/* An ICMP error about a flow goes where the flow goes. It makes no session and keeps none alive. Routers choose a gateway by
 * the error's own addresses (ECMP), so it may be one that has not seen the flow: then the flow's row names the target. */
SH_INLINE struct sh_assignment sh_assign_icmp_target(const struct sh_env *env, struct sh_env *env_copy,
                                                     struct sh_choice *choice, const struct sh_service *service,
                                                     const struct sh_flow *flow, const struct sh_session_key *key)
{
	struct sh_assignment answer = {0, SH_R_icmp_unknown};
	union sh_session_value seen;
	u8 epoch;

	sh_session_find(env, key, &seen);
	if (seen.target && sh_target_usable(sh_target_at(env, seen.target), seen.epoch)) {
		answer.target = seen.target;
	} else {
		choice->by = SH_BY_ROW;
		answer.target = sh_choose_target(env, env_copy, choice, service, flow, 0, &epoch);
	}
	if (answer.target)
		answer.reason = SH_R_forwarded_icmp;
	return answer;
}

/* R7: as long as its client's lease runs, so that the client's next question finds the same target. */
SH_INLINE void sh_session_extend(const struct sh_env *env, const struct sh_session_key *key,
                                 const struct sh_service *service, u32 lease_s)
{
	u32 now = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT);
	u32 lease = (u32)((u64)lease_s * 1000000000 >> SH_TICK_SHIFT);
	union sh_session_value seen, next;
	struct sh_session4 *slot;

	if (lease <= service->idle_ticks)
		return;
	slot = sh_session_find(env, key, &seen);
	next = seen;
	next.last = now + (lease - service->idle_ticks);
	if (slot && seen.target && sh_session_later(next.last, seen.last))
		__sync_bool_compare_and_swap(&slot->value.word, seen.word, next.word);
}

#endif
