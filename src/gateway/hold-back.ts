/**
 * What a gateway's kernel must leave to the engine, as rules for the guard.
 *
 * Must never: match what the engine passes on to this kernel: a ping, or a port that is no service's.
 */
import type { Service } from "../config/index.js";
import type { GuardRules } from "../host/guard.js";

/** Packets to the services' ports, and the later fragments of such; and at the services' addresses control datagrams. */
export function holdBack(services: readonly Service[], interfaces: readonly string[], controlPort: number): GuardRules {
	const of = (family: 4 | 6) => services.filter((service) => service.family === family);
	const ports = (family: 4 | 6) => [
		...new Set([
			...of(family).map(({ address, protocol, port }) => `${address} . ${protocol} . ${port}`),
			...hosts(family).map((address) => `${address} . udp . ${controlPort}`),
		]),
	];
	const hosts = (family: 4 | 6) => [...new Set(of(family).map(({ address }) => address))];
	const from = `iifname { ${interfaces.map((name) => `"${name}"`).join(", ")} }`;
	return {
		sets: [
			{ name: "services4", type: "ipv4_addr . inet_proto . inet_service", elements: ports(4) },
			{ name: "services6", type: "ipv6_addr . inet_proto . inet_service", elements: ports(6) },
			{ name: "addresses4", type: "ipv4_addr", elements: hosts(4) },
			{ name: "addresses6", type: "ipv6_addr", elements: hosts(6) },
		],
		chains: [
			{
				name: "hold_back",
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
