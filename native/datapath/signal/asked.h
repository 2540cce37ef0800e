/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * asked.h - what a gateway answers to a question: docs/protocol.md, section 6.
 *
 *     sh_asked_check      within the limits, and is a failure's ticket right?
 *       (program.h)       a capability's target is any packet's; a failure's is another one than failed
 *     sh_asked_answer     the redirect to it, in the form that the rule asks for: as a control datagram, a RST, or before the returned
 *                         packet; or a word to the target, which then tells the client in its reply
 *
 * Owns: who is answered how, and within which limits.
 * Must never: leave a packet unserved because its question can't be answered. Then it is forwarded, as any other.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_ASKED_H
#define SHUNT_DATAPATH_SIGNAL_ASKED_H

#include "datapath/lookup/assign.h"
#include "datapath/signal/limit.h"
#include "datapath/work.h"

/* The flow that is asked about: of a control datagram it is not the one that it travels in. */
SH_INLINE const struct sh_flow *sh_asked_flow(const struct sh_work *work)
{
	return work->passage.parsed.carrier == SH_CARRIER_CONTROL && work->question.asks ? &work->question.flow
	                                                                                 : &work->passage.parsed.flow;
}

/* The redirect. Without a target, or to one without terms: stay with the gateway, that is with the service's own address. */
SH_INLINE void sh_asked_header(const struct sh_env *env, const struct sh_control *control,
                               const struct sh_question *question, const struct sh_flow *flow,
                               const struct sh_target *target, int alternatives, struct sh_header *header)
{
	int failure = question->asks == SH_ASKS_FAILURE;
	const struct sh_target *other = 0;

	header->type = SH_T_REDIRECT;
	header->nonce = question->header.nonce;
	header->issued = sh_now_s(env, control);
	header->key_id = control->sign_key;
	header->hops = failure && question->header.hops < SH_HEADER_HOPS ? question->header.hops + 1 : 0;
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
	header->port = target->port;
	header->lease_s = target->lease_s;
	header->flags |=
		(target->header_flags & (SH_F_REDIRECT | SH_F_TERMS)) | (target->family == SH_IPV4 ? 0 : SH_F_IPV6);
	if (alternatives && target->alternative)
		other = sh_target_at(env, target->alternative);
	if (other && other->state == SH_ACTIVE && other->family == target->family) {
		header->alternative = other->address;
		header->alternative_port = other->port;
		header->flags |= SH_F_ALTERNATIVE;
	}
}

/* Is the question to be heard? SH_GO_ON, or the reason against it. A failure without a right ticket becomes a capability. In
 * work->assigned: the target that a failure leads to, and what needs no session. */
SH_STAGE_ALONE u32 sh_asked_check(const struct sh_env *handed, struct sh_work *work, const struct sh_service *service)
{
	struct sh_question *question;
	const struct sh_flow *flow;
	int asked_only;
	struct sh_choice choice = {0, 0, 0, 0, 0};
	struct sh_env env;
	u32 other = 0;

	if (!handed || !work || !service || sh_env_again(handed, &env))
		return SH_R_table_missing;
	question = &work->question;
	flow = sh_asked_flow(work);
	asked_only = work->passage.parsed.carrier == SH_CARRIER_CONTROL;
	if (!sh_control(&env)->sign.valid)
		return SH_R_table_missing;
	if (!sh_addr_equal(&flow->destination, &work->passage.parsed.flow.destination))
		return SH_R_control_not_service; /* it asks at another's address */
	if (asked_only && !sh_limit(&env, sh_control(&env), &flow->source))
		return SH_R_limited;
	if (question->asks == SH_ASKS_FAILURE &&
	    sh_ticket_check(&env, sh_control(&env), &question->header, flow) != SH_GO_ON)
		question->asks = SH_ASKS_CAPABILITY;
	if (question->asks == SH_ASKS_CAPABILITY)
		question->header.hops = 0;
	/* A question about a connection is none of its packets; and where nobody is left, nobody is to be named. */
	work->settled = asked_only && flow->protocol != SH_UDP;
	if (work->settled || question->asks == SH_ASKS_FAILURE)
		other = sh_choose(handed, service, flow, &choice);
	if (question->asks == SH_ASKS_FAILURE) {
		other = question->header.hops < SH_HEADER_HOPS
		                ? sh_choose_other(handed, choice.redirection, &flow->source, &question->header,
		                                  question->header.hops)
		                : 0;
		work->settled |= asked_only && !other;
	}
	work->assigned.target = (u16)other;
	work->assigned.reason = SH_R_forwarded_failed;
	return SH_GO_ON;
}

/* By which form the question in `work`, whose target is there too, is answered: the payload is then in work->answer. SH_SAID_NOTHING:
 * the packet is to be forwarded, with the stamp in `work`. */
enum sh_said { SH_SAID_NOTHING, SH_SAID_DATAGRAM, SH_SAID_RESET, SH_SAID_RETURN };

SH_STAGE_ALONE u32 sh_asked_say(const struct sh_env *handed, struct sh_work *work, const struct sh_service *service)
{
	const struct sh_control *control;
	const struct sh_question *question;
	const struct sh_parsed *p;
	const struct sh_flow *flow;
	const struct sh_target *target;
	struct sh_env env;
	u32 said = SH_SAID_DATAGRAM;
	int asked_only;

	if (!handed || !work || !service || sh_env_again(handed, &env))
		return SH_SAID_NOTHING;
	control = sh_control(&env);
	question = &work->question;
	p = &work->passage.parsed;
	flow = sh_asked_flow(work);
	target = work->assigned.target ? sh_target_at(&env, work->assigned.target) : 0;
	asked_only = p->carrier == SH_CARRIER_CONTROL;
	/* Those alone that are limited: whoever forges sources must not fill the table for an hour. */
	if (asked_only && target && target->header_flags & SH_F_LEASED && flow->protocol == SH_UDP)
		sh_session_hold(&env, &work->key, service, target->lease_s);
	if (!asked_only) {
		if (!target || !(target->header_flags & SH_F_REDIRECT) || target->answer == SH_ANSWER_FORWARD)
			return SH_SAID_NOTHING;
		work->stamp.nonce = question->header.nonce;
		work->stamp.flags = question->asks == SH_ASKS_FAILURE ? SH_F_FAILURE : 0;
		if (target->answer == SH_ANSWER_FORWARD_INDICATE || question->asks == SH_ASKS_FAILURE)
			return SH_SAID_NOTHING;
		/* Who has made room is willing to send its datagram once more. */
		if (p->carrier == SH_CARRIER_SURPLUS && (u32)p->ip_length < (u32)question->keep + SH_WILLING_BYTES)
			return SH_SAID_NOTHING;
		if (!sh_limit(&env, control, &flow->source))
			return SH_SAID_NOTHING;
		if (p->carrier == SH_CARRIER_SYN)
			said = SH_SAID_RESET;
		else if (target->answer == SH_ANSWER_RETURN)
			said = SH_SAID_RETURN;
	}
	sh_asked_header(&env, control, question, flow, target, asked_only, &work->header);
	if (said == SH_SAID_RETURN)
		work->header.flags |= SH_F_PACKET;
	sh_answer_compose(handed, &work->answer, &work->header, flow, said != SH_SAID_RESET);
	return said;
}

/* Says it, about the target in work->assigned. SH_GO_ON: nothing is said here, or it would be longer than what it answers, and the
 * packet is to be forwarded. Every pointer into the packet is void afterwards. */
SH_STAGE_ALONE u32 sh_asked_answer(sh_packet *packet, struct sh_work *work, u32 said)
{
	const struct sh_parsed *p;
	struct sh_frame room, *frame;

	if (!packet || !work)
		return SH_R_table_missing;
	p = &work->passage.parsed;
	if (!work->assigned.target && p->carrier != SH_CARRIER_CONTROL)
		return work->assigned.reason;
	if (said == SH_SAID_NOTHING)
		return SH_GO_ON;
	frame = sh_frame_of(packet, &room);
	if (said == SH_SAID_RETURN)
		return sh_answer_return(frame, p, &work->answer, work->question.keep) ? SH_GO_ON : (u32)SH_R_returned;
	if (said == SH_SAID_RESET)
		return sh_answer_reset(frame, p, &work->answer, work->question.sequence) ? SH_GO_ON
		                                                                         : (u32)SH_R_indicated;
	if (sh_answer_datagram(frame, p, &work->answer))
		return p->carrier == SH_CARRIER_CONTROL ? (u32)SH_R_control_bad : SH_GO_ON;
	if (p->carrier != SH_CARRIER_CONTROL)
		return SH_R_indicated;
	if (work->question.asks == SH_ASKS_PROBE)
		return SH_R_answered_probe;
	return work->question.asks == SH_ASKS_FAILURE ? SH_R_answered_failure : SH_R_answered;
}

#endif
