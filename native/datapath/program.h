/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * program.h - the packet program: a received packet from its Ethernet header to its reason.
 *
 *     sh_run
 *       1  is the frame for this host? parse the link and the IP header   station.h, parse.h
 *       2  is the destination an address of ours? most packets leave here
 *       3  a packet of the tunnel, to this backend                   backend.h
 *          a client's packet, to a service of this gateway           gateway.h
 *          a redirected client's packet, to this backend             direct.h
 *       4  make the session record that step 3 asks for
 *       5  sh_forward: does it fit the link? encapsulate             oversize.h, too_big.h, geneve_encap.h
 *
 * A packet that a backend sends takes a shorter path: egress.h.
 *
 * Owns: the dispatch, and the forwarding of a packet whose target is known.
 * Must never: know which engine runs it, count (the engine counts the reason, once, after it has tried to transmit), or wait.
 */
#ifndef SHUNT_DATAPATH_PROGRAM_H
#define SHUNT_DATAPATH_PROGRAM_H

#include "datapath/backend.h"
#include "datapath/carrier/geneve_encap.h"
#include "datapath/direct.h"
#include "datapath/end_after.h"
#include "datapath/gateway.h"
#include "datapath/lookup/choose.h"
#include "datapath/oversize.h"
#include "datapath/parse/parse.h"
#include "datapath/parse/station.h"
#include "datapath/too_big.h"
#include "datapath/work.h"

/* Encapsulates the packet `p` for result->target. Returns result->reason, or the reason why it is not forwarded. */
SH_INLINE u8 sh_forward(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
                        struct sh_work *work, struct sh_parsed *p, u64 entropy, struct sh_result *result)
{
	const struct sh_target *target = sh_target_at(env, result->target);
	u32 room;
	u8 failed;

	if (!target)
		return SH_R_no_target;
	room = (u32)target->mtu - sh_geneve_overhead(target->family);
	if (SH_UNLIKELY((u32)p->ip_length > room)) {
		if (result->reason != SH_R_forwarded_on && target->flags & SH_TARGET_RESOLVED && control->sign.valid) {
			work->env_copy = *env;
			failed = (u8)sh_oversize(sh_packet_of(frame), work, room);
			sh_frame_refresh(frame);
			if (failed)
				return SH_R_fragmented;
		}
		return sh_too_big(frame, p, (u16)room);
	}
	if (SH_END_AFTER == 6)
		return SH_R_not_service;
	/* A later fragment does not say its port, and a header without one is none. */
	if (SH_UNLIKELY(!target->port))
		work->fields.port = p->flow.destination_port ? p->flow.destination_port : sh_htons(1);
	result->ifindex = target->ifindex;
	failed = sh_encap(env, frame, control, target, result->target, p, &work->header, entropy, &work->fields);
	return failed == SH_CONTINUE ? result->reason : failed;
}

/* A fragment of a datagram that left by SH_R_fragmented: encapsulates it for the datagram's target. Returns that reason, or why
 * it is not forwarded. */
SH_INLINE u8 sh_forward_fragment(const struct sh_env *env, struct sh_frame *frame, struct sh_work *work, u32 index)
{
	const struct sh_control *control = sh_control(env);
	const struct sh_target *target = control ? sh_target_at(env, index) : 0;
	struct sh_parsed *p = &work->passage.parsed;
	u8 failed;

	if (!target)
		return SH_R_no_target;
	if (sh_parse_link(frame, p) != SH_CONTINUE || sh_parse_ip(frame, p) != SH_CONTINUE)
		return SH_R_truncated;
	p->flow.protocol = p->protocol;
	work->fields = (struct sh_packet_fields){0, 0, 0, 0, {0}};
	if (!target->port)
		work->fields.port = sh_htons(1); /* as of a later fragment */
	failed = sh_encap(env, frame, control, target, (u16)index, p, &work->header, sh_fragment_key(control, p),
	                  &work->fields);
	return failed == SH_CONTINUE ? (u8)SH_R_fragmented : failed;
}

/* One packet, from its Ethernet header on. `result` is all zeros, and not on the stack, which BPF has little of. */
SH_INLINE void sh_dispatch(const struct sh_env *env, struct sh_frame *frame, struct sh_work *work,
                           struct sh_result *result)
{
	const struct sh_control *control = sh_control(env);
	struct sh_parsed *p = &work->passage.parsed;
	u64 own_hash, entropy = 0;
	u32 own;
	u8 reason;

	if (!control) {
		result->reason = SH_R_table_missing;
		return;
	}
	result->reason = sh_station_check(env, &work->env_copy, frame, control);
	if (result->reason == SH_CONTINUE)
		result->reason = sh_parse_link(frame, p);
	if (result->reason == SH_CONTINUE)
		result->reason = sh_parse_ip(frame, p);
	if (SH_END_AFTER == 1)
		result->reason = SH_R_not_service;
	if (result->reason != SH_CONTINUE)
		return;

	work->fields = (struct sh_packet_fields){0, 0, 0, 0, {0}};
	work->new_session = 0;
	own_hash = sh_hash_own(control, &p->flow.destination);
	own = sh_own_find(env, control, &p->flow.destination, own_hash);
	if (own & SH_OWN_HOST && control->roles & SH_ROLE_BACKEND && sh_is_tunnel_packet(frame, control, p)) {
		reason = sh_backend(env, frame, control, work, result);
		p = &work->passage.inner;
		entropy = work->key.hash;
	} else if (own & SH_OWN_SERVICE && control->roles & SH_ROLE_GATEWAY && SH_END_AFTER != 2) {
		reason = sh_gateway(env, frame, control, work, own_hash, result, &entropy);
	} else if (own & SH_OWN_HOST && control->roles & SH_ROLE_BACKEND) {
		reason = sh_direct(env, frame, control, work, result);
	} else {
		reason = SH_R_not_service;
	}
	if (work->new_session)
		sh_backend_insert_session(env, work);
	result->reason = reason == SH_CONTINUE ? sh_forward(env, frame, control, work, p, entropy, result) : reason;
}

/* The same, with the result in the scratch memory, where a capture reads it, and returned. */
SH_INLINE struct sh_result sh_run(const struct sh_env *env, struct sh_frame *frame)
{
	struct sh_work *work = (struct sh_work *)sh_scratch(env);

	if (!work)
		return (struct sh_result){SH_R_table_missing, 0, 0, 0, 0};
	work->passage.length = sh_length(frame);
	work->passage.result = (struct sh_result){0, 0, 0, 0, 0};
	sh_dispatch(env, frame, work, &work->passage.result);
	return work->passage.result;
}

#endif
