/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * tag_cache.h - what of a tag need not be computed anew for every packet.
 *
 * A tag covers the header and the flow, and of those only the time of issue moves, once a second. So each processor keeps
 * two small tables of its own: the tags of flows that it has just seen, and, for all others, the state that the hash has
 * after the header, which is the same for all flows of a target. They are to stay in the processor's second-level cache: a
 * tag that has to be fetched from memory costs more than to compute it; and a larger table takes the room of sessions there.
 *
 * Owns: what makes a kept value right: the target, the second, the set of tables, by whose epoch any change of target,
 * port, terms or key is told; and for a flow's tag the whole hash of the flow (for IPv4 no two flows share one; for IPv6
 * two in 2^64).
 * Must never: be shared by two processors, or hold the tag of a fragment, which covers no ports.
 */
#ifndef SHUNT_DATAPATH_TAG_TAG_CACHE_H
#define SHUNT_DATAPATH_TAG_TAG_CACHE_H

#include "datapath/tag/siphash.h"
#include "datapath/types.h"

#define SH_CACHED_TAGS 1024
#define SH_CACHED_STARTS 256

/* Of which header, as far as headers of this host differ. */
struct sh_tag_basis {
	u32 issued;
	u32 epoch; /* of the set of tables */
	u32 target;
};

struct sh_cached_tag {
	u64 flow; /* hash of the session's key */
	u64 tag;
	struct sh_tag_basis header;
	u32 reserved;
};
SH_STATIC_ASSERT(sizeof(struct sh_cached_tag) == 32, "two kept tags a cache line");

struct sh_cached_start {
	struct sh_siphash state;
	struct sh_tag_basis header;
	u32 reserved[5];
};
SH_STATIC_ASSERT(sizeof(struct sh_cached_start) == 64, "one kept start a cache line");

SH_INLINE int sh_tag_basis_equal(const struct sh_tag_basis *a, const struct sh_tag_basis *b)
{
	return a->issued == b->issued && a->epoch == b->epoch && a->target == b->target;
}

#endif
