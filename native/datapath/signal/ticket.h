/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * ticket.h - a redirect's header, shown again by the client that it was given to: docs/protocol.md, sections 1 and 3.
 *
 * Owns: what makes a ticket right (key and tag) and how long it is in force.
 * Must never: keep anything. A server recognises its cluster's own words by their tag.
 */
#ifndef SHUNT_DATAPATH_SIGNAL_TICKET_H
#define SHUNT_DATAPATH_SIGNAL_TICKET_H

#include "datapath/platform.h"
#include "datapath/tag/header_tag.h"

/* A permanent redirection is in force for so long. */
#define SH_PERMANENT_S 86400u

SH_INLINE u32 sh_now_s(const struct sh_env *env, const struct sh_control *control)
{
	return (u32)((sh_now_ns(env) + control->wall_offset_ns) / 1000000000ULL);
}

/* Seconds from `issued` on in which the redirection holds. */
SH_INLINE u32 sh_ticket_lasts(const struct sh_header *header)
{
	if (header->flags & SH_F_PERMANENT)
		return SH_PERMANENT_S;
	return header->flags & SH_F_LEASED ? header->lease_s : 0;
}

/* How long the ticket will be in force yet, seconds, the window included; 0: it is not. */
SH_INLINE u32 sh_ticket_left(const struct sh_env *env, const struct sh_control *control, const struct sh_header *header)
{
	u32 lasts = sh_ticket_lasts(header) + control->window_s;
	u32 age = sh_now_s(env, control) - header->issued +
	          control->window_s; /* since the first moment at which it can be right */

	return age <= lasts + control->window_s ? lasts + control->window_s - age + 1 : 0;
}

/* SH_CONTINUE, or what is wrong with it. */
SH_INLINE u8 sh_ticket_check(const struct sh_env *env, const struct sh_control *control, const struct sh_header *header,
                             const struct sh_flow *flow)
{
	const struct sh_key *key = sh_key_at(env, header->key_id);

	if (!sh_ticket_left(env, control, header))
		return SH_R_header_expired;
	if (!key || !key->valid)
		return SH_R_header_key;
	return sh_header_tag_of(header, flow, key->k) == header->tag ? SH_CONTINUE : SH_R_header_tag;
}

#endif
