/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * probe.h - a backend's reply to a path probe of a redirected client (docs/protocol.md, section 7).
 *
 * Owns: when a probe is valid, and its reply.
 * Must never: reply with more bytes than the probe has.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_PROBE_H
#define SHUNT_DATAPATH_SIGNAL_PROBE_H

#include "datapath/carrier/control.h"
#include "datapath/signal/invitation.h"
#include "datapath/signal/rate_limit.h"
#include "datapath/signal/read.h"
#include "datapath/signal/reply.h"
#include "datapath/work.h"

/* Checks the probe in work->signal, which is about a service and an address of this host's (sh_probe), and whose header then
 * becomes its answer's. SH_CONTINUE, or the reason of a refusal. */
SH_STAGE_ALONE u32 sh_probe_check(const struct sh_env *env_copy, struct sh_work *work)
{
	const struct sh_control *control;
	const struct sh_flow *flow;
	struct sh_header *header;
	struct sh_env env;
	u8 wrong;

	if (!env_copy || !work || sh_env_restore(env_copy, &env))
		return SH_R_table_missing;
	control = sh_control(&env);
	header = &work->signal.header;
	flow = &work->signal.flow;
	if (!sh_rate_limit_allow(&env, control, &flow->source))
		return SH_R_limited;
	wrong = sh_ticket_check(&env, control, header, flow);
	if (wrong != SH_CONTINUE)
		return wrong;
	work->ticket_left_s = sh_ticket_left(&env, control, header);
	header->type = SH_T_PROBE_ACK;
	header->flags &= SH_F_REDIRECT | SH_F_TERMS | SH_F_IPV6;
	header->hops = 0;
	header->issued = sh_now_s(&env, control);
	header->key_id = control->sign_key;
	return SH_CONTINUE;
}

/* A control datagram to a backend's own address: to the control port, or to one where a service listens. SH_CONTINUE: it is no
 * signal of ours, and treated as any other datagram. */
SH_STAGE u8 sh_probe(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
                     struct sh_work *work, struct sh_result *result)
{
	const struct sh_flow *flow = &work->passage.parsed.flow;
	u64 own_hash = sh_hash_own(control, &flow->destination);
	const struct sh_service *service;
	u8 reason;

	reason = (u8)sh_signal_read(sh_packet_of(frame), &work->passage.parsed, &work->signal, control->control_port,
	                            1u << SH_SIGNAL_PROBE);
	if (reason != SH_CONTINUE)
		return reason;
	if (flow->destination_port != control->control_port &&
	    !sh_service_find(env, control, own_hash, &flow->destination, flow->destination_port, SH_UDP) &&
	    !sh_service_find(env, control, own_hash, &flow->destination, flow->destination_port, SH_TCP))
		return SH_CONTINUE;
	if (work->signal.kind != SH_SIGNAL_PROBE)
		return flow->destination_port == control->control_port ? (u8)SH_R_header_type : SH_CONTINUE;
	if (!control->sign.valid)
		return SH_R_table_missing;
	if (!sh_service_find(env, control, sh_hash_own(control, &work->signal.flow.destination),
	                     &work->signal.flow.destination, work->signal.flow.destination_port,
	                     work->signal.flow.protocol))
		return SH_R_control_not_service;
	own_hash = sh_hash_own(control, &work->signal.header.address);
	if (!(sh_own_find(env, control, &work->signal.header.address, own_hash) & SH_OWN_HOST))
		return SH_R_header_elsewhere;
	work->env_copy = *env;
	reason = (u8)sh_probe_check(&work->env_copy, work);
	if (reason != SH_CONTINUE)
		return reason;
	own_hash = sh_hash_own(control, &work->signal.header.address);
	service = sh_service_find(env, control, own_hash, &work->signal.header.address, work->signal.header.port,
	                          work->signal.flow.protocol);
	/* The flow as the redirected client would send it to this address and port. */
	work->probed = work->signal.flow;
	work->probed.destination = work->signal.header.address;
	work->probed.destination_port = work->signal.header.port;
	if (!sh_socket_listens(env, frame, &work->probed)) {
		result->popped = 1; /* in user space the guard drops control datagrams before the stack */
		return SH_R_probe_unserved;
	}
	if (service) {
		result->service = service->id;
		if (service->flags & SH_SERVICE_INVITED_ONLY) {
			sh_invitation_key(control, flow, service->id, &work->key);
			sh_invite(env, service, work);
		}
	}
	sh_control_compose(&work->env_copy, &work->reply, &work->signal.header, &work->signal.flow, 1);
	work->assigned.target = SH_TARGET_LOCAL;
	reason = (u8)sh_signal_reply(sh_packet_of(frame), work, SH_REPLY_DATAGRAM);
	sh_frame_refresh(frame);
	return reason;
}

#endif
