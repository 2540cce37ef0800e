/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * direct.h - a redirected client's packet, straight to this backend's own address.
 *
 *     sh_direct
 *       1  parse the transport                                               parse.h
 *       2  a control datagram may be a path probe, which is answered         probe.h
 *       3  find the service by the port that it has here; is the client invited? renew the session
 *
 * Owns: the order of these steps.
 * Must never: change a packet that it leaves to the host's stack, or drop one that is no service's: that is traffic of the
 * host's own, whatever is wrong with it.
 */
#ifndef SHUNT_DATAPATH_DIRECT_H
#define SHUNT_DATAPATH_DIRECT_H

#include "datapath/backend.h"
#include "datapath/gateway.h"
#include "datapath/signal/invitation.h"
#include "datapath/signal/probe.h"

/* SH_R_not_service: the packet is left to the host's stack. */
SH_STAGE u8 sh_direct_parse(const struct sh_frame *frame, const struct sh_control *control, struct sh_parsed *p)
{
	const struct sh_flow *flow = &p->flow;

	if (flow->family == SH_IPV4 && sh_check_ipv4(frame, p) != SH_CONTINUE)
		return SH_R_not_service;
	if (sh_parse_transport(frame, p) != SH_CONTINUE || p->icmp_error || p->fragmentation == SH_FRAGMENT_LATER ||
	    !flow->source_port || sh_source_bad(flow))
		return SH_R_not_service;
	if (flow->protocol == SH_UDP && flow->destination_port == control->tunnel_port)
		return SH_R_not_service; /* a tunnel packet in fragments or behind extension headers: no gateway sends one */
	return SH_CONTINUE;
}

/* Step 3. Without a session, work->new_session asks program.h to make one. */
SH_STAGE u8 sh_direct_session(const struct sh_env *env, const struct sh_control *control, struct sh_work *work,
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
		result->popped =
			1; /* in user space the guard drops such packets before the stack, so this one is injected */
	}
	if (SH_UNLIKELY(work->passage.parsed.carrier == SH_CARRIER_CONTROL))
		result->popped = 1; /* the guard drops control datagrams as well */
	sh_session_key(control, flow, service->id, &work->key);
	work->new_session = !(service->flags & SH_SERVICE_NO_SESSION) &&
	                    !sh_backend_touch_session(env, &work->key, &work->passage.parsed);
	return SH_R_direct;
}

SH_INLINE u8 sh_direct(const struct sh_env *env, struct sh_frame *frame, const struct sh_control *control,
                       struct sh_work *work, struct sh_result *result)
{
	u8 reason = sh_direct_parse(frame, control, &work->passage.parsed);

	if (reason == SH_CONTINUE && SH_UNLIKELY(work->passage.parsed.carrier == SH_CARRIER_CONTROL))
		reason = sh_probe(env, frame, control, work, result);
	if (reason == SH_CONTINUE)
		reason = sh_direct_session(env, control, work, result);
	return reason;
}

#endif
