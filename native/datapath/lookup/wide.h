/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * wide.h - services of several ports, and of a prefix of addresses: looked up where the exact address and port are no
 * service's, and only if a set of tables has such a service.
 *
 * A slot of several ports stands under {address, 0, protocol | SH_PROTOCOL_RANGE}, as do the other ranges of that address and
 * protocol, the narrowest first: the builder keeps all of them within the SH_PROBES slots that a look-up reads. A slot of a
 * prefix stands under its first address, and has its length.
 *
 * Owns: the order of these look-ups: the address itself, then the prefixes from the longest on; at each a single port before
 * ranges.
 * Must never: be reached by packets of a set of tables that has exact services only.
 */
#ifndef SHUNT_DATAPATH_LOOKUP_WIDE_H
#define SHUNT_DATAPATH_LOOKUP_WIDE_H

#include "datapath/lookup/hash.h"
#include "datapath/lookup/prefix.h"
#include "datapath/platform.h"

/* SH_OWN_* of the longest prefix that holds the address; 0: none does. */
SH_STAGE_ALONE u32 sh_own_find_wide(u64 handle, const struct sh_addr *address)
{
	const struct sh_control *control;
	struct sh_addr prefix;
	struct sh_env env;
	u32 hash, i, k;

	if (!address)
		return 0;
	sh_env_of(handle, &env);
	control = sh_control(&env);
	for (i = 0; i < SH_ADDRESS_LENGTHS; i++) {
		u32 length = control->address_lengths[i];

		if (!length)
			break;
		prefix = sh_addr_prefix(address, length);
		hash = (u32)sh_hash_own(control, &prefix);
		for (k = 0; k < SH_PROBES; k++) {
			const struct sh_own *own = sh_own_slot(&env, (hash + k) & control->own_mask);

			if (!own || !own->kind)
				break;
			if (own->length == length && sh_addr_equal(&own->address, &prefix))
				return own->kind;
		}
	}
	return 0;
}

/* The slot of the service that has this address, port (network order) and protocol among others, and one more: 0 is none. */
SH_STAGE_ALONE u32 sh_service_find_wide(u64 handle, const struct sh_addr *address, u32 port, u32 protocol)
{
	const struct sh_control *control;
	struct sh_addr prefix;
	struct sh_env env;
	u32 hash, i, k;

	if (!address)
		return 0;
	sh_env_of(handle, &env);
	control = sh_control(&env);
	port = sh_ntohs(port);
	/* Two turns for each length: single ports (not of the address itself, where there is none), then ranges. */
	for (i = 1; i < 2 * (1 + SH_ADDRESS_LENGTHS); i++) {
		u32 length = i < 2 ? 128 : control->address_lengths[i / 2 - 1];
		u32 key = length << 8 | protocol | (i & 1 ? SH_PROTOCOL_RANGE : 0);

		if (!length)
			break;
		prefix = sh_addr_prefix(address, length);
		hash = sh_hash_service(sh_hash_own(control, &prefix), i & 1 ? 0 : sh_htons(port), (u8)key);
		for (k = 0; k < SH_PROBES; k++, hash++) {
			const struct sh_service *service = sh_service_slot(&env, hash & control->service_mask);

			if (!service || !service->id)
				break;
			if (((u32)service->address_length << 8 | service->protocol) == key && service->first <= port &&
			    port <= service->last && sh_addr_equal(&service->address, &prefix))
				return (hash & control->service_mask) + 1;
		}
	}
	return 0;
}

#endif
