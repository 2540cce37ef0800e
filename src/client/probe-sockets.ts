// probe-sockets.ts - one connected UDP socket per target that is being probed: only a connected socket reports a
// refusal (ICMP).
//
// Owns: these sockets. Must never: interpret a header.

import { createSocket, type Socket } from "node:dgram";
import { decodeControl, type Endpoint, endpointText, type Header } from "../wire/index.js";

export interface ProbeListener {
	receive(header: Header, from: Endpoint): void;
	refused(at: Endpoint): void;
	/** The address to send from: the ticket is valid for the address that queried. undefined: the host's choice. */
	localAddress(target: Endpoint): string | undefined;
}

export class ProbeSockets {
	readonly #sockets = new Map<string, Socket>();
	readonly #listener: ProbeListener;
	#referenced: boolean;

	constructor(listener: ProbeListener, referenced: boolean) {
		this.#listener = listener;
		this.#referenced = referenced;
	}

	get size(): number {
		return this.#sockets.size;
	}

	send(target: Endpoint, datagram: Uint8Array): void {
		const socket = this.#sockets.get(endpointText(target));
		if (socket === undefined) {
			this.#open(target, datagram);
			return;
		}
		try {
			socket.send(datagram, ignore);
		} catch {
			// The socket is still connecting, and sends this same datagram then.
		}
	}

	close(target: Endpoint): void {
		const key = endpointText(target);
		const socket = this.#sockets.get(key);
		this.#sockets.delete(key);
		if (socket !== undefined) setImmediate(() => socket.close());
	}

	closeAll(): void {
		for (const socket of this.#sockets.values()) socket.close();
		this.#sockets.clear();
	}

	unref(): void {
		this.#referenced = false;
		for (const socket of this.#sockets.values()) socket.unref();
	}

	ref(): void {
		this.#referenced = true;
	}

	#open(target: Endpoint, datagram: Uint8Array): void {
		const socket = createSocket({ type: target.address.includes(":") ? "udp6" : "udp4" });
		this.#sockets.set(endpointText(target), socket);
		socket.on("error", () => {
			this.close(target);
			this.#listener.refused(target);
		});
		socket.on("message", (message) => {
			const control = decodeControl(message);
			if (control?.header.ok) this.#listener.receive(control.header.header, target);
		});
		if (!this.#referenced) socket.unref();
		const local = this.#listener.localAddress(target);
		const connect = () => socket.connect(target.port, target.address, () => socket.send(datagram, ignore));
		if (local === undefined) connect();
		else socket.bind({ address: local, exclusive: true }, connect);
	}
}

const ignore = () => {};
