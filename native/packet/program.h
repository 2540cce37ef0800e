/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * program.h - the packet program: a packet's whole way, read downwards.
 *
 *     sh_run
 *       1  parse the link and the IP header                         parse.h
 *       2  is the destination any of ours? most packets leave here  choose.h
 *     sh_backend: a packet of the tunnel, to this server
 *       3  verify the redirection header, its tag last              decap.h
 *       4  note the session                                         session.h
 *       5  give it the port that the service has here              decap.h
 *       6  take the packet out of the tunnel; the host's stack has it
 *     sh_direct: a packet of a redirected client, to this backend's own address
 *       3  parse the transport, find the service by the port that it has here; note the session
 *     sh_gateway: a packet of a client, to a service
 *       3  parse the transport, find the service                    parse.h, choose.h
 *       4  find the session and with it the target                  session.h
 *       5  none, or it moved: choose a target by the tables         choose.h
 *       6  verdict: does it fit the link?                           too_big.h
 *       7  add the redirection header, encapsulate                  encap.h
 *
 * What a backend sends has a shorter way of its own: sent.h.
 *
 * Owns: the order of the stages, and the reason each packet leaves by.
 * Must never: know which engine runs it, count (the engine counts the reason, once, after it has tried to transmit), or
 * wait for anybody.
 */
#ifndef SHUNT_PACKET_PROGRAM_H
#define SHUNT_PACKET_PROGRAM_H

/* For `npm run bench -- xdp --stages` alone, which asks where the time goes: a build that ends every packet after a step. */
#ifndef SH_END_AFTER
#define SH_END_AFTER 0
#endif

#include "choose.h"
#include "decap.h"
#include "encap.h"
#include "fragment.h"
#include "parse.h"
#include "session.h"
#include "too_big.h"

/* What a packet on its way keeps in the engine's scratch memory. */
struct sh_work {
	struct sh_passage passage; /* first: whoever watches from outside finds it there */
	struct sh_header header;
	struct sh_session_key key;
};
SH_STATIC_ASSERT(sizeof(struct sh_work) <= SH_SCRATCH_SESSION, "session.h, SH_SCRATCH_SESSION");

/* What one look at the session table came to. */
struct sh_session_answer {
	u16 target; /* 0: no target */
	u8 reason;  /* forwarded... or why there is none */
};

SH_INLINE int sh_target_usable(const struct sh_target *target, u8 epoch)
{
	return target && target->state != SH_INACTIVE && target->epoch == epoch;
}

/* Step 5: a target by the tables. Draining targets have no rows, so a new session can't get one. */
SH_INLINE u16 sh_choose_target(const struct sh_env *env, const struct sh_service *service, const struct sh_flow *flow,
			       u8 *epoch)
{
	const struct sh_target *target;
	struct sh_choice choice;
	struct sh_env handed = *env; /* the verifier forgets what it knew of memory that such a stage was handed */
	u32 index = sh_choose(&handed, service, flow, &choice);

	target = index ? sh_target_at(env, index) : 0;
	if (!target || target->state == SH_INACTIVE)
		return 0;
	*epoch = target->epoch;
	return (u16)index;
}

/* Steps 4 and 5. */
SH_INLINE struct sh_session_answer sh_session_answer(const struct sh_env *env, const struct sh_service *service,
						     const struct sh_flow *flow, const struct sh_session_key *key)
{
	u32 now = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT);
	union sh_session_value seen, next = {0};
	struct sh_session4 *slot = sh_session_find(env, key, &seen);
	struct sh_session_answer answer = {0, SH_R_no_target};
	int expired = 0;

	if (slot) {
		expired = sh_session_age(now, seen.last) > service->idle_ticks;
		if (seen.target && !expired && sh_target_usable(sh_target_at(env, seen.target), seen.epoch)) {
			sh_session_touch(slot, seen, now);
			answer.target = seen.target;
			answer.reason = SH_R_forwarded;
			return answer;
		}
	}
	next.last = now;
	next.target = sh_choose_target(env, service, flow, &next.epoch);
	if (!next.target)
		return answer;
	answer.target = next.target;
	if (!slot) {
		struct sh_env handed = *env;
		u32 inserted = sh_session_insert(&handed, key, next.word);

		answer.reason = inserted == SH_INSERTED	           ? SH_R_forwarded_new
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

/* Steps 6 and 7. */
SH_INLINE u8 sh_forward(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
			struct sh_work *work, u64 entropy, struct sh_result *result)
{
	const struct sh_target *target = sh_target_at(env, result->target);
	struct sh_parsed *p = &work->passage.parsed;
	u32 room;
	u8 failed;

	if (!target)
		return SH_R_no_target;
	room = (u32)target->mtu - sh_encap_overhead(target->family);
	if ((u32)p->ip_length > room)
		return sh_too_big(frame, p, (u16)room);
	if (SH_END_AFTER == 6)
		return SH_R_not_service;
	result->ifindex = target->ifindex;
	failed = sh_encap(env, frame, control, target, result->target, p, &work->header, entropy);
	return failed == SH_GO_ON ? result->reason : failed;
}

/* An ICMP error about a flow goes where the flow goes. It makes no session and keeps none alive. */
SH_INLINE struct sh_session_answer sh_icmp_answer(const struct sh_env *env, const struct sh_session_key *key)
{
	struct sh_session_answer answer = {0, SH_R_icmp_unknown};
	union sh_session_value seen;

	sh_session_find(env, key, &seen);
	if (seen.target && sh_target_usable(sh_target_at(env, seen.target), seen.epoch)) {
		answer.target = seen.target;
		answer.reason = SH_R_forwarded_icmp;
	}
	return answer;
}

/* RFC 1122 3.2.1.3: what can't be a host's address. An answer to it would go nowhere, or to many. */
SH_INLINE int sh_source_bad(const struct sh_flow *flow)
{
	const u8 *a = flow->source.b;

	if (flow->family == SH_IPV4)
		return a[12] == 0 || a[12] == 127 || a[12] >= 224;
	if (flow->source.d[0] == 0) /* unspecified, loopback, or IPv4-mapped, which no packet may carry */
		return (flow->source.w[2] == 0 && sh_ntohl(flow->source.w[3]) <= 1) || flow->source.w[2] == sh_htonl(0xffff);
	return a[0] == 0xff;
}

/* Steps 3 to 5: whose packet is it, and which target has it? SH_GO_ON: result and *entropy say it. */
SH_INLINE u8 sh_gateway_choose(const struct sh_env *env, const struct sh_frame *frame, const struct sh_control *control,
			       struct sh_work *work, u64 own_hash, struct sh_result *result, u64 *entropy)
{
	const struct sh_service *service;
	struct sh_parsed *p = &work->passage.parsed;
	struct sh_session_key *key = &work->key;
	struct sh_session_answer answer;
	u8 reason;

	if (p->flow.family == SH_IPV4) {
		reason = sh_check_ipv4(frame, p);
		if (reason != SH_GO_ON)
			return reason;
	}
	reason = sh_parse_transport(frame, p);
	if (reason != SH_GO_ON)
		return reason;
	if (sh_source_bad(&p->flow))
		return SH_R_bad_source;
	if (SH_UNLIKELY(p->fragmentation == SH_FRAGMENT_LATER)) {
		*entropy = sh_fragment_key(control, p);
		result->reason = SH_R_forwarded_fragment;
		return sh_fragment_recall(env, control, *entropy, &result->target, &result->service)
			       ? SH_GO_ON
			       : (u8)SH_R_fragment_unknown;
	}
	service = sh_service_find(env, control, own_hash, &p->flow.destination, p->flow.destination_port, p->flow.protocol);
	if (!service || service->family != p->flow.family) /* an IPv6 packet to an IPv4-mapped address is to no service */
		return SH_R_not_service_port;
	if (!p->flow.source_port)
		return SH_R_bad_source;
	result->service = service->id;

	if (SH_END_AFTER == 3)
		return SH_R_not_service;
	sh_session_key(control, &p->flow, service->id, key);
	*entropy = key->hash;
	answer = p->icmp_error ? sh_icmp_answer(env, key) : sh_session_answer(env, service, &p->flow, key);
	if (!answer.target)
		return answer.reason;
	result->target = answer.target;
	result->reason = answer.reason;
	if (SH_UNLIKELY(p->fragmentation == SH_FRAGMENT_FIRST))
		sh_fragment_remember(env, control, sh_fragment_key(control, p), answer.target, service->id);
	return SH_GO_ON;
}

SH_INLINE u8 sh_gateway(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
			struct sh_work *work, u64 own_hash, struct sh_result *result)
{
	u64 entropy = 0;
	u8 reason = sh_gateway_choose(env, frame, control, work, own_hash, result, &entropy);

	return reason == SH_GO_ON ? sh_forward(env, frame, control, work, entropy, result) : reason;
}

/* A backend's own record of a client: the same table, the same record, and this host as the target. */
SH_INLINE void sh_backend_note(const struct sh_env *env, const struct sh_control *control, u16 service,
			       const struct sh_flow *flow, struct sh_session_key *key)
{
	union sh_session_value seen, next = {0};
	struct sh_session4 *slot;

	next.last = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT);
	next.target = SH_TARGET_LOCAL;
	sh_session_key(control, flow, service, key);
	slot = sh_session_find(env, key, &seen);
	if (!slot) {
		sh_session_insert(env, key, next.word); /* env itself: nothing is asked of it after this */
		return;
	}
	if (seen.target)
		sh_session_touch(slot, seen, next.last);
}

SH_STAGE u8 sh_backend(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
			struct sh_work *work, struct sh_result *result)
{
	const struct sh_service *service = 0;
	const struct sh_parsed *inner = &work->passage.inner;
	u8 reason;

	reason = sh_decap_verify(env, frame, control, &work->passage.parsed, &work->header, &work->passage.inner, &service);
	if (reason != SH_GO_ON)
		return reason;
	if (service) {
		result->service = service->id;
		if (!inner->icmp_error)
			sh_backend_note(env, control, service->id, &inner->flow, &work->key);
	}
	reason = sh_decap_congestion(frame, work->passage.parsed.tos, inner);
	if (reason != SH_GO_ON)
		return reason;
	reason = sh_decap_port(frame, inner, work->header.port);
	if (reason != SH_GO_ON)
		return reason;
	if (sh_decap(frame, inner))
		return SH_R_inner_bad;
	result->target = SH_TARGET_LOCAL;
	result->popped = 1;
	return SH_R_delivered;
}

/* A client that was told where to go sends straight there. The host's stack is to have the packet as it came, whatever is
 * wrong with it: so this reads, and passes what is no service's as all else that is addressed to this host. */
SH_STAGE u8 sh_direct(const struct sh_env *env, const struct sh_frame *frame, const struct sh_control *control,
		      struct sh_work *work, struct sh_result *result)
{
	const struct sh_service *service;
	struct sh_parsed *p = &work->passage.parsed;
	const struct sh_flow *flow = &p->flow;

	if (flow->family == SH_IPV4 && sh_check_ipv4(frame, p) != SH_GO_ON)
		return SH_R_not_service;
	if (sh_parse_transport(frame, p) != SH_GO_ON || p->icmp_error || p->fragmentation == SH_FRAGMENT_LATER ||
	    !flow->source_port || sh_source_bad(flow))
		return SH_R_not_service;
	if (flow->protocol == SH_UDP && flow->destination_port == control->tunnel_port)
		return SH_R_not_service; /* the tunnel's, in fragments or behind extension headers, which we do not send */
	service = sh_service_find(env, control, sh_hash_own(control, &flow->destination), &flow->destination,
				  flow->destination_port, flow->protocol);
	if (!service || service->family != flow->family)
		return SH_R_not_service;
	result->service = service->id;
	sh_backend_note(env, control, service->id, flow, &work->key);
	return SH_R_direct;
}

/* One packet, from its Ethernet header on. */
SH_INLINE struct sh_result sh_run(const struct sh_env *env, struct sh_frame *frame)
{
	const struct sh_control *control = sh_control(env);
	struct sh_result result = {0, 0, 0, 0, 0};
	struct sh_work *work = (struct sh_work *)sh_scratch(env);
	u64 own_hash;
	u32 own;

	if (work)
		work->passage.length = sh_length(frame);
	if (!control || !work) {
		result.reason = SH_R_table_missing;
		return result;
	}
	result.reason = sh_parse_link(frame, &work->passage.parsed);
	if (result.reason == SH_GO_ON)
		result.reason = sh_parse_ip(frame, &work->passage.parsed);
	if (SH_END_AFTER == 1)
		result.reason = SH_R_not_service;
	if (result.reason != SH_GO_ON)
		return result;

	own_hash = sh_hash_own(control, &work->passage.parsed.flow.destination);
	own = sh_own_find(env, control, &work->passage.parsed.flow.destination, own_hash);
	if (own & SH_OWN_HOST && control->roles & SH_ROLE_BACKEND && sh_decap_wanted(frame, control, &work->passage.parsed))
		result.reason = sh_backend(env, frame, control, work, &result);
	else if (own & SH_OWN_SERVICE && control->roles & SH_ROLE_GATEWAY && SH_END_AFTER != 2)
		result.reason = sh_gateway(env, frame, control, work, own_hash, &result);
	else if (own & SH_OWN_HOST && control->roles & SH_ROLE_BACKEND)
		result.reason = sh_direct(env, frame, control, work, &result);
	else
		result.reason = SH_R_not_service;
	return result;
}

#endif
