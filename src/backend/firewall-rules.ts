/**
 * The firewall rules of a backend: its kernel drops what the engine takes.
 *
 * Must never: match a client's packet that the engine passes.
 */
import type { DirectEndpoint } from "../database/index.js";
import { type FirewallRules, type FirewallSet, fromInterfaces } from "../host/firewall.js";
import { type Place, placeSet } from "../host/place-sets.js";
import { COOKIE } from "../wire/index.js";

/** Matches the first four bytes behind the UDP header. */
const IS_CONTROL = `@th,64,32 0x${COOKIE.toString(16)}`;

/**
 * Drops packets to the tunnel port. A user-space engine sees a copy of each packet, so its kernel must also drop what
 * that engine answers (control datagrams, probes) and what it delivers by the tun device after its own check
 * (`uninvited: drop`). A kernel engine consumes these itself.
 *
 * `places`: where the services listen at this backend's own addresses; undefined: the engine is the kernel's.
 */
export function backendRules(
	addresses: readonly string[],
	interfaces: readonly string[],
	ports: { readonly tunnelPort: number; readonly controlPort: number },
	places: readonly DirectEndpoint[] | undefined,
): FirewallRules {
	const from = fromInterfaces(interfaces);
	const own = (family: 4 | 6) => addresses.filter((address) => address.includes(":") === (family === 6));
	const ofFamily = (family: 4 | 6) => (places ?? []).filter((place) => place.family === family);
	// A probe is a UDP datagram, whatever the service's protocol.
	const control = (family: 4 | 6): Place[] => [
		...own(family).map((address) => ({ address, first: ports.controlPort, last: ports.controlPort })),
		...ofFamily(family).map(({ address, port, portLast }) => ({ address, first: port, last: portLast })),
	];
	// A service of the other family is reached through the tunnel only: a direct packet to its port is not for it.
	const uninvited = (family: 4 | 6): Place[] =>
		ofFamily(family)
			.filter(({ service }) => service.invitedOnly && service.family === family)
			.map(({ service, address, port, portLast }) => ({
				address,
				protocol: service.protocol,
				first: port,
				last: portLast,
			}));
	const sets: FirewallSet[] = [
		{ name: "own4", type: "ipv4_addr", elements: own(4) },
		{ name: "own6", type: "ipv6_addr", elements: own(6) },
	];
	const rules = [
		`${from} ip daddr @own4 udp dport ${ports.tunnelPort} counter drop`,
		`${from} ip6 daddr @own6 udp dport ${ports.tunnelPort} counter drop`,
	];
	if (places !== undefined) {
		sets.push(
			placeSet("control4", "ipv4_addr . inet_service", control(4)),
			placeSet("control6", "ipv6_addr . inet_service", control(6)),
			placeSet("uninvited4", "ipv4_addr . inet_proto . inet_service", uninvited(4)),
			placeSet("uninvited6", "ipv6_addr . inet_proto . inet_service", uninvited(6)),
		);
		rules.push(
			`${from} ip daddr . udp dport @control4 ${IS_CONTROL} counter drop`,
			`${from} ip6 daddr . udp dport @control6 ${IS_CONTROL} counter drop`,
			`${from} ip daddr . meta l4proto . th dport @uninvited4 counter drop`,
			`${from} ip6 daddr . meta l4proto . th dport @uninvited6 counter drop`,
		);
	}
	return { sets, chains: [{ name: "engine_input", hook: "prerouting priority raw", rules }] };
}
