/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * read.h - reads the signal of a client's packet, from the carrier that the parser found.
 *
 * Owns: which signals are accepted where, and every refusal.
 * Must never: have a packet dropped that is the application's. Only on the control port is an unreadable signal a refusal.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_READ_H
#define SHUNT_DATAPATH_SIGNAL_READ_H

#include "datapath/carrier/tcp_option.h"
#include "datapath/carrier/udp_option.h"
#include "datapath/signal/signal.h"
#include "datapath/work.h"

/* Reads what a packet that was parsed asks; `heard` is what is heard here, bits of enum sh_signal_kind. SH_CONTINUE, or why a control datagram to
 * the control port is refused. */
SH_STAGE_ALONE u32 sh_signal_read(sh_packet *packet, const struct sh_parsed *p, struct sh_signal *signal,
                                  u32 control_port, u32 accepted)
{
	struct sh_frame room, *frame;
	u8 refused;

	if (!packet || !p || !signal)
		return SH_R_table_missing;
	frame = sh_frame_of(packet, &room);
	signal->kind = SH_SIGNAL_NONE;
	signal->header.type = SH_T_CAPABILITY;
	signal->header.flags = 0;
	signal->header.hops = 0;
	signal->keep = p->ip_length;
	if (p->carrier == SH_CARRIER_SYN) {
		sh_tcp_option_read(frame, p, signal);
	} else if (p->carrier == SH_CARRIER_SURPLUS) {
		sh_udp_option_read(frame, p, signal);
	} else {
		refused = sh_control_read(frame, p, signal);
		if (refused == SH_CONTINUE && !(accepted >> (signal->kind & 3) & 1))
			refused = SH_R_header_type;
		if (refused != SH_CONTINUE && p->flow.destination_port == control_port)
			return refused;
		if (refused != SH_CONTINUE)
			signal->kind = SH_SIGNAL_NONE;
	}
	if (!(accepted >> (signal->kind & 3) & 1))
		signal->kind = SH_SIGNAL_NONE;
	/* Elsewhere than at the control port only that very service may be asked about: all else there is the application's. At a backend
	 * the port may be another than the service's, and the backend asks whether one listens there. */
	if (p->carrier == SH_CARRIER_CONTROL && p->flow.destination_port != control_port &&
	    signal->kind != SH_SIGNAL_PROBE &&
	    (signal->flow.destination_port != p->flow.destination_port || signal->flow.protocol != SH_UDP))
		signal->kind = SH_SIGNAL_NONE;
	return SH_CONTINUE;
}

#endif
