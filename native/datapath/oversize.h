/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * oversize.h - an IPv4 datagram that does not fit the link to its target, and which its sender allows to be fragmented (DF
 * clear).
 *
 * It is fragmented before it is encapsulated (RFC 4459, 3.1): each fragment is a packet of the tunnel like any other, and the
 * client's fragments are put together by the backend's host, as if the client had sent them so. Fragments of the outer packet
 * would have to be put together before a backend's engine could read the header. The engine cuts the datagram
 * (user/fragments.h), and sends each fragment to the datagram's target.
 *
 * Owns: which datagrams these are, and how many a second.
 * Must never: change the packet. What is not fragmented is answered by packet-too-big.
 */
#ifndef SHUNT_DATAPATH_OVERSIZE_H
#define SHUNT_DATAPATH_OVERSIZE_H

#include "datapath/signal/rate_limit.h"
#include "datapath/work.h"

#define SH_FRAGMENTS 16      /* of one datagram */
#define SH_SMALLEST_ROOM 68u /* every link carries so much (RFC 791) */

/* 20,000 datagrams a second after a first 2,000, in units of 1,024 ns: each costs several packets. */
enum { SH_OVERSIZE_PERIOD = 49, SH_OVERSIZE_TOLERANCE = 2000 * SH_OVERSIZE_PERIOD };

/* Bytes of a fragment's payload, where its packet may have `room` bytes. */
SH_INLINE u32 sh_fragment_payload(u32 room)
{
	return (room - (u32)sizeof(struct sh_ipv4)) & ~7u;
}

/* Is the packet handed over to the part of the engine that fragments it? `room` is what the link has room for. */
SH_STAGE_ALONE u32 sh_oversize(sh_packet *packet, const struct sh_work *work, u32 room)
{
	const struct sh_parsed *p;
	const struct sh_ipv4 *ip;
	struct sh_frame room_for_frame, *frame;
	struct sh_env env;

	if (!packet || !work || sh_env_restore(&work->env_copy, &env))
		return 0;
	p = &work->passage.parsed;
	frame = sh_frame_of(packet, &room_for_frame);
	ip = (const struct sh_ipv4 *)(frame->data + SH_OFFSET(p->l3));
	if (p->flow.family != SH_IPV4 || p->icmp_error || p->l4 - p->l3 != sizeof(*ip) ||
	    (const u8 *)(ip + 1) > frame->end || ip->fragment & sh_htons(SH_IPV4_DF))
		return 0;
	if (room < SH_SMALLEST_ROOM || p->ip_length > sizeof(*ip) + SH_FRAGMENTS * sh_fragment_payload(room))
		return 0;
	return sh_rate_limit_take(sh_limit_at(&env, SH_LIMIT_OVERSIZE), (u32)(sh_now_ns(&env) >> 10),
	                          SH_OVERSIZE_PERIOD, SH_OVERSIZE_TOLERANCE) &&
	       !sh_hand_over(frame, work->passage.result.target);
}

#endif
