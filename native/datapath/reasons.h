/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
 *
 * reasons.h - every way a packet can leave the packet program, once.
 *
 * Owns: the verdicts and the table of reasons. Each reason belongs to exactly one verdict and has one counter,
 * so packets are conserved: in = sum over all reasons. The addon exports this table; docs/reasons.md is made from it.
 * Must never: be duplicated. A new exit gets a new line here; a line that nothing counts is removed.
 */
#ifndef SHUNT_DATAPATH_REASONS_H
#define SHUNT_DATAPATH_REASONS_H

enum sh_verdict {
	SH_FORWARD,  /* packet and header to the service address */
	SH_RETURN,   /* packet and header back to the client, which replays it */
	SH_INDICATE, /* the header alone to the client */
	SH_PASS,     /* left to this host's own network stack */
	SH_DROP,     /* ends here */
	SH_CONTROL,  /* answered by the packet program itself */
	SH_VERDICTS
};

/* clang-format off */
/* X(name, verdict, what an operator should read) */
#define SH_REASONS(X) \
	X(forwarded, SH_FORWARD, "a packet of a known session, to the session's target") \
	X(forwarded_new, SH_FORWARD, "the first packet of a session, to the target chosen for it") \
	X(forwarded_moved, SH_FORWARD, "the session's target went away; chosen anew and forwarded") \
	X(forwarded_evicting, SH_FORWARD, "the first packet of a session, whose record took the place of the oldest idle one") \
	X(forwarded_unlisted, SH_FORWARD, "forwarded to the chosen target without a record: the table had no room, or another processor is inserting the record") \
	X(forwarded_failed, SH_FORWARD, "its client reported, by an option, that a target failed: forwarded to another target") \
	X(forwarded_on, SH_FORWARD, "by a backend, of a session that it does not know: forwarded to another one, as it is draining or inactive, or the connection may be that one's") \
	X(forwarded_alone, SH_FORWARD, "a datagram of a service without sessions: chosen by itself, no record is kept") \
	X(forwarded_fragment, SH_FORWARD, "a later fragment, to the target of its first fragment") \
	X(fragmented, SH_FORWARD, "an IPv4 datagram without DF that does not fit the link to the target: forwarded in fragments") \
	X(forwarded_icmp, SH_FORWARD, "an ICMP error, to the target of the flow that it quotes: its session's, without one its row's") \
	X(returned, SH_RETURN, "sent back with the redirection header, for the client to replay at the target") \
	X(indicated, SH_INDICATE, "answered with the redirection alone: a control datagram, or a RST that carries it") \
	X(answered, SH_CONTROL, "a control datagram with a capability, answered with a redirect") \
	X(answered_failure, SH_CONTROL, "a control datagram that reports a failure, answered with a redirect to another target") \
	X(answered_probe, SH_CONTROL, "a probe of this backend, answered") \
	X(delivered, SH_PASS, "verified, decapsulated and delivered to this host's own stack") \
	X(direct, SH_PASS, "sent to this backend's own address and a service's port there: recorded as a session, passed to this host's own stack") \
	X(probe_unserved, SH_PASS, "a probe of this backend, where no socket listens at the service's port: passed to this host's own stack, which refuses it") \
	X(not_our_station, SH_PASS, "to a MAC address that is not the receiving interface's, broadcast and multicast included: ignored") \
	X(not_ip, SH_PASS, "neither IPv4 nor IPv6: ARP, LLDP and the like") \
	X(not_service, SH_PASS, "addressed to no service's address and not to the tunnel") \
	X(protocol_other, SH_PASS, "to a service's address, but neither UDP, TCP nor an ICMP error, such as a ping") \
	X(not_service_port, SH_PASS, "to a service's address, but to a port or protocol of no service") \
	X(too_big, SH_CONTROL, "does not fit the link to the target; answered with packet-too-big") \
	X(refused, SH_CONTROL, "the service has no active target for this source, or a rule denies it; answered with a TCP reset or port unreachable") \
	X(limited, SH_DROP, "a signal of a source above the rate limit of answers") \
	X(control_bad, SH_DROP, "on the control port, but not a control datagram that may be answered: too short, or without the cookie") \
	X(control_not_service, SH_DROP, "a control datagram about a flow of no service") \
	X(uninvited, SH_DROP, "sent to this backend's own address by a client that was not redirected here") \
	X(truncated, SH_DROP, "shorter than its own headers say") \
	X(bad_ip_header, SH_DROP, "impossible version, header length or total length") \
	X(bad_ip_checksum, SH_DROP, "IPv4 header checksum is wrong") \
	X(bad_extension, SH_DROP, "IPv6 extension headers too many, too long or cut off") \
	X(bad_transport, SH_DROP, "UDP or TCP header with an impossible length") \
	X(bad_source, SH_DROP, "a source that cannot be answered: unspecified, loopback or multicast address, or port 0") \
	X(bad_vlan, SH_DROP, "more than two VLAN tags, or a tag cut off") \
	X(fragment_unknown, SH_DROP, "a later fragment whose first fragment was not seen here") \
	X(fragment_tiny, SH_DROP, "a first fragment too small to hold the ports (RFC 1858)") \
	X(icmp_short, SH_DROP, "an ICMP error that quotes too little to identify the flow") \
	X(icmp_unknown, SH_DROP, "an ICMP error about a service's flow that has no session here and no active target") \
	X(no_target, SH_DROP, "the service has no active target for this source, and the packet must not be answered, or not now, or not by this service") \
	X(denied, SH_DROP, "a rule denies the service to this source, in silence, or the packet must not be answered, or not now") \
	X(no_next_hop, SH_DROP, "the target's next hop has not answered ARP or neighbour discovery") \
	X(table_missing, SH_DROP, "a table of the packet program is not published yet") \
	X(no_headroom, SH_DROP, "no room before the packet for the tunnel's headers") \
	X(too_big_dropped, SH_DROP, "does not fit the link to the target, and must not be answered (an ICMP error, or a fragment)") \
	X(tunnel_bad, SH_DROP, "to the tunnel's port, but not a Geneve packet as gateways send it") \
	X(tunnel_source, SH_DROP, "to the tunnel's port, from an address that is no member's") \
	X(tunnel_no_header, SH_DROP, "Geneve without a redirection header") \
	X(header_version, SH_DROP, "redirection header of an unknown version") \
	X(header_length, SH_DROP, "redirection header shorter or longer than its own flags say") \
	X(header_type, SH_DROP, "redirection header of an unknown type, or of one that is not allowed here") \
	X(header_flags, SH_DROP, "redirection header with contradictory flags") \
	X(header_hops, SH_DROP, "redirected more often than allowed: a loop") \
	X(header_port, SH_DROP, "redirection header with service port 0") \
	X(header_key, SH_DROP, "redirection header under a key id that is not valid here") \
	X(header_tag, SH_DROP, "redirection header with a wrong tag: forged, damaged or moved to another flow") \
	X(header_expired, SH_DROP, "a client's ticket that is no longer in force, or not yet") \
	X(clock_skew, SH_DROP, "redirection header with the right tag, issued outside the window: the sender's clock differs from this host's, or an old packet is replayed") \
	X(header_elsewhere, SH_DROP, "redirection header that names another server's address") \
	X(inner_bad, SH_DROP, "the packet inside the tunnel is not one that a gateway sends") \
	X(inner_not_service, SH_DROP, "the packet inside the tunnel is for a service that this backend does not serve") \
	X(congested, SH_DROP, "the tunnel met congestion (CE), and the inner packet's sender cannot be notified by a mark (RFC 6040)") \
	X(transmit_full, SH_DROP, "the link or its transmit queue was full") \
	X(transmit_failed, SH_DROP, "the kernel refused to transmit it")

enum sh_reason {
#define X(name, verdict, text) SH_R_##name,
	SH_REASONS(X)
#undef X
	SH_REASON_COUNT
};
/* clang-format on */

/* The verdict a reason belongs to. */
static inline __attribute__((always_inline)) unsigned int sh_verdict_of(unsigned int reason)
{
	switch (reason) {
#define X(name, verdict, text) \
	case SH_R_##name: \
		return verdict;
		SH_REASONS(X)
#undef X
	}
	return SH_DROP;
}

#endif
