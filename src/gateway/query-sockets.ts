/**
 * Connected UDP sockets, one for each queried address: a connected socket hears of an ICMP port unreachable, so a host
 * whose daemon is gone is distinguished from a silent one.
 *
 * Owns: the sockets. Must never: read a datagram, or keep a socket whose source address may be out of date.
 */
import { createSocket, type Socket } from "node:dgram";

export interface QuerySocketsOptions {
	readonly onMessage: (datagram: Buffer, address: string, port: number) => void;
	/** The host of this address refused a query: no socket has that port. */
	readonly onRefused: (address: string) => void;
	/** Gets problems of this host's own. */
	readonly warn: (problem: string) => void;
}

interface Peer {
	readonly socket: Socket;
	readonly port: number;
	connected: boolean;
	/** To be sent when connected. */
	waiting: Buffer | undefined;
}

/** An address that cannot be reached does not answer, which is for others to judge. */
const UNREACHABLE = new Set(["ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "ENETDOWN", "EHOSTDOWN"]);

export class QuerySockets {
	readonly #options: QuerySocketsOptions;
	/** By address. */
	readonly #peers = new Map<string, Peer>();

	constructor(options: QuerySocketsOptions) {
		this.#options = options;
	}

	send(datagram: Buffer, port: number, address: string): void {
		if (this.#peers.get(address)?.port !== port) this.reopen(address);
		const peer = this.#peers.get(address) ?? this.#open(address, port);
		if (peer.connected) this.#transmit(peer, datagram, address);
		else peer.waiting = datagram;
	}

	/** The next query goes out by a new socket, with the source address that the routes of then give it. */
	reopen(address: string): void {
		const peer = this.#peers.get(address);
		this.#peers.delete(address);
		peer?.socket.close();
	}

	/** Closes the sockets of all other addresses. */
	retain(addresses: ReadonlySet<string>): void {
		for (const address of [...this.#peers.keys()]) if (!addresses.has(address)) this.reopen(address);
	}

	close(): void {
		this.retain(new Set());
	}

	#open(address: string, port: number): Peer {
		const family = address.includes(":") ? 6 : 4;
		const socket = createSocket({ type: `udp${family}` });
		const peer: Peer = { socket, port, connected: false, waiting: undefined };
		this.#peers.set(address, peer);
		socket.on("message", (datagram, from) => this.#options.onMessage(datagram, from.address, from.port));
		socket.on("error", (error) => this.#failed(peer, address, error));
		socket.connect(port, address, ((error?: Error) => {
			if (error) this.#failed(peer, address, error);
			if (error || this.#peers.get(address) !== peer) return;
			peer.connected = true;
			if (peer.waiting !== undefined) this.#transmit(peer, peer.waiting, address);
			peer.waiting = undefined;
		}) as () => void);
		socket.unref();
		return peer;
	}

	#transmit(peer: Peer, datagram: Buffer, address: string): void {
		// An error that arrived for an earlier query is reported by the next call, whichever it is.
		peer.socket.send(datagram, (error) => {
			if (error) this.#failed(peer, address, error);
		});
	}

	#failed(peer: Peer, address: string, { code, message }: NodeJS.ErrnoException): void {
		if (this.#peers.get(address) !== peer) return;
		if (code === "ECONNREFUSED") {
			this.#options.onRefused(address);
			return;
		}
		this.reopen(address);
		if (!UNREACHABLE.has(code ?? "")) this.#options.warn(`load queries to ${address} cannot be sent: ${message}`);
	}
}
