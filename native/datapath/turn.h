/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * turn.h - a frame that goes back to where it came from.
 *
 * Owns: Ethernet and VLAN tags of an answer: the same, with the stations exchanged.
 * Must never: touch what stands behind them.
 */
#ifndef SHUNT_DATAPATH_TURN_H
#define SHUNT_DATAPATH_TURN_H

#include "datapath/parse/parse.h"

/* Cuts the packet to `keep` bytes behind its link header, makes room for `room` bytes of headers before them, and puts the link
 * header in front, turned round. 0, or -1. */
SH_INLINE int sh_turn_round(struct sh_frame *frame, const struct sh_parsed *p, u32 keep, u32 room)
{
	struct sh_ethernet from, *to = (struct sh_ethernet *)frame->data;
	u32 tags[2] = {0, 0};

	if ((u8 *)(to + 1) + sizeof(tags) > frame->end)
		return -1;
	from = *to;
	tags[0] = sh_load32(to + 1);
	tags[1] = sh_load32((u8 *)(to + 1) + 4);
	if (sh_trim(frame, (u32)p->l3 + keep) || (room && sh_push(frame, room)))
		return -1;
	to = (struct sh_ethernet *)frame->data;
	if ((u8 *)(to + 1) + sizeof(tags) > frame->end)
		return -1;
	__builtin_memcpy(to->destination, from.source, 6);
	__builtin_memcpy(to->source, from.destination, 6);
	to->type = from.type;
	/* Untagged, these 8 bytes are overwritten by the IP header next. */
	sh_store32(to + 1, tags[0]);
	sh_store32((u8 *)(to + 1) + 4, tags[1]);
	return 0;
}

#endif
