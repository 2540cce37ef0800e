/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * signal.h - a client's signal: capability, failure or probe (docs/protocol.md, section 3).
 *
 * A client that can redirect itself shows the capability, reports a failure, or probes a target. A signal travels alone, in a
 * control datagram (carrier/control.h), or with a packet of the application, as a UDP option (carrier/udp_option.h) or as a TCP
 * option on a SYN (carrier/tcp_option.h).
 *
 * Owns: a signal as it was read, whatever carried it.
 * Must never: trust a signal; ticket.h verifies it.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_SIGNAL_H
#define SHUNT_DATAPATH_SIGNAL_SIGNAL_H

#include "datapath/header.h"

/* Names our option among the experimental ones, of UDP (RFC 9868) and of TCP (RFC 6994). */
#define SH_EXID 0x5352

enum sh_signal_kind { SH_SIGNAL_NONE, SH_SIGNAL_CAPABILITY, SH_SIGNAL_FAILURE, SH_SIGNAL_PROBE };

struct sh_signal {
	struct sh_header header;
	struct sh_flow
		flow; /* of the service that is asked about: of a control datagram not the one that it travels in */
	u8 kind;      /* enum sh_signal_kind */
	u8 reserved;
	u16 keep;     /* bytes of the IP packet without its surplus area */
	u32 sequence; /* of a SYN, as it stands */
};

SH_INLINE void sh_signal_set_kind(struct sh_signal *signal)
{
	u8 type = signal->header.type;

	signal->kind = type == SH_T_CAPABILITY ? SH_SIGNAL_CAPABILITY
	               : type == SH_T_FAILURE  ? SH_SIGNAL_FAILURE
	               : type == SH_T_PROBE    ? SH_SIGNAL_PROBE
	                                       : SH_SIGNAL_NONE;
}

#endif
