// SPDX-License-Identifier: Apache-2.0
//
// explain.cc - follows sh_gateway and sh_direct of datapath/program.h step by step, reading only.
#include "engine/explain.h"
#include "engine/session_env.h"

#include "datapath/lookup/choose.h"
#include "datapath/reasons.h"
#include "datapath/session/insert.h"
#include "datapath/signal/probe.h"

namespace shunt
{

static bool usable(const sh_target *target, u8 epoch)
{
	return target && target->state != SH_INACTIVE && target->epoch == epoch;
}

static u8 forward_reason(const sh_env &env, const sh_target *target, u8 reason)
{
	const sh_key *key = sh_key_at(&env, sh_control(&env)->sign_key);

	if (!key || !key->valid)
		return SH_R_table_missing;
	return target->flags & SH_TARGET_RESOLVED ? reason : (u8)SH_R_no_next_hop;
}

static u16 load_of(const sh_env &env, u16 index)
{
	const sh_target *target = index ? sh_target_at(&env, index) : nullptr;

	return target ? target->load : 0;
}

static void describe_session(const sh_env &env, const sh_service &service, sh_session_value seen, Explanation *e)
{
	if (!seen.target)
		return;
	e->session = true;
	e->session_target = seen.target;
	e->session_proven = seen.flags & SH_SESSION_PROVEN;
	e->session_idle_ticks = sh_session_age((u32)(sh_now_ns(&env) >> SH_TICK_SHIFT), seen.last);
	e->session_state = seen.flags & SH_SESSION_STATE;
	e->session_expired = e->session_idle_ticks > sh_session_period(&service, seen.flags);
}

// Of the two candidate rows the one that lost. sh_choose does not return it: in the kernel its caller's stack is full.
static void describe_other(const sh_env &env, const sh_redirection *redirection, const sh_flow &flow, Explanation *e)
{
	u64 hash = sh_hash_spread(sh_control(&env), &flow, redirection->spread);
	u32 first = sh_row_of((u32)hash, redirection->rows);
	u32 second = sh_row_of((u32)(hash >> 32), redirection->rows);

	e->other_row = e->row == first ? second : first;
	const u16 *row = sh_row_at(&env, redirection->first_row + e->other_row);
	e->other = row ? *row : 0;
	e->other_load = load_of(env, e->other);
}

// On SH_R_not_service: a packet to this backend's own address.
static void explain_direct(const sh_env &env, const sh_flow &flow, u64 own_hash, Explanation *e)
{
	const struct sh_control *control = sh_control(&env);
	struct sh_session_key key;
	sh_session_value seen;

	if (flow.protocol == SH_UDP && flow.destination_port == control->tunnel_port)
		return; // an encapsulated packet
	const sh_service *service =
		sh_service_find(&env, control, own_hash, &flow.destination, flow.destination_port, flow.protocol);
	if (!service || service->family != flow.family || !flow.source_port)
		return;
	e->reason = SH_R_direct;
	e->service = service->id;
	if (service->flags & SH_SERVICE_INVITED_ONLY && !sh_invited(&env, control, &flow, service, &key)) {
		e->reason = SH_R_uninvited;
		return;
	}
	sh_session_key(control, &flow, service->id, &key);
	sh_session_find(&env, &key, &seen);
	describe_session(env, *service, seen, e);
}

Explanation explain(const sh_tables *tables, const Sessions &sessions, const sh_flow &of, u64 now_ns, bool continues)
{
	sh_flow flow = of;
	u64 scratch[SH_SCRATCH_BYTES / sizeof(u64)] = {};
	sh_env env = session_env(sessions, tables, scratch, now_ns);
	const struct sh_control *control = sh_control(&env);
	Explanation e = {};

	e.reason = SH_R_table_missing;
	if (!control)
		return e;
	e.reason = SH_R_not_service;
	u64 own_hash = sh_hash_own(control, &flow.destination);
	e.own = sh_own_find(&env, control, &flow.destination, own_hash);
	if (!(e.own & SH_OWN_SERVICE) || !(control->roles & SH_ROLE_GATEWAY)) {
		if (e.own & SH_OWN_HOST && control->roles & SH_ROLE_BACKEND)
			explain_direct(env, flow, own_hash, &e);
		return e;
	}
	const sh_service *service =
		sh_service_find(&env, control, own_hash, &flow.destination, flow.destination_port, flow.protocol);
	e.reason = SH_R_not_service_port;
	if (!service || service->family != flow.family)
		return e;
	e.service = service->id;
	if (!(service->flags & SH_SERVICE_NO_SESSION))
		flow.salt = 0;

	sh_choice choice = {};
	choice.by = continues ? SH_BY_ROW : SH_BY_LOADS;
	sh_choose(&env, service, &flow, &choice);
	e.by_rule = choice.by_rule;
	if (e.by_rule) {
		e.prefix_length = choice.prefix_length;
		e.prefix = sh_addr_prefix(&flow.source, choice.prefix_length);
	}
	e.redirection = choice.redirection;
	e.row = choice.row;
	const sh_redirection *redirection = sh_redirection_at(&env, choice.redirection);
	e.rows = redirection ? redirection->rows : 0;
	e.chosen = choice.target;
	e.load = load_of(env, choice.target);
	if (e.rows && redirection->choice == SH_CHOOSE_LESS_LOADED)
		describe_other(env, redirection, flow, &e);

	struct sh_session_key key;
	sh_session_key(control, &flow, service->id, &key);
	sh_session_value seen;
	sh_session_find(&env, &key, &seen);
	if (seen.target) {
		describe_session(env, *service, seen, &e);
		const sh_target *target = sh_target_at(&env, seen.target);
		if (!e.session_expired && usable(target, seen.epoch)) {
			e.target = seen.target;
			e.reason = forward_reason(env, target, SH_R_forwarded);
			return e;
		}
	}
	const sh_target *target = e.chosen ? sh_target_at(&env, e.chosen) : nullptr;
	e.denied = choice.deny != SH_DENY_NONE;
	e.reason = choice.deny == SH_DENY_SILENT ? SH_R_denied : SH_R_refused;
	if (!choice.deny && service->flags & SH_SERVICE_REFUSES_SILENTLY)
		e.reason = SH_R_no_target;
	if (!target || target->state == SH_INACTIVE)
		return e;
	e.target = e.chosen;
	if (choice.alone) {
		e.reason = forward_reason(env, target, SH_R_forwarded_alone);
		return e;
	}
	e.reason = forward_reason(env, target,
	                          e.session && !e.session_expired ? SH_R_forwarded_moved : SH_R_forwarded_new);
	return e;
}

} // namespace shunt
