/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * kept_tag.h - a flow's tag, kept until something that it covers changes.
 *
 * A tag covers the header and the flow, and of those only the time of issue moves, once a second. So the tags of the flows
 * that a processor has just seen are kept in a small table of its own, SH_KEPT_TAGS of them: it is to stay in the
 * processor's second-level cache, because a tag that has to be fetched from memory costs more than to compute it.
 *
 * Owns: what makes a kept tag right: the whole hash of the flow (for IPv4 no two flows share one; for IPv6 2^-64), the
 * target, the second, and the set of tables, by whose epoch any change of target, port, terms or key is told.
 * Must never: be shared by two processors, or hold the tag of a fragment, which covers no ports.
 */
#ifndef SHUNT_PACKET_KEPT_TAG_H
#define SHUNT_PACKET_KEPT_TAG_H

#include "types.h"

#define SH_KEPT_TAGS 1024

struct sh_kept_tag {
	u64 flow; /* hash of the session's key */
	u64 tag;
	u32 issued;
	u32 epoch; /* of the set of tables */
	u16 target;
	u16 reserved[3];
};
SH_STATIC_ASSERT(sizeof(struct sh_kept_tag) == 32, "two kept tags a cache line");

SH_INLINE int sh_kept_tag_holds(const struct sh_kept_tag *kept, u64 flow, u16 target, u32 issued, u32 epoch)
{
	return kept->flow == flow && kept->issued == issued && kept->epoch == epoch && kept->target == target;
}

#endif
