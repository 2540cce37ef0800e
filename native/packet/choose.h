/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * choose.h - which service a packet is for, and which target its sender gets.
 *
 * Owns: the look-ups in the published tables: address, service, rule by longest source prefix, row, target.
 * Must never: write anything. The same tables and the same flow give the same target, on every gateway.
 */
#ifndef SHUNT_PACKET_CHOOSE_H
#define SHUNT_PACKET_CHOOSE_H

#include "hash.h"
#include "platform.h"

/* Does this address concern us? SH_OWN_*, or-ed; 0 for all the traffic that is none of ours. */
SH_INLINE u32 sh_own_find(const struct sh_env *env, const struct sh_control *control, const struct sh_addr *address)
{
	u32 hash = sh_hash_own(control, address);
	u32 i;

	for (i = 0; i < SH_PROBES; i++) {
		const struct sh_own *own = sh_own_slot(env, (hash + i) & control->own_mask);

		if (!own || !own->kind)
			return 0;
		if (sh_addr_equal(&own->address, address))
			return own->kind;
	}
	return 0;
}

SH_INLINE const struct sh_service *sh_service_find(const struct sh_env *env, const struct sh_control *control,
						   const struct sh_addr *address, be16 port, u8 protocol)
{
	u32 hash = sh_hash_service(control, address, port, protocol);
	u32 i;

	for (i = 0; i < SH_PROBES; i++) {
		const struct sh_service *service = sh_service_slot(env, (hash + i) & control->service_mask);

		if (!service || !service->id)
			return 0;
		if (service->port == port && service->protocol == protocol && sh_addr_equal(&service->address, address))
			return service;
	}
	return 0;
}

/* The address with every bit beyond the first `length` (0 to 128) cleared. */
SH_INLINE struct sh_addr sh_addr_prefix(const struct sh_addr *a, u32 length)
{
	struct sh_addr r;
	u32 i;

	for (i = 0; i < 4; i++) {
		u32 bits = length > 32 * i ? length - 32 * i : 0;

		r.w[i] = bits >= 32 ? a->w[i] : bits ? a->w[i] & sh_htonl(0xffffffffu << ((32 - bits) & 31)) : 0;
	}
	return r;
}

SH_INLINE const struct sh_rule *sh_rule_find(const struct sh_env *env, const struct sh_control *control, u16 service,
					     u32 length, const struct sh_addr *source)
{
	struct sh_addr prefix = sh_addr_prefix(source, length);
	u32 hash = sh_hash_rule(control, service, (u8)length, &prefix);
	u32 i;

	for (i = 0; i < SH_PROBES; i++) {
		const struct sh_rule *rule = sh_rule_slot(env, (hash + i) & control->rule_mask);

		if (!rule || !rule->service)
			return 0;
		if (rule->service == service && rule->length == length && sh_addr_equal(&rule->prefix, &prefix))
			return rule;
	}
	return 0;
}

/* What the redirection database answers for one flow. */
struct sh_choice {
	const struct sh_rule *rule; /* that named the source; NULL: the service's own redirection */
	u32 redirection;
	u32 row;    /* within the redirection's forwarding table */
	u16 target; /* 0: none */
};

/* R2: by service, then by source, the longest prefix first. A service holds the list of its prefix lengths, so there
 * is one look-up for each length in use, not for each possible one (Waldvogel et al., SIGCOMM 1997, without the
 * binary search: lengths in use are few). */
SH_INLINE void sh_choose(const struct sh_env *env, const struct sh_control *control, const struct sh_service *service,
			 const struct sh_flow *flow, struct sh_choice *choice)
{
	const struct sh_redirection *redirection;
	const u16 *row;
	u32 i;

	choice->rule = 0;
	choice->redirection = service->redirection;
	choice->row = 0;
	choice->target = 0;
	for (i = 0; i < SH_PREFIX_LENGTHS; i++) {
		if (i >= service->prefix_count)
			break;
		choice->rule = sh_rule_find(env, control, service->id, service->prefix_lengths[i], &flow->source);
		if (choice->rule) {
			choice->redirection = choice->rule->redirection;
			break;
		}
	}
	redirection = sh_redirection_at(env, choice->redirection);
	if (!redirection || !redirection->rows)
		return;
	/* Lemire's multiply instead of a division: a 32-bit hash onto [0, rows). */
	choice->row = (u32)((u64)sh_hash_spread(control, flow, redirection->spread) * redirection->rows >> 32);
	row = sh_row_at(env, redirection->first_row + choice->row);
	if (row)
		choice->target = *row;
}

#endif
