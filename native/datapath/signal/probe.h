/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * probe.h - a backend answers a redirected client that asks whether it is there: docs/protocol.md, section 7.
 *
 * Owns: what makes a probe right, its answer, and the invitation that it is: where a service takes redirected clients alone, who has
 * shown his ticket is let in for as long as that is in force. An invitation stands in the session table as a session of port 0, which
 * no packet can have, so it ages and is evicted as they do.
 * Must never: answer what is longer than the probe.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_PROBE_H
#define SHUNT_DATAPATH_SIGNAL_PROBE_H

#include "datapath/signal/limit.h"
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
	            (u32)((u64)work->left_s * 1000000000 >> SH_TICK_SHIFT);
	next.target = SH_TARGET_LOCAL;
	next.flags = SH_SESSION_PROVEN;
	if (!slot) {
		sh_session_insert(&work->handed, &work->key, next.word);
		return;
	}
	if (seen.target && sh_session_later(next.last, seen.last))
		__sync_bool_compare_and_swap(&slot->value.word, seen.word, next.word);
}

/* Checks the probe in work->question, whose header then becomes its answer's. SH_GO_ON, or the reason of a refusal. */
SH_STAGE_ALONE u32 sh_probe_check(const struct sh_env *handed, struct sh_work *work)
{
	const struct sh_control *control;
	const struct sh_flow *flow;
	struct sh_header *header;
	struct sh_env env;
	u8 wrong;

	if (!handed || !work || sh_env_again(handed, &env))
		return SH_R_table_missing;
	control = sh_control(&env);
	header = &work->question.header;
	flow = &work->question.flow;
	if (!control->sign.valid)
		return SH_R_table_missing;
	if (!sh_service_find(&env, control, sh_hash_own(control, &flow->destination), &flow->destination,
	                     flow->destination_port, flow->protocol))
		return SH_R_control_not_service;
	if (!(sh_own_find(&env, control, &header->address, sh_hash_own(control, &header->address)) & SH_OWN_HOST))
		return SH_R_header_elsewhere;
	if (!sh_limit(&env, control, &flow->source))
		return SH_R_limited;
	wrong = sh_ticket_check(&env, control, header, flow);
	if (wrong != SH_GO_ON)
		return wrong;
	work->left_s = sh_ticket_left(&env, control, header);
	header->type = SH_T_PROBE_ACK;
	header->flags &= SH_F_REDIRECT | SH_F_TERMS | SH_F_IPV6;
	header->hops = 0;
	header->issued = sh_now_s(&env, control);
	header->key_id = control->sign_key;
	return SH_GO_ON;
}

#endif
