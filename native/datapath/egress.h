/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * egress.h - what a backend sends: it keeps its client's session alive, or makes one (R9).
 *
 *     sh_egress
 *       1  parse link, addresses and ports, no further than needed  parse.h
 *       2  is the source a service, or where it listens here?       choose.h
 *       3  the session of that client: renew it, or make it         record.h, insert.h
 *       4  is the client to be told something along with it?        pending_redirect.h
 *
 * A record has one time, and its session ends when that is older than the service's idle period. A client's packet stores
 * its own time. What the backend sends stores the time that makes the session end one `idle sent` later, if that is later
 * than what is there: now - (idle - idle sent), which lies ahead of now where the second period is the longer one.
 *
 * Owns: the reading of packets that this host sends. They are observed, never modified or dropped: they count as
 * none of the received packets, and a malformed one is skipped.
 * Must never: change a packet, or believe a length. What is handed over may be many segments in one (GSO), of which only the
 * first bytes are here, with checksums that the network card will fill in.
 */
#ifndef SHUNT_DATAPATH_EGRESS_H
#define SHUNT_DATAPATH_EGRESS_H

#include "datapath/lookup/choose.h"
#include "datapath/parse/parse.h"
#include "datapath/session/insert.h"
#include "datapath/signal/pending_redirect.h"

/* What became of a packet's session. */
enum sh_egress_outcome {
	SH_EGRESS_NONE,         /* no service's packet, or it keeps no session alive */
	SH_EGRESS_RENEWED,      /* there is a session; it ends no sooner than this packet says */
	SH_EGRESS_INSERTED,     /* there was none, and now there is */
	SH_EGRESS_REDIRECT = 4, /* or-ed: work->header is to be told the client (signal/pending_redirect.h) */
};

/* Step 1, behind the link: addresses, protocol and ports, turned round, so that the flow is as the client sends it. Not
 * sh_parse_ip: the lengths here are those of all segments together. 0: nothing to go by. */
SH_INLINE int sh_egress_parse(const struct sh_frame *frame, struct sh_parsed *p)
{
	p->fragmentation = SH_WHOLE;
	p->flow.salt = 0;
	if (p->ethertype == sh_htons(SH_ETH_IPV4)) {
		const struct sh_ipv4 *ip = (const struct sh_ipv4 *)(frame->data + SH_OFFSET(p->l3));
		u32 header;

		if ((const u8 *)(ip + 1) > frame->end)
			return 0;
		header = (u32)(ip->version_ihl & 0xf) * 4;
		if (ip->version_ihl >> 4 != 4 || header < sizeof(*ip) || sh_ntohs(ip->fragment) & SH_IPV4_OFFSET)
			return 0; /* a later fragment has no ports; its first one has passed here too */
		if (sh_ntohs(ip->fragment) & SH_IPV4_MF)
			p->fragmentation = SH_FRAGMENT_FIRST;
		p->l4 = (u16)(p->l3 + header);
		p->protocol = ip->protocol;
		p->flow.family = SH_IPV4;
		p->flow.destination = sh_addr_v4(ip->source);
		p->flow.source = sh_addr_v4(ip->destination);
	} else if (p->ethertype == sh_htons(SH_ETH_IPV6)) {
		const struct sh_ipv6 *ip = (const struct sh_ipv6 *)(frame->data + SH_OFFSET(p->l3));

		if ((const u8 *)(ip + 1) > frame->end || sh_ntohl(ip->version_class_label) >> 28 != 6)
			return 0;
		p->l4 = (u16)(p->l3 + sizeof(*ip));
		p->protocol = ip->next;
		p->ip_length = 0x7fff;
		p->flow.family = SH_IPV6;
		__builtin_memcpy(&p->flow.destination, &ip->source, 16);
		__builtin_memcpy(&p->flow.source, &ip->destination, 16);
		if (sh_parse_extensions(frame, p) != SH_CONTINUE || p->fragmentation == SH_FRAGMENT_LATER)
			return 0;
	} else {
		return 0;
	}
	p->flow.protocol = p->protocol;
	return (p->protocol == SH_UDP || p->protocol == SH_TCP) && sh_parse_ports(frame, p, p->l4, 1) == SH_CONTINUE &&
	       p->flow.source_port;
}

/* Step 3. */
SH_INLINE u32 sh_egress_renew(const struct sh_env *env, const struct sh_session_key *key, u32 last)
{
	union sh_session_value seen, next;
	struct sh_session4 *slot = sh_session_find(env, key, &seen);
	u32 attempt;

	/* By a swap of the whole word: a store could take back what a packet of the client's has just stored, and end the
	 * session too soon. PROVEN is not set: a reply to a forged source proves no client. */
	for (attempt = 0; slot && attempt < 3; attempt++) {
		if (!seen.target)
			return SH_EGRESS_NONE; /* it is being made, or ends */
		if (!sh_session_later(last, seen.last))
			return SH_EGRESS_RENEWED;
		next = seen;
		next.last = last;
		if (__sync_bool_compare_and_swap(&slot->value.word, seen.word, next.word))
			return SH_EGRESS_RENEWED;
		seen = sh_session_read_as(slot, key->claim);
	}
	if (slot)
		return SH_EGRESS_RENEWED; /* by other processors, three times */
	next.word = 0;
	next.last = last;
	next.target = SH_TARGET_LOCAL;
	next.flags = SH_SESSION_SENT;
	/* env itself: nothing is asked of it after this */
	return sh_session_insert(env, key, next.word) == SH_INSERT_FAILED ? SH_EGRESS_NONE : SH_EGRESS_INSERTED;
}

/* Steps 2 to 4, of a packet whose link has been parsed. */
SH_STAGE u32 sh_egress_session(const struct sh_env *env, const struct sh_frame *frame, struct sh_work *work)
{
	const struct sh_control *control = sh_control(env);
	struct sh_parsed *p = &work->passage.parsed;
	const struct sh_service *service;
	u32 own, tell = 0;
	u64 own_hash;

	if (!control || !sh_egress_parse(frame, p))
		return SH_EGRESS_NONE;
	own_hash = sh_hash_own(control, &p->flow.destination);
	own = sh_own_find(env, control, &p->flow.destination, own_hash);
	if (!own)
		return SH_EGRESS_NONE;
	service = sh_service_find(env, control, own_hash, &p->flow.destination, p->flow.destination_port,
	                          p->flow.protocol);
	if (!service || service->family != p->flow.family)
		return SH_EGRESS_NONE;
	sh_session_key(control, &p->flow, service->id, &work->key);
	if (own & SH_OWN_SERVICE && p->flow.protocol == SH_UDP && p->fragmentation == SH_WHOLE &&
	    sh_pending_redirect_take(env, work))
		tell = SH_EGRESS_REDIRECT;
	if (!service->idle_sent_ticks)
		return tell;
	return tell |
	       sh_egress_renew(env, &work->key,
	                       (u32)(sh_now_ns(env) >> SH_TICK_SHIFT) - service->idle_ticks + service->idle_sent_ticks);
}

/* One packet that this host sends, from its Ethernet header on. Returns enum sh_egress_outcome. */
SH_INLINE u32 sh_egress(const struct sh_env *env, const struct sh_frame *frame, struct sh_work *work)
{
	const struct sh_control *control = sh_control(env);

	if (!control || !(control->roles & SH_ROLE_BACKEND) ||
	    sh_parse_link(frame, &work->passage.parsed) != SH_CONTINUE)
		return SH_EGRESS_NONE;
	return sh_egress_session(env, frame, work);
}

#endif
