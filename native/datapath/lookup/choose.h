/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * choose.h - which service a packet is for, and which target its sender gets.
 *
 * Owns: the look-ups in the published tables: address, service, rule by longest source prefix, row, target.
 * Must never: write anything. The same tables and the same flow give the same target, on every gateway.
 */
#ifndef SHUNT_DATAPATH_LOOKUP_CHOOSE_H
#define SHUNT_DATAPATH_LOOKUP_CHOOSE_H

#include "datapath/header.h"
#include "datapath/lookup/hash.h"
#include "datapath/lookup/prefix.h"
#include "datapath/lookup/wide.h"
#include "datapath/platform.h"

/* Does this address concern us? SH_OWN_*, or-ed; 0 for all the traffic that is none of ours. `hash` is sh_hash_own's. */
SH_INLINE u32 sh_own_find(const struct sh_env *env, const struct sh_control *control, const struct sh_addr *address,
                          u64 hash)
{
	u32 i;

	for (i = 0; i < SH_PROBES; i++) {
		const struct sh_own *own = sh_own_slot(env, ((u32)hash + i) & control->own_mask);

		if (!own || !own->kind)
			break;
		if (sh_addr_equal(&own->address, address))
			return own->kind;
	}
	return SH_LIKELY(!control->address_lengths[0]) ? 0 : sh_own_find_wide(sh_env_handle(env), address);
}

/* `own_hash` is the address's, of sh_hash_own. */
SH_INLINE const struct sh_service *sh_service_find(const struct sh_env *env, const struct sh_control *control,
                                                   u64 own_hash, const struct sh_addr *address, be16 port, u8 protocol)
{
	u32 hash = sh_hash_service(own_hash, port, protocol);
	u32 i;

	for (i = 0; i < SH_PROBES; i++) {
		const struct sh_service *service = sh_service_slot(env, (hash + i) & control->service_mask);

		if (!service || !service->id)
			break;
		if (service->port == port && service->protocol == protocol && sh_addr_equal(&service->address, address))
			return service;
	}
	if (SH_LIKELY(!control->wide))
		return 0;
	hash = sh_service_find_wide(sh_env_handle(env), address, port, protocol);
	return hash ? sh_service_slot(env, hash - 1) : 0;
}

/* The rule of this service for sources of this prefix: its redirection, or SH_NO_RULE. `source` is any address of it. */
#define SH_NO_RULE 0xffffffffu

SH_INLINE u32 sh_rule_key(u16 service, u8 length)
{
	return (u32)service << 8 | length;
}

/* `key` is sh_rule_key's: one word, for the stack of all callers together is full. */
SH_STAGE_ALONE u32 sh_rule_find(const struct sh_env *env_copy, u32 key, const struct sh_addr *source)
{
	struct sh_addr prefix;
	struct sh_env env;
	u32 hash, i;

	if (!env_copy || !source || sh_env_restore(env_copy, &env))
		return SH_NO_RULE;
	prefix = sh_addr_prefix(source, key & 0xff);
	hash = sh_hash_rule(sh_control(&env), (u16)(key >> 8), (u8)key, &prefix);
	for (i = 0; i < SH_PROBES; i++) {
		const struct sh_rule *rule = sh_rule_slot(&env, (hash + i) & sh_control(&env)->rule_mask);

		if (!rule || !rule->service)
			break;
		if (sh_rule_key(rule->service, rule->length) == key && sh_addr_equal(&rule->prefix, &prefix))
			return rule->redirection;
	}
	return SH_NO_RULE;
}

/* What the redirection database answers for one flow. */
struct sh_choice {
	u32 redirection;
	u32 row;          /* within the redirection's forwarding table */
	u16 target;       /* 0: none */
	u8 by_rule;       /* 1: a rule named the source; 0: the service's own redirection */
	u8 prefix_length; /* of that rule, in the mapped form */
	u8 deny;          /* the redirection's */
	u8 alone;         /* 1: chosen by itself, no record is kept */
	u8 by;            /* given: enum sh_choose_by */
	u8 reserved;
};

/* Loads are each gateway's own; rows are the same on all members. So what belongs to a session that is not known here goes by
 * rows alone, or it would get another target from each gateway. */
enum sh_choose_by {
	SH_BY_LOADS,    /* as the redirection's strategy says */
	SH_BY_ROW,      /* the flow's row */
	SH_BY_OTHER_ROW /* the second row of a strategy that compares two; any other: none */
};

/* Lemire's multiply instead of a division: a 32-bit hash onto [0, rows). */
SH_INLINE u32 sh_row_of(u32 hash, u32 rows)
{
	return (u32)((u64)hash * rows >> 32);
}

/* R18: two rows, and the target with the smaller load (Azar et al., SIAM J. Comput. 1999; Mitzenmacher, IEEE TPDS 2001):
 * nearly as even as comparing all of them, and a stale load sends at most twice its share to a target, where the
 * least of all would get every new session. Equal loads leave the first row, as if there were none. */
SH_INLINE void sh_choose_less_loaded(const struct sh_env *env, const struct sh_redirection *redirection, u32 hash,
                                     struct sh_choice *choice)
{
	u32 second = sh_row_of(hash, redirection->rows);
	const u16 *row = sh_row_at(env, redirection->first_row + second);
	const struct sh_target *target = sh_target_at(env, choice->target);
	const struct sh_target *other = row ? sh_target_at(env, *row) : 0;

	if (!target || !other || other->load >= target->load)
		return;
	choice->row = second;
	choice->target = *row;
}

/* R2: by service, then by source, the longest prefix first. A service holds the list of its prefix lengths, so there
 * is one look-up for each length in use, not for each possible one (Waldvogel et al., SIGCOMM 1997, without the
 * binary search: lengths in use are few). */
SH_STAGE_ALONE u32 sh_choose(const struct sh_env *env_copy, const struct sh_service *service,
                             const struct sh_flow *flow, struct sh_choice *choice)
{
	const struct sh_redirection *redirection;
	struct sh_env env;
	const u16 *row;
	u32 i, found;
	u64 hash;

	if (!env_copy || !service || !flow || !choice || sh_env_restore(env_copy, &env))
		return 0;
	choice->redirection = service->redirection;
	choice->row = 0;
	choice->target = 0;
	choice->by_rule = 0;
	choice->prefix_length = 0;
	choice->deny = SH_DENY_NONE;
	choice->alone = !!(service->flags & SH_SERVICE_NO_SESSION);
	for (i = 0; i < SH_PREFIX_LENGTHS; i++) {
		if (i >= service->prefix_count)
			break;
		found = sh_rule_find(env_copy, sh_rule_key(service->id, service->prefix_lengths[i]), &flow->source);
		if (found != SH_NO_RULE) {
			choice->redirection = found;
			choice->by_rule = 1;
			choice->prefix_length = service->prefix_lengths[i];
			break;
		}
	}
	redirection = sh_redirection_at(&env, choice->redirection);
	if (!redirection)
		return 0;
	choice->deny = redirection->deny;
	if (!redirection->rows)
		return 0;
	if (choice->by == SH_BY_OTHER_ROW && redirection->choice != SH_CHOOSE_LESS_LOADED)
		return 0;
	hash = sh_hash_spread(sh_control(&env), flow, redirection->spread);
	if (choice->by == SH_BY_OTHER_ROW)
		hash >>= 32;
	choice->row = sh_row_of((u32)hash, redirection->rows);
	row = sh_row_at(&env, redirection->first_row + choice->row);
	if (row)
		choice->target = *row;
	if (redirection->choice == SH_CHOOSE_LESS_LOADED && choice->by == SH_BY_LOADS)
		sh_choose_less_loaded(&env, redirection, (u32)(hash >> 32), choice);
	return choice->target;
}

/* Rows that are looked at for another target than the one that failed. */
#define SH_OTHERS 32

/* What a client's targets are ordered by, one after the other failing: its address and theirs, no ids, nothing that moves with
 * loads, so that all gateways have the same order. Never 0. */
SH_INLINE u64 sh_other_rank(const struct sh_control *control, const struct sh_addr *source,
                            const struct sh_addr *address, be16 port)
{
	return sh_mix(sh_hash_address(sh_hash_address(control->seed[1] ^ 0x6f74686572ULL, source), address) ^ port) | 1;
}

/* R8: who is next when the target at this address and port has failed this client. Targets are in an order that follows from the
 * client's address (rendezvous hashing; Thaler and Ravishankar, IEEE/ACM ToN 1998): the first failure goes to the highest, each
 * further one down, so no target comes twice and the order ends. `of` is the client's redirection (sh_choose tells), `failures` how many there
 * have been before. Returns a target, 0: none is left. */
SH_STAGE_ALONE u32 sh_choose_other(const struct sh_env *env_copy, u32 of, const struct sh_addr *source,
                                   const struct sh_header *failed, u32 failures)
{
	const struct sh_redirection *redirection;
	u64 floor, best = 0, rank;
	struct sh_env env;
	u32 i, index = 0, start;

	if (!env_copy || !source || !failed || sh_env_restore(env_copy, &env))
		return 0;
	redirection = sh_redirection_at(&env, of);
	if (!redirection || !redirection->rows)
		return 0;
	floor = failures ? sh_other_rank(sh_control(&env), source, &failed->address, failed->port) : ~0ULL;
	start = sh_row_of((u32)sh_hash_address(sh_control(&env)->seed[1], source), redirection->rows);
	for (i = 0; i < SH_OTHERS; i++) {
		u32 row = start + i < redirection->rows ? start + i : start + i - redirection->rows;
		const u16 *entry = row < redirection->rows ? sh_row_at(&env, redirection->first_row + row) : 0;
		const struct sh_target *target = entry ? sh_target_at(&env, *entry) : 0;
		be16 port;

		if (!target || target->state != SH_ACTIVE)
			continue;
		port = target->port ? target->port : failed->port;
		if (port == failed->port && sh_addr_equal(&target->address, &failed->address))
			continue;
		rank = sh_other_rank(sh_control(&env), source, &target->address, port);
		if (rank > best && rank < floor) {
			best = rank;
			index = *entry;
		}
	}
	return index;
}

#endif
