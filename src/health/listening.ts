/**
 * Whether a backend's services have a socket there: what its daemon says of them in load reports and in `status`.
 *
 *   sock_diag → sockets → listening → the places without a socket → load reports → evidence at each gateway
 *
 * Owns: which socket receives a service's packets, and which places a report names.
 * Must never: name a place that has no socket while its program lives: a UDP socket that a program opens only for a
 * client that came by TCP (iperf3) is not missed while the TCP port is there.
 */

/** Where a service's packets are delivered at a backend. */
export interface ServicePlace {
	/** The service's key. */
	readonly service: string;
	readonly protocol: "udp" | "tcp";
	/** The service's address, in canonical spelling. */
	readonly address: string;
	/** The service's port at this backend. */
	readonly port: number;
	/** auto: named when its socket has gone; require: also when it never had one; ignore: never. */
	readonly bound: "auto" | "require" | "ignore";
}

export interface LocalSocket {
	readonly protocol: "udp" | "tcp";
	/** In canonical spelling; "::" and "0.0.0.0": any. */
	readonly address: string;
	readonly port: number;
	/** An IPv6 socket that receives IPv4 as well. */
	readonly both: boolean;
	/** A UDP socket that its program has connected to a client. */
	readonly connected: boolean;
}

export interface Listening extends ServicePlace {
	readonly bound: ServicePlace["bound"];
	readonly listens: boolean;
	/** When it became so: milliseconds, of the caller's clock. */
	readonly since: number;
	/** A socket was there at some time. */
	readonly ever: boolean;
	/** Addresses of sockets at this port that do not receive the service's packets. */
	readonly elsewhere: readonly string[];
}

/** By place. */
export type ListeningState = ReadonlyMap<string, Listening>;

export function listening(
	before: ListeningState,
	places: readonly ServicePlace[],
	sockets: readonly LocalSocket[],
	now: number,
): ListeningState {
	return new Map(
		places.map((place): [string, Listening] => {
			const key = `${place.service} ${place.port}`;
			const was = before.get(key);
			const atPort = sockets.filter((one) => one.protocol === place.protocol && one.port === place.port);
			const listens = atPort.some((socket) => receives(socket, place.address) || serves(socket, place.address));
			const elsewhere = listens ? [] : [...new Set(atPort.map(({ address }) => address))].sort();
			const since = was?.listens === listens ? was.since : now;
			return [key, { ...place, listens, since, ever: listens || (was?.ever ?? false), elsewhere }];
		}),
	);
}

/** Is it connected to a client that may use this service? Packets of that client are led to it. */
function serves({ address, connected }: LocalSocket, service: string): boolean {
	return connected && address.includes(":") === service.includes(":");
}

/** Does a packet to this address reach the socket? */
export function receives({ address, both }: Pick<LocalSocket, "address" | "both">, service: string): boolean {
	if (address === service) return true;
	if (service.includes(":")) return address === "::";
	return address === "0.0.0.0" || (address === "::" && both);
}

/** Places without a socket. */
export function unbound(state: ListeningState): Listening[] {
	const tcp = new Set(
		[...state.values()]
			.filter((one) => one.protocol === "tcp" && one.listens)
			.map(({ address, port }) => `${address} ${port}`),
	);
	return [...state.values()].filter(
		({ protocol, address, port, listens, bound }) =>
			!listens && bound !== "ignore" && (protocol === "tcp" || !tcp.has(`${address} ${port}`)),
	);
}

/** Those of them that gateways are told of. */
export function missing(state: ListeningState): Listening[] {
	return unbound(state).filter(({ ever, bound }) => ever || bound === "require");
}

/** For an operator of the backend, of a place without a socket. */
export function listeningAdvice({ protocol, address, port, elsewhere }: Listening): string {
	const at = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
	const nothing = `nothing listens at ${protocol} ${at} on this host`;
	if (elsewhere.length === 0) return `${nothing}; start the service's program`;
	return `${nothing}, only at ${elsewhere.join(", ")}; bind its program to the wildcard address or to ${address}`;
}
