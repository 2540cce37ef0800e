/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * key.h - what a session is found by: its key, its hash, and its two buckets.
 *
 * Owns: how a flow and a service become a key, and a key two buckets. Both families run through the same code: the first two
 * words of a record are alike (layout.h), so a bucket is a base, a stride and a number of slots.
 * Must never: read or write a record (record.h, insert.h).
 */
#ifndef SHUNT_DATAPATH_SESSION_KEY_H
#define SHUNT_DATAPATH_SESSION_KEY_H

#include "datapath/lookup/hash.h"
#include "datapath/platform.h"

/* What a session is looked up by. */
struct sh_session_key {
	u64 hash;
	u64 claim;
	struct sh_addr source; /* compared for IPv6 only: an IPv4 claim holds the whole address */
	u8 family;
};

struct sh_bucket {
	u8 *base; /* NULL: no such bucket */
	u32 stride;
	u32 slots;
};

#define SH_SLOT(bucket, i) ((struct sh_session4 *)((bucket).base + (i) * (bucket).stride))

SH_INLINE u64 sh_hash_claim4(const struct sh_control *control, u64 claim)
{
	return sh_mix(claim ^ control->seed[0]);
}

/* Port and service are mixed before the address joins them: unmixed, a change of the one could undo a change of the other,
 * and a sender that chooses both could choose a bucket. */
SH_INLINE u64 sh_hash_claim6(const struct sh_control *control, u32 port_and_service, const struct sh_addr *source)
{
	return sh_hash_address(sh_mix(control->seed[0] ^ port_and_service), source);
}

/* The key of a flow towards the service with this id. */
SH_INLINE void sh_session_key(const struct sh_control *control, const struct sh_flow *flow, u16 service,
                              struct sh_session_key *key)
{
	u32 low = (u32)flow->source_port << 16 | service;

	key->family = flow->family;
	key->source = flow->source;
	if (flow->family == SH_IPV4) {
		key->claim = (u64)flow->source.w[3] << 32 | low;
		key->hash = sh_hash_claim4(control, key->claim);
	} else {
		key->hash = sh_hash_claim6(control, low, &flow->source);
		key->claim = (key->hash >> 33) << 32 | low;
	}
}

/* The flow's first (which 0) or second (which 1) bucket. */
SH_INLINE struct sh_bucket sh_bucket_of(const struct sh_env *env, u8 family, u64 hash, u32 which)
{
	const struct sh_control *control = sh_control(env);
	u32 index = which ? (u32)(hash >> 32) : (u32)hash;
	struct sh_bucket bucket = {0, 0, 0};

	if (!control)
		return bucket;
	if (family == SH_IPV4) {
		bucket.base = (u8 *)sh_bucket4_at(env, index & control->bucket4_mask);
		bucket.stride = sizeof(struct sh_session4);
		bucket.slots = SH_SLOTS4;
	} else {
		bucket.base = (u8 *)sh_bucket6_at(env, index & control->bucket6_mask);
		bucket.stride = sizeof(struct sh_session6);
		bucket.slots = SH_SLOTS6;
	}
	return bucket;
}

#endif
