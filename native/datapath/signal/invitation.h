/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * invitation.h - redirected clients that a backend accepts where a service takes no others (SH_SERVICE_INVITED_ONLY).
 *
 * A client whose probe shows a valid ticket is invited for as long as the ticket is in force. An invitation is a record of the
 * session table with port 0, which no packet has; so it ages and is evicted as sessions are.
 *
 * Owns: an invitation's key and lifetime.
 * Must never: invite without a verified ticket (probe.h).
 */
#ifndef SHUNT_DATAPATH_SIGNAL_INVITATION_H
#define SHUNT_DATAPATH_SIGNAL_INVITATION_H

#include "datapath/session/insert.h"
#include "datapath/work.h"

/* The record that lets this address in: its key. */
SH_INLINE void sh_invitation_key(const struct sh_control *control, const struct sh_flow *flow, u16 service,
                                 struct sh_session_key *key)
{
	u32 low = service;

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

SH_INLINE int sh_invited(const struct sh_env *env, const struct sh_control *control, const struct sh_flow *flow,
                         const struct sh_service *service, struct sh_session_key *key)
{
	u32 now = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT);
	union sh_session_value seen;

	sh_invitation_key(control, flow, service->id, key);
	sh_session_find(env, key, &seen);
	return seen.target && sh_session_age(now, seen.last) <= service->idle_ticks;
}

/* Lets the source in for as long as its ticket is in force. work->key is its invitation's. */
SH_INLINE void sh_invite(const struct sh_env *env, const struct sh_service *service, struct sh_work *work)
{
	union sh_session_value seen, next = {0};
	struct sh_session4 *slot = sh_session_find(env, &work->key, &seen);

	next.last = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT) - service->idle_ticks +
	            (u32)((u64)work->ticket_left_s * 1000000000 >> SH_TICK_SHIFT);
	next.target = SH_TARGET_LOCAL;
	next.flags = SH_SESSION_PROVEN | SH_SESSION_OPEN; /* it ends by the period of `idle` */
	if (!slot) {
		sh_session_insert(&work->env_copy, &work->key, next.word);
		return;
	}
	if (seen.target && sh_session_later(next.last, seen.last))
		__sync_bool_compare_and_swap(&slot->value.word, seen.word, next.word);
}

#endif
