/**
 * The firewall rules of a gateway: its kernel drops what the engine takes.
 *
 * Must never: match what the engine passes on to this kernel: a ping, or a port that is no service's.
 */
import type { Service } from "../config/index.js";
import { type FirewallRules, fromInterfaces } from "../host/firewall.js";

/** Drops packets to the services' ports, the later fragments of such packets, and control datagrams to service
 * addresses. */
export function gatewayRules(
	services: readonly Service[],
	interfaces: readonly string[],
	controlPort: number,
): FirewallRules {
	const ofFamily = (family: 4 | 6) => services.filter((service) => service.family === family);
	const addresses = (family: 4 | 6) => [...new Set(ofFamily(family).map(({ address }) => address))];
	const ports = (family: 4 | 6) => [
		...new Set([
			...ofFamily(family).map(({ address, protocol, port }) => `${address} . ${protocol} . ${port}`),
			...addresses(family).map((address) => `${address} . udp . ${controlPort}`),
		]),
	];
	const from = fromInterfaces(interfaces);
	return {
		sets: [
			{ name: "services4", type: "ipv4_addr . inet_proto . inet_service", elements: ports(4) },
			{ name: "services6", type: "ipv6_addr . inet_proto . inet_service", elements: ports(6) },
			{ name: "addresses4", type: "ipv4_addr", elements: addresses(4) },
			{ name: "addresses6", type: "ipv6_addr", elements: addresses(6) },
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
