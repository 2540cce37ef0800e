/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * program.h - the packet program: a packet's whole way, read downwards.
 *
 *     sh_run
 *       1  parse the link and the IP header                         parse.h
 *       2  is the destination any of ours? most packets leave here  choose.h
 *     sh_backend: a packet of the tunnel, to this server
 *       3  verify the redirection header, its tag last              decap.h
 *       4  note the session, and what its client is to be told      session.h, tell.h
 *          draining, and not its session: on to another one
 *       5  give it the port that the service has here              decap.h
 *       6  take the packet out of the tunnel; the host's stack has it
 *     sh_direct: a packet of a redirected client, to this backend's own address
 *       3  parse the transport; a probe is answered                 probe.h
 *       4  find the service by the port that it has here; is its sender invited? note the session
 *     sh_gateway: a packet of a client, to a service
 *       3  parse the transport; does it ask something? find the service   parse.h, question.h, choose.h
 *       4  find the session and with it the target                  session.h
 *       5  none, or it moved: choose a target by the tables         assign.h, choose.h
 *          it asks: the answer goes back, or the target is to tell it       asked.h, answer.h
 *       6  verdict: does it fit the link?                           too_big.h
 *       7  add the redirection header, encapsulate                  encap.h
 *
 * What a backend sends has a shorter way of its own: sent.h.
 *
 * Owns: the order of the stages, and the reason each packet leaves by.
 * Must never: know which engine runs it, count (the engine counts the reason, once, after it has tried to transmit), or
 * wait for anybody.
 */
#ifndef SHUNT_DATAPATH_PROGRAM_H
#define SHUNT_DATAPATH_PROGRAM_H

/* For `npm run bench -- xdp --stages` alone, which asks where the time goes: a build that ends every packet after a step. */
#ifndef SH_END_AFTER
#define SH_END_AFTER 0
#endif

#include "datapath/carrier/decap.h"
#include "datapath/carrier/encap.h"
#include "datapath/lookup/assign.h"
#include "datapath/lookup/choose.h"
#include "datapath/parse/fragment.h"
#include "datapath/parse/parse.h"
#include "datapath/session/session.h"
#include "datapath/signal/asked.h"
#include "datapath/signal/probe.h"
#include "datapath/signal/question.h"
#include "datapath/signal/tell.h"
#include "datapath/too_big.h"
#include "datapath/work.h"

/* Steps 6 and 7. */
SH_INLINE u8 sh_forward(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
                        struct sh_work *work, struct sh_parsed *p, u64 entropy, struct sh_result *result)
{
	const struct sh_target *target = sh_target_at(env, result->target);
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
	failed = sh_encap(env, frame, control, target, result->target, p, &work->header, entropy, &work->stamp);
	return failed == SH_GO_ON ? result->reason : failed;
}

/* RFC 1122 3.2.1.3: what can't be a host's address. An answer to it would go nowhere, or to many. */
SH_INLINE int sh_source_bad(const struct sh_flow *flow)
{
	const u8 *a = flow->source.b;

	if (flow->family == SH_IPV4)
		return a[12] == 0 || a[12] == 127 || a[12] >= 224;
	if (flow->source.d[0] == 0) /* unspecified, loopback, or IPv4-mapped, which no packet may carry */
		return (flow->source.w[2] == 0 && sh_ntohl(flow->source.w[3]) <= 1) ||
		       flow->source.w[2] == sh_htonl(0xffff);
	return a[0] == 0xff;
}

/* Steps 3 to 5: whose packet is it, and which target has it? SH_GO_ON: result and *entropy say it. */
SH_INLINE u8 sh_gateway_choose(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
                               struct sh_work *work, u64 own_hash, struct sh_result *result, u64 *entropy)
{
	const struct sh_service *service;
	struct sh_parsed *p = &work->passage.parsed;
	const struct sh_flow *flow = &p->flow;
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
	work->question.asks = SH_ASKS_NOTHING;
	if (SH_UNLIKELY(p->carrier)) {
		reason = (u8)sh_question_read(sh_packet_of(frame), p, &work->question, control->control_port,
		                              1u << SH_ASKS_CAPABILITY | 1u << SH_ASKS_FAILURE);
		if (reason != SH_GO_ON)
			return reason;
		flow = sh_asked_flow(work);
	} else if (SH_UNLIKELY(p->flow.destination_port == control->control_port) && p->flow.protocol == SH_UDP &&
	           !p->icmp_error) {
		return SH_R_control_bad;
	}
	service = sh_service_find(env, control, own_hash, &p->flow.destination, flow->destination_port, flow->protocol);
	if (!service ||
	    service->family != p->flow.family) /* an IPv6 packet to an IPv4-mapped address is to no service */
		return flow == &p->flow ? (u8)SH_R_not_service_port : (u8)SH_R_control_not_service;
	if (!p->flow.source_port)
		return SH_R_bad_source;
	result->service = service->id;

	if (SH_END_AFTER == 3)
		return SH_R_not_service;
	sh_session_key(control, flow, service->id, key);
	*entropy = key->hash;
	if (SH_UNLIKELY(work->question.asks)) {
		work->handed = *env;
		reason = (u8)sh_asked_check(&work->handed, work, service);
		if (reason != SH_GO_ON)
			return reason;
	}
	if (SH_UNLIKELY(work->question.asks) && work->settled)
		answer = work->assigned;
	else if (SH_UNLIKELY(p->icmp_error))
		answer = sh_icmp_answer(env, key);
	else
		answer = sh_session_answer(env, service, flow, key, work->question.asks ? work->assigned.target : 0);
	result->target = answer.target;
	result->reason = answer.reason;
	if (SH_UNLIKELY(work->question.asks)) {
		if (work->question.asks == SH_ASKS_FAILURE && work->assigned.target)
			result->reason = SH_R_forwarded_failed;
		work->assigned = answer;
		reason = (u8)sh_asked_answer(sh_packet_of(frame), work, sh_asked_say(&work->handed, work, service));
		sh_frame_again(frame);
		return reason;
	}
	if (!answer.target)
		return answer.reason;
	if (SH_UNLIKELY(p->fragmentation == SH_FRAGMENT_FIRST))
		sh_fragment_remember(env, control, sh_fragment_key(control, p), answer.target, service->id);
	return SH_GO_ON;
}

/* A backend's own record of a client: the same table, the same record, and this host as the target. Is it known? */
SH_INLINE int sh_backend_known(const struct sh_env *env, const struct sh_session_key *key)
{
	union sh_session_value seen;
	struct sh_session4 *slot = sh_session_find(env, key, &seen);

	if (slot && seen.target)
		sh_session_touch(slot, seen, (u32)(sh_now_ns(env) >> SH_TICK_SHIFT));
	return slot != 0;
}

SH_INLINE void sh_backend_note(const struct sh_env *env, struct sh_work *work)
{
	union sh_session_value next = {0};

	next.last = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT);
	next.target = SH_TARGET_LOCAL;
	work->handed = *env;
	sh_session_insert(&work->handed, &work->key, next.word);
}

/* This backend is draining or out of service, and the session is not one of its own: on to another one. SH_GO_ON: the frame is now the
 * client's packet, work->passage.inner says where, and the stamp is set. Anything else: it is served here all the same. */
SH_INLINE u8 sh_backend_on(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
                           struct sh_work *work, const struct sh_service *service, struct sh_result *result)
{
	struct sh_parsed *inner = &work->passage.inner;
	const struct sh_target *target;
	u16 before = inner->l3 - (u16)sizeof(struct sh_ethernet);
	u8 epoch;

	result->target = sh_choose_target(env, service, &inner->flow, 0, &epoch);
	target = result->target ? sh_target_at(env, result->target) : 0;
	if (!target || !(target->flags & SH_TARGET_RESOLVED))
		return SH_R_no_target;
	if (work->header.hops >= control->max_hops)
		return SH_R_header_hops;
	work->stamp.nonce = work->header.nonce;
	work->stamp.flags = work->header.flags & SH_F_FAILURE;
	work->stamp.hops = work->header.hops + 1;
	if (sh_decap(frame, inner))
		return SH_R_inner_bad;
	inner->l3 -= before;
	inner->l4 -= before;
	inner->ports -= inner->ports ? before : 0;
	result->reason = SH_R_forwarded_on;
	return SH_GO_ON;
}

/* The client of this datagram is to be told in the reply. */
SH_INLINE void sh_backend_tell(const struct sh_env *env, const struct sh_frame *frame, const struct sh_work *work)
{
	const struct sh_parsed *inner = &work->passage.inner;
	const struct sh_udp *udp = (const struct sh_udp *)(frame->data + SH_OFFSET(inner->l4));
	u32 end = (u32)inner->l3 + inner->ip_length;

	if (inner->carrier != SH_CARRIER_SURPLUS || (const u8 *)(udp + 1) > frame->end)
		return;
	sh_told_remember(env, work->key.hash, &work->header, end - inner->l4 - sh_ntohs(udp->length), inner->ip_length);
}

SH_STAGE u8 sh_backend(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
                       struct sh_work *work, struct sh_result *result)
{
	const struct sh_service *service = 0;
	const struct sh_parsed *inner = &work->passage.inner;
	u8 reason;

	reason = sh_decap_verify(env, frame, control, &work->passage.parsed, &work->header, &work->passage.inner,
	                         &service);
	if (reason != SH_GO_ON)
		return reason;
	if (service) {
		result->service = service->id;
		if (!inner->icmp_error) {
			sh_session_key(control, &inner->flow, service->id, &work->key);
			if (work->header.nonce && work->header.flags & SH_F_REDIRECT)
				sh_backend_tell(env, frame, work);
			if (!sh_backend_known(env, &work->key)) {
				if (SH_UNLIKELY(control->own_state != SH_ACTIVE)) {
					reason = sh_backend_on(env, frame, control, work, service, result);
					if (reason != SH_R_no_target)
						return reason;
				}
				work->fresh = 1;
			}
		}
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

/* A control datagram to a backend's own address: to the control port, or to one where a service listens. SH_GO_ON: it is none of ours. */
SH_STAGE u8 sh_probed(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
                      struct sh_work *work, struct sh_result *result)
{
	const struct sh_flow *flow = &work->passage.parsed.flow;
	u64 own_hash = sh_hash_own(control, &flow->destination);
	const struct sh_service *service;
	u8 reason;

	reason = (u8)sh_question_read(sh_packet_of(frame), &work->passage.parsed, &work->question,
	                              control->control_port, 1u << SH_ASKS_PROBE);
	if (reason != SH_GO_ON)
		return reason;
	if (flow->destination_port != control->control_port &&
	    !sh_service_find(env, control, own_hash, &flow->destination, flow->destination_port, SH_UDP) &&
	    !sh_service_find(env, control, own_hash, &flow->destination, flow->destination_port, SH_TCP))
		return SH_GO_ON;
	if (work->question.asks != SH_ASKS_PROBE)
		return flow->destination_port == control->control_port ? (u8)SH_R_header_type : SH_GO_ON;
	work->handed = *env;
	reason = (u8)sh_probe_check(&work->handed, work);
	if (reason != SH_GO_ON)
		return reason;
	own_hash = sh_hash_own(control, &work->question.header.address);
	service = sh_service_find(env, control, own_hash, &work->question.header.address, work->question.header.port,
	                          work->question.flow.protocol);
	/* The question's flow, as the client would send it straight here. */
	work->asked = work->question.flow;
	work->asked.destination = work->question.header.address;
	work->asked.destination_port = work->question.header.port;
	if (!sh_served(env, frame, &work->asked)) {
		result->popped = 1; /* in user space the guard holds control datagrams back */
		return SH_R_probe_unserved;
	}
	if (service) {
		result->service = service->id;
		if (service->flags & SH_SERVICE_INVITED_ONLY) {
			sh_invitation_key(control, flow, service->id, &work->key);
			sh_invite(env, service, work);
		}
	}
	sh_answer_compose(&work->handed, &work->answer, &work->question.header, &work->question.flow, 1);
	work->assigned.target = SH_TARGET_LOCAL;
	reason = (u8)sh_asked_answer(sh_packet_of(frame), work, SH_SAID_DATAGRAM);
	sh_frame_again(frame);
	return reason;
}

/* A client that was told where to go sends straight there. The host's stack is to have the packet as it came, whatever is
 * wrong with it: so this reads, and passes what is no service's as all else that is addressed to this host. */
SH_STAGE u8 sh_direct_parse(const struct sh_frame *frame, const struct sh_control *control, struct sh_parsed *p)
{
	const struct sh_flow *flow = &p->flow;

	if (flow->family == SH_IPV4 && sh_check_ipv4(frame, p) != SH_GO_ON)
		return SH_R_not_service;
	if (sh_parse_transport(frame, p) != SH_GO_ON || p->icmp_error || p->fragmentation == SH_FRAGMENT_LATER ||
	    !flow->source_port || sh_source_bad(flow))
		return SH_R_not_service;
	if (flow->protocol == SH_UDP && flow->destination_port == control->tunnel_port)
		return SH_R_not_service; /* the tunnel's, in fragments or behind extension headers, which we do not send */
	return SH_GO_ON;
}

SH_STAGE u8 sh_direct(const struct sh_env *env, const struct sh_control *control, struct sh_work *work,
                      struct sh_result *result)
{
	const struct sh_flow *flow = &work->passage.parsed.flow;
	const struct sh_service *service;

	service = sh_service_find(env, control, sh_hash_own(control, &flow->destination), &flow->destination,
	                          flow->destination_port, flow->protocol);
	if (!service || service->family != flow->family)
		return SH_R_not_service;
	result->service = service->id;
	if (SH_UNLIKELY(service->flags & SH_SERVICE_INVITED_ONLY)) {
		if (!sh_invited(env, control, flow, service, &work->key))
			return SH_R_uninvited;
		result->popped = 1; /* in user space the guard holds such packets back, invited or not */
	}
	if (SH_UNLIKELY(work->passage.parsed.carrier == SH_CARRIER_CONTROL))
		result->popped = 1; /* and such, which might have been ours */
	sh_session_key(control, flow, service->id, &work->key);
	work->fresh = !sh_backend_known(env, &work->key);
	return SH_R_direct;
}

/* One packet, from its Ethernet header on. */
SH_INLINE struct sh_result sh_run(const struct sh_env *env, struct sh_frame *frame)
{
	const struct sh_control *control = sh_control(env);
	struct sh_result result = {0, 0, 0, 0, 0};
	struct sh_work *work = (struct sh_work *)sh_scratch(env);
	struct sh_parsed *p;
	u64 own_hash, entropy = 0;
	u32 own;
	u8 reason;

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

	p = &work->passage.parsed;
	work->stamp = (struct sh_stamp){0, 0, 0, {0}};
	work->fresh = 0;
	own_hash = sh_hash_own(control, &work->passage.parsed.flow.destination);
	own = sh_own_find(env, control, &work->passage.parsed.flow.destination, own_hash);
	if (own & SH_OWN_HOST && control->roles & SH_ROLE_BACKEND &&
	    sh_decap_wanted(frame, control, &work->passage.parsed)) {
		reason = sh_backend(env, frame, control, work, &result);
		p = &work->passage.inner;
		entropy = work->key.hash;
	} else if (own & SH_OWN_SERVICE && control->roles & SH_ROLE_GATEWAY && SH_END_AFTER != 2) {
		reason = sh_gateway_choose(env, frame, control, work, own_hash, &result, &entropy);
	} else if (own & SH_OWN_HOST && control->roles & SH_ROLE_BACKEND) {
		reason = sh_direct_parse(frame, control, &work->passage.parsed);
		if (reason == SH_GO_ON && SH_UNLIKELY(work->passage.parsed.carrier == SH_CARRIER_CONTROL))
			reason = sh_probed(env, frame, control, work, &result);
		if (reason == SH_GO_ON)
			reason = sh_direct(env, control, work, &result);
	} else {
		reason = SH_R_not_service;
	}
	if (work->fresh)
		sh_backend_note(env, work);
	result.reason = reason == SH_GO_ON ? sh_forward(env, frame, control, work, p, entropy, &result) : reason;
	return result;
}

#endif
