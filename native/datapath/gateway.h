/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * gateway.h - a client's packet to a service.
 *
 *     sh_gateway
 *       1  parse the transport; a later fragment goes where its first one went   parse.h, fragment.h
 *       2  ask for the bucket that the flow's session likely has                 insert.h
 *          read the signal, if there may be one, and find the service            read.h, choose.h
 *       3  a packet with a signal leaves this path for sh_gateway_signal: check,
 *          target, reply                                                         assign.h, reply.h
 *       4  find the session and with it the target; without one, choose          assign.h, choose.h
 *       5  where no target is left, refuse                                       refuse.h
 *
 * Owns: the order of these steps, and the reason for which a packet is refused.
 * Must never: encapsulate. SH_CONTINUE means that program.h forwards the packet to result->target.
 */
#ifndef SHUNT_DATAPATH_GATEWAY_H
#define SHUNT_DATAPATH_GATEWAY_H

#include "datapath/end_after.h"
#include "datapath/lookup/assign.h"
#include "datapath/lookup/choose.h"
#include "datapath/lookup/fragment.h"
#include "datapath/parse/parse.h"
#include "datapath/refuse.h"
#include "datapath/signal/failure_report.h"
#include "datapath/signal/read.h"
#include "datapath/signal/reply.h"
#include "datapath/work.h"

/* RFC 1122 3.2.1.3: is the source an address that no host can have? A reply to it would reach no host, or many. */
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

/* The signal in `work`: gets its reply, or leaves the header fields for the target in `work` (SH_CONTINUE: the packet is to be
 * forwarded). The check may have decided the target, or name the one that follows a failed one. */
SH_INLINE u8 sh_gateway_signal(const struct sh_env *env, struct sh_frame *frame, struct sh_work *work,
                               const struct sh_service *service, const struct sh_flow *flow, struct sh_result *result)
{
	struct sh_assignment assigned;
	u8 reason;

	work->env_copy = *env;
	reason = (u8)sh_signal_check(&work->env_copy, work, service);
	if (reason != SH_CONTINUE)
		return reason;
	if (work->signal.kind == SH_SIGNAL_FAILURE)
		sh_report_failure(&work->env_copy, work, service->id);
	assigned = work->assigned;
	if (!work->decided)
		assigned = sh_assign_target(env, &work->env_copy, &work->choice, service, flow, &work->key,
		                            assigned.target, &work->passage.parsed);
	if (!assigned.target && work->choice.deny)
		return SH_R_denied;
	result->target = assigned.target;
	result->reason = assigned.reason;
	if (work->signal.kind == SH_SIGNAL_FAILURE && work->assigned.target)
		result->reason = SH_R_forwarded_failed;
	work->assigned = assigned;
	reason = (u8)sh_signal_reply(sh_packet_of(frame), work, sh_signal_compose(&work->env_copy, work, service));
	sh_frame_refresh(frame);
	return reason;
}

/* A datagram that is chosen by itself: its checksum, which covers its payload, tells it from others of its flow. The same
 * datagram sent again goes to the same target. */
SH_INLINE void sh_gateway_salt(const struct sh_frame *frame, struct sh_parsed *p)
{
	const struct sh_udp *udp = (const struct sh_udp *)(frame->data + SH_OFFSET(p->l4));

	if (!p->icmp_error && (const u8 *)(udp + 1) <= frame->end)
		p->flow.salt = udp->checksum;
}

/* No target is to serve the packet, for the reason `why`, SH_R_no_target or SH_R_denied: it is refused or, where its service
 * or the rule that denies it says so, dropped in silence. */
SH_INLINE u8 sh_gateway_refuse(const struct sh_env *env, struct sh_frame *frame, struct sh_work *work,
                               const struct sh_service *service, u8 why)
{
	u32 answered;

	if (why == SH_R_denied ? work->choice.deny == SH_DENY_SILENT : service->flags & SH_SERVICE_REFUSES_SILENTLY)
		return why;
	work->env_copy = *env;
	answered = sh_refuse(sh_packet_of(frame), work, &work->env_copy);
	sh_frame_refresh(frame);
	return answered ? (u8)SH_R_refused : why;
}

SH_INLINE int sh_gateway_unserved(u8 reason)
{
	return reason == SH_R_no_target || reason == SH_R_denied;
}

/* Which target gets this packet? SH_CONTINUE: `result` names it, and *entropy is what the outer source port is made of. */
SH_INLINE u8 sh_gateway(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
                        struct sh_work *work, u64 own_hash, struct sh_result *result, u64 *entropy)
{
	struct sh_parsed *p = &work->passage.parsed;
	const struct sh_flow *flow = &p->flow;
	struct sh_session_key *key = &work->key;
	struct sh_session_work *sessions = sh_session_work_in(work);
	const struct sh_service *service;
	struct sh_assignment assigned;
	u16 guess;
	u8 reason;

	if (p->flow.family == SH_IPV4) {
		reason = sh_check_ipv4(frame, p);
		if (reason != SH_CONTINUE)
			return reason;
	}
	reason = sh_parse_transport(frame, p);
	if (reason != SH_CONTINUE)
		return reason;
	if (sh_source_bad(&p->flow))
		return SH_R_bad_source;
	if (SH_UNLIKELY(p->fragmentation == SH_FRAGMENT_LATER)) {
		*entropy = sh_fragment_key(control, p);
		result->reason = SH_R_forwarded_fragment;
		return sh_fragment_find(env, control, *entropy, &result->target, &result->service)
		               ? SH_CONTINUE
		               : (u8)SH_R_fragment_unknown;
	}
	guess = sh_session_ask_early(env, control, flow, sessions, key);
	work->signal.kind = SH_SIGNAL_NONE;
	if (SH_UNLIKELY(p->carrier)) {
		reason = (u8)sh_signal_read(sh_packet_of(frame), p, &work->signal, control->control_port,
		                            1u << SH_SIGNAL_CAPABILITY | 1u << SH_SIGNAL_FAILURE);
		if (reason != SH_CONTINUE)
			return reason;
		flow = sh_signal_flow(work);
	} else if (SH_UNLIKELY(p->flow.destination_port == control->control_port) && p->flow.protocol == SH_UDP &&
	           !p->icmp_error) {
		return SH_R_control_bad;
	}
	service = sh_service_find(env, control, own_hash, &p->flow.destination, flow->destination_port, flow->protocol);
	if (!service ||
	    service->family != p->flow.family) /* an IPv4-mapped address in an IPv6 packet is no service's */
		return flow == &p->flow ? (u8)SH_R_not_service_port : (u8)SH_R_control_not_service;
	if (!p->flow.source_port)
		return SH_R_bad_source;
	result->service = service->id;

	if (SH_END_AFTER == 3)
		return SH_R_not_service;
	if (SH_UNLIKELY(service->id != guess || flow != &p->flow)) {
		sessions->guess = service->id;
		sh_session_key(control, flow, service->id, key);
	}
	*entropy = key->hash;
	/* Tags are kept by this, and addresses of a prefix share a session, not a tag. */
	if (SH_UNLIKELY(service->address_length < 128))
		*entropy = sh_hash_address(key->hash, &flow->destination);
	if (SH_UNLIKELY(service->flags & SH_SERVICE_NO_SESSION))
		sh_gateway_salt(frame, p);
	if (SH_UNLIKELY(work->signal.kind)) {
		reason = sh_gateway_signal(env, frame, work, service, flow, result);
		return SH_UNLIKELY(sh_gateway_unserved(reason)) ? sh_gateway_refuse(env, frame, work, service, reason)
		                                                : reason;
	}
	assigned = SH_UNLIKELY(p->icmp_error)
	                   ? sh_assign_icmp_target(env, &work->env_copy, &work->choice, service, flow, key)
	                   : sh_assign_target(env, &work->env_copy, &work->choice, service, flow, key, 0, p);
	result->target = assigned.target;
	result->reason = assigned.reason;
	if (SH_UNLIKELY(!assigned.target))
		return sh_gateway_unserved(assigned.reason)
		               ? sh_gateway_refuse(env, frame, work, service, assigned.reason)
		               : assigned.reason;
	if (SH_UNLIKELY(p->fragmentation == SH_FRAGMENT_FIRST))
		sh_fragment_store(env, control, sh_fragment_key(control, p), assigned.target, service->id);
	return SH_CONTINUE;
}

#endif
