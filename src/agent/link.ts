// link.ts - control datagrams of the agent's own: to a service's gateway, and to targets.
//
// Owns: one connected UDP socket for each peer, so that answers come from there alone, refusals are heard, and the address
// that was asked from is known. Must never: read a header's meaning.

import { createSocket, type Socket } from "node:dgram";
import { type Endpoint, textOf } from "../client/index.js";

interface Peer {
	readonly socket: Socket;
	readonly ready: Promise<void>;
	used: number;
}

const PEERS = 8;

export class Link {
	readonly #peers = new Map<string, Peer>();
	#closed = false;

	constructor(
		/** The address to ask from; undefined: the host's choice. */
		readonly source: string | undefined,
		readonly heard: (bytes: Uint8Array, from: Endpoint) => void,
		readonly refused: (at: Endpoint) => void,
	) {}

	send(bytes: Uint8Array, to: Endpoint): void {
		const peer = this.#peer(to);
		peer.used = Date.now();
		peer.ready.then(
			() => {
				if (!this.#closed && this.#peers.get(textOf(to)) === peer) peer.socket.send(bytes);
			},
			() => this.#gone(to),
		);
	}

	/** The address from which this peer is spoken to; undefined before it is. */
	sourceTo(to: Endpoint): string | undefined {
		try {
			return this.#peers.get(textOf(to))?.socket.address().address;
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
		const key = textOf(to);
		const known = this.#peers.get(key);
		if (known !== undefined) return known;
		if (this.#peers.size >= PEERS) {
			const [oldest] = [...this.#peers].sort(([, a], [, b]) => a.used - b.used);
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
		ready.catch(() => {}); // told at send()
		socket.on("message", (bytes) => this.heard(bytes, to));
		socket.on("error", () => this.#gone(to));
		const peer = { socket, ready, used: 0 };
		this.#peers.set(key, peer);
		return peer;
	}

	// Nothing there takes datagrams, or there is no way to it.
	#gone(to: Endpoint): void {
		if (!this.#closed) this.refused(to);
	}
}
