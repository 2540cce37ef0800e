/**
 * The firewall rules that give a reply the address and port that its client knows (R3, R32). Stateless but for the
 * peers: no connection tracking.
 *
 *   port     A packet is delivered to the port that the service has at this backend; the reply from there gets the
 *            service's own port.
 *   address  A UDP server on the wildcard address replies from an address of the backend's own. A client that sent
 *            through the tunnel knows the service address only, so its replies get that one. `peers` has these clients:
 *            {client's address . client's port . local port} : service address. A packet of the client to an address
 *            of the backend's own removes it: what a redirected client sends is answered from there.
 *
 * If several services share a local port, a client that uses more than one of them from one port gets its replies from
 * the one that it has used last. Replacing a map's value takes a removal, which costs memory until the kernel collects
 * it, so `last` holds which service that is, and only another one removes the peer.
 *
 * TCP needs no address: a connection's packets leave from the address that its SYN was sent to.
 *
 * Must never: rewrite a packet that leaves from a service address, or one to a client that is no peer.
 */
import type { Backend, Config, Service } from "../config/index.js";
import type { FirewallRules, FirewallSet } from "../host/firewall.js";

/** The kernel allocates a set's hash table for its full size. */
const MAX_PEERS = 2 ** 20;

const NFT = { 4: { ip: "ip", address: "ipv4_addr" }, 6: { ip: "ip6", address: "ipv6_addr" } } as const;

type Family = Service["family"];
/** A service at this backend. */
interface Place {
	readonly service: Service;
	readonly port: number;
}
interface Part {
	readonly sets: readonly FirewallSet[];
	readonly jumpedTo: FirewallRules["chains"];
	readonly input: readonly string[];
	readonly output: readonly string[];
}

export function replyRules(
	self: Backend,
	services: readonly Service[],
	sessions: Pick<Config["sessions"], "capacity" | "capacityIpv6">,
): FirewallRules {
	const places = placesOf(self, services);
	const parts = ([4, 6] as const).flatMap((family): Part[] => {
		const ofFamily = places.filter(({ service }) => service.family === family);
		const udp = ofFamily.filter(({ service }) => service.protocol === "udp");
		const capacity = family === 4 ? sessions.capacity : sessions.capacityIpv6;
		return [
			...(udp.length > 0 ? [addressPart(family, udp, Math.min(capacity, MAX_PEERS))] : []),
			...(["udp", "tcp"] as const).map((protocol) => portPart(family, protocol, ofFamily)),
		];
	});
	const hook = (name: "input" | "output") => ({
		name: `reply_${name}`,
		hook: `${name} priority raw`,
		rules: parts.flatMap((part) => part[name]),
	});
	return {
		sets: parts.flatMap((part) => part.sets),
		chains: [...parts.flatMap((part) => part.jumpedTo), hook("input"), hook("output")],
	};
}

/** Each once, by protocol, address and local port: the first service has it. */
function placesOf(self: Backend, services: readonly Service[]): Place[] {
	const places = new Map<string, Place>();
	for (const service of services)
		for (const redirection of [service.redirection, ...service.rules.map((rule) => rule.redirection)])
			for (const { backend, port } of redirection.choices) {
				const key = `${service.protocol} ${service.address} ${port}`;
				if (backend === self.name && !places.has(key)) places.set(key, { service, port });
			}
	return [...places.values()];
}

/** Rewrites the source address of replies to peers, and notes the peers. */
function addressPart(family: Family, places: readonly Place[], size: number): Part {
	const { ip, address } = NFT[family];
	const name = (what: string) => `${what}${family}`;
	const from = `${ip} saddr . udp sport . udp dport`;
	const to = `${ip} daddr . udp dport . udp sport`;
	const peer = `${address} . inet_service . inet_service`;
	const groups = byLifetime(places);
	const shared = sharingPort(places);
	const listed = (some: readonly Place[]) => some.map(({ service, port }) => `${service.address} . ${port}`);
	const sets: FirewallSet[] = [
		{ name: name("addresses"), type: address, elements: unique(places.map(({ service }) => service.address)) },
		{ name: name("ports"), type: "inet_service", elements: unique(places.map(({ port }) => String(port))) },
		{ name: name("peers"), type: `${peer} : ${address}`, elements: [], dynamic: size },
		...groups.map((group) => ({
			name: name(group.name),
			type: `${address} . inet_service`,
			elements: listed(group.places),
		})),
	];
	const input = groups.map((group) => {
		const update = `update @${name("peers")} { ${from} timeout ${group.lifeMs}ms : ${ip} daddr }`;
		return `${ip} daddr . udp dport @${name(group.name)} ${update}`;
	});
	const jumpedTo = [];
	const remove = `delete @${name("peers")} { ${from} : ${ip} daddr }`;
	if (shared.length > 0) {
		sets.push(
			{ name: name("shared"), type: `${address} . inet_service`, elements: listed(shared) },
			{ name: name("last"), type: `${peer} . ${address}`, elements: [], dynamic: size },
		);
		const lifeMs = Math.max(...groups.map((group) => group.lifeMs));
		const isShared = `${ip} daddr . udp dport @${name("shared")}`;
		input.unshift(
			`${isShared} ${from} . ${ip} daddr != @${name("last")} jump ${name("other_service")}`,
			`${isShared} update @${name("last")} { ${from} . ${ip} daddr timeout ${lifeMs}ms }`,
		);
		const others = unique(shared.map(({ service }) => service.address));
		jumpedTo.push({
			name: name("other_service"),
			rules: [remove, ...others.map((other) => `delete @${name("last")} { ${from} . ${other} }`)],
		});
	}
	input.push(`${ip} daddr != @${name("addresses")} udp dport @${name("ports")} ${remove}`);
	// A session that the server's packets keep alive keeps its peer, too.
	jumpedTo.push({
		name: name("rewritten"),
		rules: groups
			.filter((group) => group.refreshed)
			.map((group) => {
				const update = `update @${name("peers")} { ${to} timeout ${group.lifeMs}ms : ${ip} saddr }`;
				return `${ip} saddr . udp sport @${name(group.name)} ${update}`;
			}),
	});
	const output = [
		`udp sport @${name("ports")} ${ip} saddr != @${name("addresses")}` +
			` ${ip} saddr set ${to} map @${name("peers")} counter jump ${name("rewritten")}`,
	];
	return { sets, jumpedTo, input, output };
}

/** Rewrites the source port of replies from a service address. */
function portPart(family: Family, protocol: Service["protocol"], places: readonly Place[]): Part {
	const { ip, address } = NFT[family];
	const elements = places
		.filter(({ service, port }) => service.protocol === protocol && service.port !== port)
		.map(({ service, port }) => `${service.address} . ${port} : ${service.port}`);
	if (elements.length === 0) return { sets: [], jumpedTo: [], input: [], output: [] };
	const name = `${protocol}_service_ports${family}`;
	const sport = `${protocol} sport`;
	return {
		sets: [{ name, type: `${address} . inet_service : inet_service`, elements }],
		jumpedTo: [],
		input: [],
		output: [`${sport} set ${ip} saddr . ${sport} map @${name}`],
	};
}

/** Grouped by how long a peer lives: as long as its session, or longer. */
function byLifetime(places: readonly Place[]) {
	const groups = new Map<string, { name: string; lifeMs: number; refreshed: boolean; places: Place[] }>();
	for (const place of places) {
		const { idleMs, idleSentMs } = place.service;
		const lifeMs = Math.max(idleMs, idleSentMs);
		const refreshed = idleSentMs > 0;
		const name = `life_${lifeMs}ms_${refreshed ? "refreshed_" : ""}`;
		const group = groups.get(name) ?? { name, lifeMs, refreshed, places: [] };
		group.places.push(place);
		groups.set(name, group);
	}
	return [...groups.values()];
}

/** The services whose local port is another service's, too. */
function sharingPort(places: readonly Place[]): Place[] {
	const uses = new Map<number, number>();
	for (const { port } of places) uses.set(port, (uses.get(port) ?? 0) + 1);
	return places.filter(({ port }) => (uses.get(port) ?? 0) > 1);
}

function unique(values: readonly string[]): string[] {
	return [...new Set(values)];
}
