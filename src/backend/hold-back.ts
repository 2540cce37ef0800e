/**
 * What a backend's kernel must leave to the engine, as rules for the guard: the tunnel; and where the engine stands beside
 * the kernel's way and not in it, also what the engine answers, or hands on by the tun device once it has judged it.
 *
 * Must never: match a client's packet that the engine passes.
 */
import type { DirectEndpoint } from "../database/index.js";
import type { GuardRules } from "../host/guard.js";
import { COOKIE } from "../wire/index.js";

/** A datagram's first four bytes, behind the UDP header. */
const IS_CONTROL = `@th,64,32 0x${COOKIE.toString(16)}`;

/** `places`: where the services listen at this backend's own addresses; undefined: the engine is the kernel's. */
export function holdBack(
	addresses: readonly string[],
	interfaces: readonly string[],
	ports: { readonly tunnelPort: number; readonly controlPort: number },
	places: readonly DirectEndpoint[] | undefined,
): GuardRules {
	const from = `iifname { ${interfaces.map((name) => `"${name}"`).join(", ")} }`;
	const own = (family: 4 | 6) => addresses.filter((address) => address.includes(":") === (family === 6));
	const of = (family: 4 | 6) => (places ?? []).filter((place) => place.family === family);
	// A probe is a datagram, whatever the service's protocol.
	const asked = (family: 4 | 6) => [
		...new Set([
			...own(family).map((address) => `${address} . ${ports.controlPort}`),
			...of(family).map(({ address, port }) => `${address} . ${port}`),
		]),
	];
	// What the tunnel alone brings to a service of the other family is no service's when it comes straight.
	const uninvited = (family: 4 | 6) =>
		of(family)
			.filter(({ service }) => service.invitedOnly && service.family === family)
			.map(({ service, address, port }) => `${address} . ${service.protocol} . ${port}`);
	const sets = [
		{ name: "own4", type: "ipv4_addr", elements: own(4) },
		{ name: "own6", type: "ipv6_addr", elements: own(6) },
	];
	const rules = [
		`${from} ip daddr @own4 udp dport ${ports.tunnelPort} counter drop`,
		`${from} ip6 daddr @own6 udp dport ${ports.tunnelPort} counter drop`,
	];
	if (places !== undefined) {
		sets.push(
			{ name: "asked4", type: "ipv4_addr . inet_service", elements: asked(4) },
			{ name: "asked6", type: "ipv6_addr . inet_service", elements: asked(6) },
			{ name: "uninvited4", type: "ipv4_addr . inet_proto . inet_service", elements: uninvited(4) },
			{ name: "uninvited6", type: "ipv6_addr . inet_proto . inet_service", elements: uninvited(6) },
		);
		rules.push(
			`${from} ip daddr . udp dport @asked4 ${IS_CONTROL} counter drop`,
			`${from} ip6 daddr . udp dport @asked6 ${IS_CONTROL} counter drop`,
			`${from} ip daddr . meta l4proto . th dport @uninvited4 counter drop`,
			`${from} ip6 daddr . meta l4proto . th dport @uninvited6 counter drop`,
		);
	}
	return { sets, chains: [{ name: "hold_back", hook: "prerouting priority raw", rules }] };
}
