/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * backend.h - a packet of the tunnel, to this backend.
 *
 *     sh_backend
 *       1  verify the redirection header, its tag last                      geneve_decap.h
 *       2  store the redirect that its client gets in the reply             pending_redirect.h
 *       3  renew the session; one that another backend may know is relayed  record.h, choose.h
 *       4  copy a congestion mark inwards, set the port that the service has here, decapsulate
 *
 * Owns: the order of these steps, and the session records of a backend.
 * Must never: deliver a packet to the host's stack that step 1 has not verified.
 */
#ifndef SHUNT_DATAPATH_BACKEND_H
#define SHUNT_DATAPATH_BACKEND_H

#include "datapath/carrier/geneve_decap.h"
#include "datapath/lookup/assign.h"
#include "datapath/lookup/choose.h"
#include "datapath/session/insert.h"
#include "datapath/signal/pending_redirect.h"
#include "datapath/work.h"

/* Renews a backend's own record of a client: in the same table as a gateway's, with this host as the target. An ICMP error
 * renews nothing. Returns whether there is one. */
SH_INLINE int sh_backend_touch_session(const struct sh_env *env, const struct sh_session_key *key,
                                       const struct sh_parsed *p)
{
	union sh_session_value seen;
	struct sh_session4 *slot = sh_session_find(env, key, &seen);

	if (slot && seen.target && !p->icmp_error)
		sh_session_touch(slot, seen, (u32)(sh_now_ns(env) >> SH_TICK_SHIFT), p->marks);
	return slot != 0;
}

/* Makes the record of work->key, which sh_backend_touch_session has not found. */
SH_INLINE void sh_backend_insert_session(const struct sh_env *env, struct sh_work *work)
{
	union sh_session_value next = {0};

	next.last = (u32)(sh_now_ns(env) >> SH_TICK_SHIFT);
	next.target = SH_TARGET_LOCAL;
	work->env_copy = *env;
	sh_session_insert(&work->env_copy, &work->key, next.word);
}

/* Which backend may know a packet of a connection, or an error about one, that has no session here? Where a gateway compares the
 * loads of two rows, one that knows no session sends to the first; the connection may be the second's, or the other way round.
 * So it goes on to the one of the two that this host is not, once. 0: none. */
SH_INLINE u16 sh_backend_other_row(const struct sh_env *env, struct sh_frame *frame, struct sh_work *work,
                                   const struct sh_service *service)
{
	const struct sh_parsed *inner = &work->passage.inner;
	const struct sh_target *target;
	u32 index;

	if (work->header.hops || (!inner->icmp_error && !sh_parsed_continues(inner)))
		return 0;
	work->env_copy = *env;
	work->choice.by = SH_BY_OTHER_ROW;
	index = sh_choose(&work->env_copy, service, &inner->flow, &work->choice);
	target = index ? sh_target_at(env, index) : 0;
	if (!target)
		return 0;
	if (sh_addr_equal(&target->address, &work->header.address)) {
		work->choice.by = SH_BY_ROW;
		index = sh_choose(&work->env_copy, service, &inner->flow, &work->choice);
		target = index ? sh_target_at(env, index) : 0;
		if (!target || sh_addr_equal(&target->address, &work->header.address))
			return 0;
	}
	if (inner->flow.protocol != SH_TCP)
		return (u16)index;
	work->probed = inner->flow;
	work->probed.destination_port = work->header.port;
	return sh_socket_connected(env, frame, &work->probed) ? 0 : (u16)index;
}

/* A packet without a session here, of a backend that is draining or inactive, or that another one may know: relays it to
 * `given`, 0: to one chosen by the tables. SH_CONTINUE: the frame is decapsulated, work->passage.inner describes it, and the
 * header fields are set. SH_R_no_target: it is served here after all. Any other reason refuses the packet. */
SH_INLINE u8 sh_backend_relay(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
                              struct sh_work *work, const struct sh_service *service, u16 given,
                              struct sh_result *result)
{
	struct sh_parsed *inner = &work->passage.inner;
	const struct sh_target *target;
	u16 before = inner->l3 - (u16)sizeof(struct sh_ethernet);
	u8 epoch;

	work->choice.by = sh_parsed_continues(inner) ? SH_BY_ROW : SH_BY_LOADS;
	result->target = sh_choose_target(env, &work->env_copy, &work->choice, service, &inner->flow, given, &epoch);
	target = result->target ? sh_target_at(env, result->target) : 0;
	if (!target || !(target->flags & SH_TARGET_RESOLVED))
		return SH_R_no_target;
	if (work->header.hops >= control->max_hops)
		return SH_R_header_hops;
	work->fields.nonce = work->header.nonce;
	work->fields.flags = work->header.flags & SH_F_FAILURE;
	work->fields.hops = work->header.hops + 1;
	if (sh_decap(frame, inner))
		return SH_R_inner_bad;
	inner->l3 -= before;
	inner->l4 -= before;
	inner->ports -= inner->ports ? before : 0;
	result->reason = SH_R_forwarded_on;
	return SH_CONTINUE;
}

/* The header carries R and a nonce: the client gets the redirect in its next reply, if its datagram has a surplus area. */
SH_INLINE void sh_backend_store_redirect(const struct sh_env *env, const struct sh_frame *frame,
                                         const struct sh_work *work)
{
	const struct sh_parsed *inner = &work->passage.inner;
	const struct sh_udp *udp = (const struct sh_udp *)(frame->data + SH_OFFSET(inner->l4));
	u32 end = (u32)inner->l3 + inner->ip_length;

	if (inner->carrier != SH_CARRIER_SURPLUS || (const u8 *)(udp + 1) > frame->end)
		return;
	sh_pending_redirect_store(env, work->key.hash, &work->header, end - inner->l4 - sh_ntohs(udp->length),
	                          inner->ip_length);
}

/* SH_R_delivered: the frame is decapsulated, for the host's stack. SH_CONTINUE: it is decapsulated and to be forwarded. With
 * work->new_session, program.h makes the record afterwards. */
SH_STAGE u8 sh_backend(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
                       struct sh_work *work, struct sh_result *result)
{
	const struct sh_service *service = 0;
	const struct sh_parsed *inner = &work->passage.inner;
	u16 other;
	u8 reason;

	reason = sh_decap_verify(env, frame, control, &work->passage.parsed, &work->header, &work->passage.inner,
	                         &service);
	if (reason != SH_CONTINUE)
		return reason;
	if (service) {
		result->service = service->id;
		sh_session_key(control, &inner->flow, service->id, &work->key);
		if (work->header.nonce && work->header.flags & SH_F_REDIRECT && !inner->icmp_error)
			sh_backend_store_redirect(env, frame, work);
		if (!sh_backend_touch_session(env, &work->key, inner)) {
			other = sh_backend_other_row(env, frame, work, service);
			if (SH_UNLIKELY(other || (control->own_state != SH_ACTIVE && !inner->icmp_error))) {
				reason = sh_backend_relay(env, frame, control, work, service, other, result);
				if (reason != SH_R_no_target)
					return reason;
			}
			work->new_session = !inner->icmp_error && !(service->flags & SH_SERVICE_NO_SESSION);
		}
	}
	reason = sh_decap_congestion(frame, work->passage.parsed.tos, inner);
	if (reason != SH_CONTINUE)
		return reason;
	reason = sh_decap_port(frame, inner, work->header.port);
	if (reason != SH_CONTINUE)
		return reason;
	if (sh_decap(frame, inner))
		return SH_R_inner_bad;
	result->target = SH_TARGET_LOCAL;
	result->popped = 1;
	return SH_R_delivered;
}

#endif
