/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * reply.h - a gateway's reply to a capability or a failure (docs/protocol.md, section 6).
 *
 *     sh_signal_check     is the signal within the limits, and a failure's ticket valid?
 *       (gateway.h)      a capability gets the target of the session; a failure gets another target than the failed one
 *     sh_signal_compose       composes the redirect to it, in the form that the rule names: a control datagram, a RST, or the returned
 *                        packet; or sets the header fields by which the target redirects the client in its reply
 *     sh_signal_reply    writes it into the frame
 *
 * Owns: which signal gets which reply.
 * Must never: leave a packet unserved because its signal can't be answered. Such a packet is forwarded as any other.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_REPLY_H
#define SHUNT_DATAPATH_SIGNAL_REPLY_H

#include "datapath/carrier/control.h"
#include "datapath/carrier/tcp_reset.h"
#include "datapath/carrier/udp_option.h"
#include "datapath/lookup/assign.h"
#include "datapath/signal/rate_limit.h"
#include "datapath/work.h"

/* The flow that is asked about: of a control datagram it is not the one that it travels in. */
SH_INLINE const struct sh_flow *sh_signal_flow(const struct sh_work *work)
{
	return work->passage.parsed.carrier == SH_CARRIER_CONTROL && work->signal.kind ? &work->signal.flow
	                                                                               : &work->passage.parsed.flow;
}

/* The redirect. Without a target, or to one without terms: stay with the gateway, that is with the service's own address. */
SH_INLINE void sh_signal_redirect(const struct sh_env *env, const struct sh_control *control,
                                  const struct sh_signal *signal, const struct sh_flow *flow,
                                  const struct sh_target *target, struct sh_header *header)
{
	int failure = signal->kind == SH_SIGNAL_FAILURE;

	header->type = SH_T_REDIRECT;
	header->nonce = signal->header.nonce;
	header->issued = sh_now_s(env, control);
	header->key_id = control->sign_key;
	header->hops = failure && signal->header.hops < SH_HEADER_HOPS ? signal->header.hops + 1 : 0;
	header->flags = failure ? SH_F_FAILURE : 0;
	header->lease_s = 0;
	header->alternative.d[0] = header->alternative.d[1] = 0;
	header->alternative_port = 0;
	if (!target || !(target->header_flags & SH_F_REDIRECT)) {
		header->address = flow->destination;
		header->port = flow->destination_port;
		header->flags |= flow->family == SH_IPV4 ? 0 : SH_F_IPV6;
		return;
	}
	header->address = target->address;
	header->port = target->port ? target->port : flow->destination_port;
	header->lease_s = target->lease_s;
	header->flags |=
		(target->header_flags & (SH_F_REDIRECT | SH_F_TERMS)) | (target->family == SH_IPV4 ? 0 : SH_F_IPV6);
}

SH_INLINE int sh_signal_reports(const struct sh_signal *signal, const struct sh_target *target, be16 port)
{
	return (target->port ? target->port : port) == signal->header.port &&
	       sh_addr_equal(&target->address, &signal->header.address);
}

/* The alternative of the redirect in work->header to `target` (0: none). After a failure it is the target that a failure of this
 * one leads to; where that would be the one that the ticket names, the next one behind it. */
SH_INLINE void sh_signal_alternative(const struct sh_env *env, const struct sh_env *env_copy, struct sh_work *work,
                                     const struct sh_flow *flow, const struct sh_target *target)
{
	struct sh_header *header = &work->header;
	const struct sh_signal *signal = &work->signal;
	u32 of = work->choice.redirection, index = 0;
	const struct sh_target *other;

	if (!target || !(header->flags & SH_F_REDIRECT))
		return;
	if (signal->kind != SH_SIGNAL_FAILURE)
		index = target->alternative;
	else if (header->hops < SH_HEADER_HOPS)
		index = sh_choose_other(env_copy, of, &flow->source, header, header->hops);
	other = index ? sh_target_at(env, index) : 0;
	if (other && signal->kind == SH_SIGNAL_FAILURE && sh_signal_reports(signal, other, header->port)) {
		index = sh_choose_other(env_copy, of, &flow->source, &signal->header, header->hops);
		other = index ? sh_target_at(env, index) : 0;
	}
	if (!other || other->state != SH_ACTIVE || other->family != target->family)
		return;
	header->alternative = other->address;
	header->alternative_port = other->port ? other->port : flow->destination_port;
	header->flags |= SH_F_ALTERNATIVE;
}

/* Is the question to be heard? SH_CONTINUE, or the reason against it. A failure without a right ticket becomes a capability. In
 * work->assigned: the target that a failure leads to, and what needs no session. */
SH_STAGE_ALONE u32 sh_signal_check(const struct sh_env *env_copy, struct sh_work *work,
                                   const struct sh_service *service)
{
	struct sh_signal *signal;
	const struct sh_flow *flow;
	int control_datagram;
	struct sh_env env;
	u32 other = 0;

	if (!env_copy || !work || !service || sh_env_restore(env_copy, &env))
		return SH_R_table_missing;
	signal = &work->signal;
	flow = sh_signal_flow(work);
	control_datagram = work->passage.parsed.carrier == SH_CARRIER_CONTROL;
	if (!sh_control(&env)->sign.valid)
		return SH_R_table_missing;
	if (!sh_addr_equal(&flow->destination, &work->passage.parsed.flow.destination))
		return SH_R_control_not_service; /* it names another address than its own destination */
	if (control_datagram && !sh_rate_limit_allow(&env, sh_control(&env), &flow->source))
		return SH_R_limited;
	if (signal->kind == SH_SIGNAL_FAILURE &&
	    sh_ticket_check(&env, sh_control(&env), &signal->header, flow) != SH_CONTINUE)
		signal->kind = SH_SIGNAL_CAPABILITY;
	if (signal->kind == SH_SIGNAL_CAPABILITY)
		signal->header.hops = 0;
	/* A control datagram about a TCP service makes no session; and if no target remains, the redirect is sent without R. */
	work->decided = control_datagram && flow->protocol != SH_UDP;
	work->choice.by = SH_BY_LOADS;
	if (work->decided || signal->kind == SH_SIGNAL_FAILURE)
		other = sh_choose(env_copy, service, flow, &work->choice);
	if (signal->kind == SH_SIGNAL_FAILURE) {
		other = signal->header.hops < SH_HEADER_HOPS
		                ? sh_choose_other(env_copy, work->choice.redirection, &flow->source, &signal->header,
		                                  signal->header.hops)
		                : 0;
		work->decided |= control_datagram && !other;
	}
	work->assigned.target = (u16)other;
	work->assigned.reason = SH_R_forwarded_failed;
	return SH_CONTINUE;
}

/* By which form the question in `work`, whose target is there too, is answered: the payload is then in work->reply. SH_REPLY_NONE:
 * the packet is to be forwarded, with the stamp in `work`. */
enum sh_reply_form { SH_REPLY_NONE, SH_REPLY_DATAGRAM, SH_REPLY_RESET, SH_REPLY_RETURN };

SH_STAGE_ALONE u32 sh_signal_compose(const struct sh_env *env_copy, struct sh_work *work,
                                     const struct sh_service *service)
{
	const struct sh_control *control;
	const struct sh_signal *signal;
	const struct sh_parsed *p;
	const struct sh_flow *flow;
	const struct sh_target *target;
	struct sh_env env;
	u32 form = SH_REPLY_DATAGRAM;
	int control_datagram;

	if (!env_copy || !work || !service || sh_env_restore(env_copy, &env))
		return SH_REPLY_NONE;
	control = sh_control(&env);
	signal = &work->signal;
	p = &work->passage.parsed;
	flow = sh_signal_flow(work);
	target = work->assigned.target ? sh_target_at(&env, work->assigned.target) : 0;
	control_datagram = p->carrier == SH_CARRIER_CONTROL;
	/* Only for rate-limited signals: forged sources must not fill the session table for an hour. */
	if (control_datagram && target && target->header_flags & SH_F_LEASED && flow->protocol == SH_UDP)
		sh_session_extend(&env, &work->key, service, target->lease_s);
	if (!control_datagram) {
		if (!target || !(target->header_flags & SH_F_REDIRECT) || target->answer == SH_ANSWER_FORWARD)
			return SH_REPLY_NONE;
		work->fields.nonce = signal->header.nonce;
		work->fields.flags = signal->kind == SH_SIGNAL_FAILURE ? SH_F_FAILURE : 0;
		if (target->answer == SH_ANSWER_FORWARD_INDICATE || signal->kind == SH_SIGNAL_FAILURE)
			return SH_REPLY_NONE;
		/* A client that has left room for the reply is willing to send its datagram once more. */
		if (p->carrier == SH_CARRIER_SURPLUS && (u32)p->ip_length < (u32)signal->keep + SH_RETRY_SURPLUS_BYTES)
			return SH_REPLY_NONE;
		if (!sh_rate_limit_allow(&env, control, &flow->source))
			return SH_REPLY_NONE;
		if (p->carrier == SH_CARRIER_SYN)
			form = SH_REPLY_RESET;
		else if (target->answer == SH_ANSWER_RETURN)
			form = SH_REPLY_RETURN;
	}
	sh_signal_redirect(&env, control, signal, flow, target, &work->header);
	if (control_datagram)
		sh_signal_alternative(&env, env_copy, work, flow, target);
	if (form == SH_REPLY_RETURN)
		work->header.flags |= SH_F_PACKET;
	sh_control_compose(env_copy, &work->reply, &work->header, flow, form != SH_REPLY_RESET);
	return form;
}

/* Says it, about the target in work->assigned. SH_CONTINUE: nothing is said here, or it would be longer than what it answers, and the
 * packet is to be forwarded. Every pointer into the packet is void afterwards. */
SH_STAGE_ALONE u32 sh_signal_reply(sh_packet *packet, struct sh_work *work, u32 form)
{
	const struct sh_parsed *p;
	struct sh_frame room, *frame;

	if (!packet || !work)
		return SH_R_table_missing;
	p = &work->passage.parsed;
	if (!work->assigned.target && p->carrier != SH_CARRIER_CONTROL)
		return work->assigned.reason;
	if (form == SH_REPLY_NONE)
		return SH_CONTINUE;
	frame = sh_frame_of(packet, &room);
	if (form == SH_REPLY_RETURN)
		return sh_control_return(frame, p, &work->reply, work->signal.keep) ? SH_CONTINUE : (u32)SH_R_returned;
	if (form == SH_REPLY_RESET)
		return sh_tcp_reset(frame, p, &work->reply, work->signal.sequence) ? SH_CONTINUE : (u32)SH_R_indicated;
	if (sh_control_reply(frame, p, &work->reply))
		return p->carrier == SH_CARRIER_CONTROL ? (u32)SH_R_control_bad : SH_CONTINUE;
	if (p->carrier != SH_CARRIER_CONTROL)
		return SH_R_indicated;
	if (work->signal.kind == SH_SIGNAL_PROBE)
		return SH_R_answered_probe;
	return work->signal.kind == SH_SIGNAL_FAILURE ? SH_R_answered_failure : SH_R_answered;
}

#endif
