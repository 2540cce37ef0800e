/**
 * The firewall rules that give a reply the address and port that its client knows, and lead the client's packets to the
 * socket that replies (R3, R32). Stateless but for the peers: no connection tracking.
 *
 *   port     A packet is delivered to the port that the service has at this backend; the reply from there gets the
 *            service's own port.
 *   address  A UDP server on the wildcard address replies from an address of the backend's own. A client that sent
 *            through the tunnel knows the service address only, so its replies get that one. The set `peers` has these
 *            clients: {client's address . client's port . local port}. A packet of the client to an address of the
 *            backend's own removes it: what a redirected client sends is answered from there.
 *
 * If several services share a local port, a client that uses more than one of them from one port gets its replies from
 * the one that it has used last. The set `last` has it: {… . service address}.
 *
 *   socket   A server that connects its wildcard socket to a client ties it to an address of the backend's own: packets
 *            to the service address no longer match. A reply to a peer from such a socket adds the peer to that
 *            address's set `connected`; from then on the client's packets get that address as their destination, unless
 *            a socket is bound to the service address. This happens in the hook input: IPv4 datagrams are whole there,
 *            and the socket is looked up later. An element that outlives its socket does no harm: a wildcard socket
 *            receives these packets, too, and its replies are a peer's.
 *
 * Sets, and not a map from peer to service address: nft 1.0.6 aborts at a dynamic map with an IPv6 address and a port in
 * its key, and has no lookup with a constant in the key.
 *
 * TCP needs no address: a connection's packets leave from the address that its SYN was sent to.
 *
 * Must never: rewrite a packet that leaves from a service address, one to a client that is no peer, or one for a socket
 * that is bound to a service address.
 */
import { type Backend, type Config, redirectionsOf, type Service } from "../config/index.js";
import type { FirewallRules, FirewallSet } from "../host/firewall.js";
import { placeSet } from "../host/place-sets.js";
import { formatAddress, parsePrefix } from "../wire/index.js";

/** The kernel allocates a set's hash table for its full size. */
const MAX_PEERS = 2 ** 20;
const MAX_CONNECTED = 2 ** 16;
/** Replies of a prefix are rewritten if it has at most 2 to this power addresses: an IPv4 /26, an IPv6 /122. */
const PREFIX_BITS = 6;

const NFT = { 4: { ip: "ip", address: "ipv4_addr" }, 6: { ip: "ip6", address: "ipv6_addr" } } as const;

type Family = Service["family"];
/** A service at this backend, and its ports there. */
interface Place {
	readonly service: Service;
	readonly first: number;
	readonly last: number;
}
/** Places whose ports overlap. */
interface Group {
	readonly name: string;
	readonly ports: string;
	readonly places: readonly Place[];
}
interface Part {
	readonly sets: readonly FirewallSet[];
	readonly jumpedTo: FirewallRules["chains"];
	readonly input: readonly string[];
	readonly output: readonly string[];
}

/** `connected`: the rules for connected sockets are among them, which need the kernel's nft_socket. */
export function replyRules(
	self: Backend,
	services: readonly Service[],
	sessions: Pick<Config["sessions"], "capacity" | "capacityIpv6">,
	connected = true,
): FirewallRules {
	const places = placesOf(self, services);
	const parts = ([4, 6] as const).flatMap((family): Part[] => {
		const ofFamily = places.filter(({ service }) => service.family === family);
		const udp = ofFamily.filter(({ service }) => service.protocol === "udp").flatMap(eachAddress);
		const capacity = family === 4 ? sessions.capacity : sessions.capacityIpv6;
		const own = connected ? self.addresses.filter((one) => one.includes(":") === (family === 6)) : [];
		return [
			...(udp.length > 0 ? [addressPart(family, udp, own, Math.min(capacity, MAX_PEERS))] : []),
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
		for (const redirection of redirectionsOf(service))
			for (const { backend, port } of redirection.choices) {
				const ports = port === 0 ? { first: service.port, last: service.portLast } : { first: port, last: port };
				const key = `${service.protocol} ${service.address} ${ports.first}-${ports.last}`;
				if (backend === self.name && !places.has(key)) places.set(key, { service, ...ports });
			}
	return [...places.values()];
}

/** Of a larger prefix none: a reply costs a look-up for each address until one matches. Its server replies by itself from
 * the address that the client sent to. */
function eachAddress(place: Place): Place[] {
	const { service } = place;
	const prefix = parsePrefix(service.address);
	if (service.addressLength === 128) return [place];
	if (prefix === undefined || service.addressLength < 128 - PREFIX_BITS) return [];
	return Array.from({ length: 2 ** (128 - service.addressLength) }, (_, i) => {
		const bytes = Uint8Array.from(prefix.bytes);
		bytes[15] = (bytes[15] as number) + i;
		return { ...place, service: { ...service, address: formatAddress(bytes) } };
	});
}

/** Rewrites the source address of replies to peers, and notes the peers. `own`: addresses that a connected socket may have. */
function addressPart(family: Family, places: readonly Place[], own: readonly string[], size: number): Part {
	const { ip, address } = NFT[family];
	const name = (what: string) => `${what}${family}`;
	const [peers, last] = [`@${name("peers")}`, `@${name("last")}`];
	const from = `${ip} saddr . udp sport . udp dport`;
	const to = `${ip} daddr . udp dport . udp sport`;
	const groups = overlapping(places);
	const lives = groupBy(places, ({ service }) => lifeMs(service));
	const sharedGroups = groups.filter((group) => ofAddresses(group.places).length > 1);
	const isService = (set: string) => `${ip} daddr . udp dport @${name(set)}`;
	const jumps = (chain: string, some: readonly Group[]) =>
		`vmap { ${some.map((group) => `${group.ports} : jump ${name(chain)}_${group.name}`).join(", ")} }`;
	// A session that the server's packets keep alive keeps its peer, too.
	const refresh = (service: Service, set: string, key: string) =>
		service.idleSentMs > 0 ? ` update ${set} { ${key} timeout ${lifeMs(service)}ms }` : "";
	const reply = ({ service }: Place) => [
		`${to} ${peers} ${ip} saddr set ${service.address}${refresh(service, peers, to)} counter return`,
	];
	// The source address is the set's key, so it is written before the lookup. Each peer has one of them as its last.
	const sharedReply = ({ service }: Place) => [
		`${ip} saddr set ${service.address}`,
		`${to} . ${ip} saddr ${last}${refresh(service, peers, to)}` +
			`${refresh(service, last, `${to} . ${ip} saddr`)} counter return`,
	];
	const replies = (some: readonly Place[]) => {
		const each = ofAddresses(some);
		return each.length === 1 ? each.flatMap(reply) : [`${to} != ${peers} return`, ...each.flatMap(sharedReply)];
	};
	const setOf = (set: string, some: readonly Place[]) =>
		placeSet(
			name(set),
			`${address} . inet_service`,
			some.map(({ service, first, last }) => ({ address: service.address, first, last })),
		);
	const peer = `${address} . inet_service . inet_service`;
	const sets: FirewallSet[] = [
		{ name: name("addresses"), type: address, elements: unique(places.map(({ service }) => service.address)) },
		{
			name: name("ports"),
			type: "inet_service",
			elements: groups.map(({ ports }) => ports),
			...(groups.some(({ ports }) => ports.includes("-")) ? { interval: true } : {}),
		},
		{ name: name("peers"), type: peer, elements: [], dynamic: size },
		...lives.map(([ms, some]) => setOf(`life_${ms}ms_`, some)),
	];
	const service = lives.map(([ms]) => `${isService(`life_${ms}ms_`)} update ${peers} { ${from} timeout ${ms}ms }`);
	const connected = connectedPart(family, own, Math.max(...lives.map(([ms]) => ms)), Math.min(size, MAX_CONNECTED));
	service.push(...connected.input);
	sets.push(...connected.sets);
	if (sharedGroups.length > 0) {
		const shared = sharedGroups.flatMap((group) => group.places);
		const key = `${from} . ${ip} daddr`;
		sets.push(setOf("shared", shared), {
			name: name("last"),
			type: `${peer} . ${address}`,
			elements: [],
			dynamic: size,
		});
		const noted = Math.max(...shared.map(({ service }) => lifeMs(service)));
		service.unshift(
			`${isService("shared")} ${key} != ${last} udp dport ${jumps("forget", sharedGroups)}`,
			`${isService("shared")} update ${last} { ${key} timeout ${noted}ms }`,
		);
	}
	return {
		sets,
		jumpedTo: [
			...connected.jumpedTo,
			...sharedGroups.map((group) => ({
				name: `${name("forget")}_${group.name}`,
				rules: ofAddresses(group.places).map(({ service }) => `delete ${last} { ${from} . ${service.address} }`),
			})),
			{ name: name("service"), rules: service },
			...groups.map((group) => ({
				name: `${name("reply")}_${group.name}`,
				rules: [...connected.output, ...replies(group.places)],
			})),
		],
		input: [
			`meta l4proto udp ${ip} daddr @${name("addresses")} goto ${name("service")}`,
			`udp dport @${name("ports")} delete ${peers} { ${from} }`,
		],
		output: [`${ip} saddr != @${name("addresses")} udp sport ${jumps("reply", groups)}`],
	};
}

/**
 * Leads packets of peers to the connected sockets that reply to them. `output` comes before the rewrite, in chains for
 * replies from an address of the backend's own; `input` after the peer was noted, in a chain for packets to a service
 * address.
 *
 * `socket` on a packet that has none looks one up by the input device, which a packet that leaves does not have; older
 * kernels do not test for that. So only packets of a process (skuid) get there. IPv6 fragments pass the hook one by one,
 * and all but the first without ports: they stay as they are.
 */
function connectedPart(family: Family, own: readonly string[], lifeMs: number, size: number): Part {
	const { ip, address } = NFT[family];
	const from = `${ip} saddr . udp sport . udp dport`;
	const to = `${ip} daddr . udp dport . udp sport`;
	const chain = `connect${family}`;
	const setOf = (one: string) => `connected${family}_${one.replaceAll(/[.:]/g, "_")}`;
	const others = (one: string) => own.filter((other) => other !== one);
	return {
		sets: own.map((one) => ({
			name: setOf(one),
			type: `${address} . inet_service . inet_service`,
			elements: [],
			dynamic: size,
		})),
		jumpedTo: [
			...own.map((one) => ({
				name: `to_${setOf(one)}`,
				rules: [
					"socket wildcard 0 return",
					...(family === 6 ? ["exthdr frag exists return"] : []),
					`update @${setOf(one)} { ${from} timeout ${lifeMs}ms } ${ip} daddr set ${one}`,
				],
			})),
			...(own.length === 0
				? []
				: [
						{
							name: chain,
							rules: own.map(
								(one) =>
									`${ip} saddr ${one} ${to} @peers${family} update @${setOf(one)} { ${to} timeout ${lifeMs}ms }` +
									others(one)
										.map((other) => ` delete @${setOf(other)} { ${to} }`)
										.join(""),
							),
						},
					]),
		],
		input: own.map((one) => `${from} @${setOf(one)} goto to_${setOf(one)}`),
		output: own.length === 0 ? [] : [`meta skuid != 4294967295 socket wildcard 0 jump ${chain}`],
	};
}

/** How long a peer lives: as long as its session, or longer. */
function lifeMs({ idleMs, idleSentMs }: Service): number {
	return Math.max(idleMs, idleSentMs);
}

/** Rewrites the source port of replies from a service address. */
function portPart(family: Family, protocol: Service["protocol"], places: readonly Place[]): Part {
	const { ip, address } = NFT[family];
	const elements = places
		.filter(({ service, first }) => service.protocol === protocol && service.port !== first)
		.map(({ service, first }) => `${service.address} . ${first} : ${service.port}`);
	if (elements.length === 0) return { sets: [], jumpedTo: [], input: [], output: [] };
	const name = `${protocol}_service_ports${family}`;
	const wide = elements.some((element) => element.includes("/"));
	const sport = `${protocol} sport`;
	return {
		sets: [{ name, type: `${address} . inet_service : inet_service`, elements, ...(wide ? { interval: true } : {}) }],
		jumpedTo: [],
		input: [],
		output: [`${sport} set ${ip} saddr . ${sport} map @${name}`],
	};
}

/** In the order of ports; each group's ports are from its first place's first to the last of all. */
function overlapping(places: readonly Place[]): Group[] {
	const groups: { first: number; last: number; places: Place[] }[] = [];
	for (const place of [...places].sort((a, b) => a.first - b.first)) {
		const group = groups.at(-1);
		if (group === undefined || place.first > group.last) {
			groups.push({ first: place.first, last: place.last, places: [place] });
			continue;
		}
		group.places.push(place);
		group.last = Math.max(group.last, place.last);
	}
	return groups.map(({ first, last, places }) => ({
		name: first === last ? String(first) : `${first}_${last}`,
		ports: first === last ? String(first) : `${first}-${last}`,
		places,
	}));
}

/** One of each service address, the one whose sessions live longest. */
function ofAddresses(places: readonly Place[]): Place[] {
	const longest = new Map<string, Place>();
	for (const place of places) {
		const other = longest.get(place.service.address);
		if (other === undefined || lifeMs(other.service) < lifeMs(place.service)) longest.set(place.service.address, place);
	}
	return [...longest.values()];
}

function groupBy(places: readonly Place[], keyOf: (place: Place) => number): [number, Place[]][] {
	const groups = new Map<number, Place[]>();
	for (const place of places) {
		const group = groups.get(keyOf(place));
		if (group === undefined) groups.set(keyOf(place), [place]);
		else group.push(place);
	}
	return [...groups];
}

function unique(values: readonly string[]): string[] {
	return [...new Set(values)];
}
