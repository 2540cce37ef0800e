// control-sockets.ts - the agent's sockets for control datagrams: to a service's gateway, and to targets.
//
// Owns: one connected UDP socket per peer, so that answers come from that peer only, refusals are reported, and the
// source address of queries is known. Must never: interpret a header.

import { createSocket, type Socket } from "node:dgram";
import { type Endpoint, endpointText } from "../wire/index.js";

interface Peer {
	readonly socket: Socket;
	readonly ready: Promise<void>;
	lastUsed: number;
}

const MAX_PEERS = 8;

export class ControlSockets {
	readonly #peers = new Map<string, Peer>();
	#closed = false;

	constructor(
		/** The address to send from; undefined: the host's choice. */
		readonly source: string | undefined,
		readonly onDatagram: (bytes: Uint8Array, from: Endpoint) => void,
		readonly onRefusal: (at: Endpoint) => void,
	) {}

	send(bytes: Uint8Array, to: Endpoint): void {
		const peer = this.#peer(to);
		peer.lastUsed = Date.now();
		peer.ready.then(
			() => {
				if (!this.#closed && this.#peers.get(endpointText(to)) === peer) peer.socket.send(bytes);
			},
			() => this.#refused(to),
		);
	}

	/** The local address of the socket to this peer; undefined if there is none yet. */
	sourceTo(to: Endpoint): string | undefined {
		try {
			return this.#peers.get(endpointText(to))?.socket.address().address;
		} catch {
			return undefined;
		}
	}

	close(): void {
		this.#closed = true;
		for (const { socket } of this.#peers.values()) socket.close();
		this.#peers.clear();
	}

	#peer(to: Endpoint): Peer {
		const key = endpointText(to);
		const known = this.#peers.get(key);
		if (known !== undefined) return known;
		if (this.#peers.size >= MAX_PEERS) {
			const [oldest] = [...this.#peers].sort(([, a], [, b]) => a.lastUsed - b.lastUsed);
			if (oldest !== undefined) {
				this.#peers.delete(oldest[0]);
				oldest[1].socket.close();
			}
		}
		const socket = createSocket(to.address.includes(":") ? "udp6" : "udp4");
		const ready = new Promise<void>((resolve, reject) => {
			socket.once("error", reject);
			const connect = () =>
				socket.connect(to.port, to.address, (error?: Error) => (error === undefined ? resolve() : reject(error)));
			if (this.source === undefined) connect();
			else socket.bind({ address: this.source }, connect);
		});
		ready.catch(() => {}); // reported by send()
		socket.on("message", (bytes) => this.onDatagram(bytes, to));
		socket.on("error", () => this.#refused(to));
		const peer = { socket, ready, lastUsed: 0 };
		this.#peers.set(key, peer);
		return peer;
	}

	/** The peer's host refuses datagrams (ICMP), or there is no route to it. */
	#refused(to: Endpoint): void {
		if (!this.#closed) this.onRefusal(to);
	}
}
