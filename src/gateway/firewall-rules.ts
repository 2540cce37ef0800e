/**
 * The firewall rules of a gateway: its kernel drops what the engine takes.
 *
 * Must never: match what the engine passes on to this kernel: a ping, or a port that is no service's.
 */
import type { Service } from "../config/index.js";
import { type FirewallRules, fromInterfaces } from "../host/firewall.js";
import { type Place, placeSet } from "../host/place-sets.js";

/** Drops packets to the services' ports, the later fragments of such packets, and control datagrams to service
 * addresses. */
export function gatewayRules(
	services: readonly Service[],
	interfaces: readonly string[],
	controlPort: number,
): FirewallRules {
	const ofFamily = (family: 4 | 6) => services.filter((service) => service.family === family);
	const addresses = (family: 4 | 6) => [...new Set(ofFamily(family).map(({ address }) => address))];
	const places = (family: 4 | 6): Place[] => [
		...ofFamily(family).map(({ address, protocol, port, portLast }) => ({
			address,
			protocol,
			first: port,
			last: portLast,
		})),
		...addresses(family).map((address) => ({ address, protocol: "udp", first: controlPort, last: controlPort })),
	];
	const from = fromInterfaces(interfaces);
	return {
		sets: [
			placeSet("services4", "ipv4_addr . inet_proto . inet_service", places(4)),
			placeSet("services6", "ipv6_addr . inet_proto . inet_service", places(6)),
			placeSet(
				"addresses4",
				"ipv4_addr",
				addresses(4).map((address) => ({ address })),
			),
			placeSet(
				"addresses6",
				"ipv6_addr",
				addresses(6).map((address) => ({ address })),
			),
		],
		chains: [
			{
				name: "engine_input",
				hook: "prerouting priority raw",
				rules: [
					`${from} ip daddr . meta l4proto . th dport @services4 counter drop`,
					`${from} ip6 daddr . meta l4proto . th dport @services6 counter drop`,
					`${from} ip frag-off & 0x1fff != 0 meta l4proto { tcp, udp } ip daddr @addresses4 counter drop`,
					`${from} frag frag-off != 0 meta l4proto { tcp, udp } ip6 daddr @addresses6 counter drop`,
				],
			},
		],
	};
}
