/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * tcp_option.h - the capability as a TCP option on a SYN (docs/protocol.md, 4.4; RFC 6994).
 *
 * Owns: kind, ExID and length of the option, and the walk over a SYN's options.
 * Must never: have a SYN dropped. An option that can't be read is ignored.
 */
#ifndef SHUNT_DATAPATH_CARRIER_TCP_OPTION_H
#define SHUNT_DATAPATH_CARRIER_TCP_OPTION_H

#include "datapath/parse/parse.h"
#include "datapath/signal/signal.h"

/* TCP's shared experimental option (RFC 6994). */
enum {
	SH_TCP_EXPERIMENT = 254,
	SH_TCP_CAPABILITY = 14, /* bytes of the option */
};

/* Of a surplus area, as it is read: the longest header, and the room that its sender leaves for an answer. */
#define SH_SURPLUS_BYTES 192
/* A client whose surplus area is at least so long is willing to be answered by the gateway itself: the shortest option, and 100 bytes. */
#define SH_RETRY_SURPLUS_BYTES (6 + SH_HEADER_V4 + 100)
/* Options that are walked on a SYN. */
#define SH_TCP_OPTIONS 12

/* Is it ours? Then it is read, if it is a capability. */
SH_INLINE int sh_tcp_option_is_ours(const struct sh_frame *frame, const u8 *option, struct sh_signal *signal)
{
	if (option + SH_TCP_CAPABILITY > frame->end || sh_load16(option + 2) != sh_htons(SH_EXID))
		return 0;
	if (option[4] == (SH_HEADER_VERSION << 4 | SH_T_CAPABILITY) && !option[5]) {
		signal->header.nonce = __builtin_bswap64(sh_header_get64(option + 6));
		signal->kind = SH_SIGNAL_CAPABILITY;
	}
	return 1;
}

/* 4.4. A capability that is zero but for its nonce. */
SH_INLINE void sh_tcp_option_read(const struct sh_frame *frame, const struct sh_parsed *p, struct sh_signal *signal)
{
	const struct sh_tcp *tcp = (const struct sh_tcp *)(frame->data + SH_OFFSET(p->l4));
	const u8 *options = (const u8 *)(tcp + 1);
	u32 length, at = 0, i;

	if (options > frame->end)
		return;
	length = ((u32)(tcp->offset >> 4) - 5) * 4 & 63;
	signal->sequence = tcp->sequence;
	/* The mask says nothing that is not so: but the BPF verifier then follows each round no more than once. */
	for (i = 0; i < SH_TCP_OPTIONS; i++) {
		const u8 *option = options + at;
		u32 bytes;

		if (at + 2 > length || option + 2 > frame->end || option[0] == 0)
			return;
		bytes = option[0] == 1 ? 1 : option[1];
		if (!bytes || at + bytes > length)
			return;
		if (option[0] == SH_TCP_EXPERIMENT && bytes == SH_TCP_CAPABILITY &&
		    sh_tcp_option_is_ours(frame, option, signal))
			return;
		at = (at + bytes) & 63;
	}
}

#endif
