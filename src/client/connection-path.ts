// connection-path.ts - the path of one connection: the target, the next one, the gateway.
//
// Owns: the order of attempts, and what the socket emits about them. Must never: fail a connection that the gateway
// would serve, except in mode required; or run a program's listener inside a promise, which would swallow its errors.

import type { Socket } from "node:net";
import { type Endpoint, sameEndpoint } from "../wire/index.js";
import { type AttemptOptions, attempt } from "./attempt.js";
import { adoptHandle } from "./handle.js";

/** Targets that one connection attempts. */
const MAX_TARGETS = 6;

export type FoundPath = (error: Error | null, to: Endpoint) => void;

/** What decides where a connection goes (dialer.ts). */
export interface PathFinder {
	/** A target that has not accepted a connection by then has failed. */
	readonly connectTimeoutMs: number;
	isService(destination: Endpoint, name: string | undefined): boolean;
	/** Calls back once, before it returns if the path is known. `local`: the address that the connection is bound to.
	 * Returns a function that withdraws. */
	find(service: Endpoint, local: string | undefined, callback: FoundPath): () => void;
	accepted(service: Endpoint, local: string | undefined, target: Endpoint): void;
	failed(service: Endpoint, local: string | undefined, target: Endpoint): void;
}

export interface PathListener {
	/** Node connects to the service, or the connection fails. */
	answer(error: Error | null): void;
	/** The socket is about to be connected to a target. */
	adopting(socket: Socket): void;
}

export class ConnectionPath {
	readonly #finder: PathFinder;
	readonly #service: Endpoint;
	readonly #options: AttemptOptions;
	readonly #listener: PathListener;
	#socket: Socket | undefined;
	#started = false;
	#found: { readonly error: Error | null; readonly to: Endpoint } | undefined;
	/** Withdraws from what is under way. */
	#withdraw: () => void;
	#targets = 0;
	readonly #abandon = () => this.#withdraw();

	constructor(finder: PathFinder, service: Endpoint, options: AttemptOptions, listener: PathListener) {
		this.#finder = finder;
		this.#service = service;
		this.#options = options;
		this.#listener = listener;
		this.#withdraw = () => {};
		this.#find();
	}

	/** Known already: the connection goes to the gateway. */
	get staysAtGateway(): boolean {
		return this.#found !== undefined && this.#found.error === null && sameEndpoint(this.#found.to, this.#service);
	}

	/** The socket looks the service up. */
	start(): void {
		this.#started = true;
		if (this.#found !== undefined) this.#follow(this.#found);
	}

	attach(socket: Socket): void {
		this.#socket = socket;
		if (this.#started) socket.once("close", this.#abandon);
	}

	#find(): void {
		this.#found = undefined;
		const withdraw = this.#finder.find(this.#service, this.#options.localAddress, (error, to) => {
			this.#found = { error, to };
			if (this.#started) this.#follow(this.#found);
		});
		if (this.#found === undefined) this.#withdraw = withdraw;
	}

	#follow({ error, to }: { readonly error: Error | null; readonly to: Endpoint }): void {
		const gateway = sameEndpoint(to, this.#service);
		if (error !== null || gateway || this.#targets >= MAX_TARGETS) this.#answer(error);
		else this.#attempt(to);
	}

	#attempt(to: Endpoint): void {
		const { localAddress } = this.#options;
		this.#targets++;
		this.#withdraw = attempt(to, this.#options, this.#finder.connectTimeoutMs, {
			event: (name, ...values) => {
				if (!this.#socket?.destroyed) this.#socket?.emit(name, ...values);
			},
			connected: (inner) => {
				const socket = this.#socket;
				if (socket === undefined || socket.destroyed || !socket.connecting) {
					inner.destroy();
					return;
				}
				socket.removeListener("close", this.#abandon);
				this.#finder.accepted(this.#service, localAddress, to);
				this.#listener.adopting(socket);
				adoptHandle(socket, inner);
				socket.emit("connect");
				socket.emit("ready");
				if (!socket.destroyed && !socket.isPaused()) socket.read(0);
			},
			failed: (error) => {
				// A program that blocks the address has not learned anything about the target.
				if (error.code === "ERR_IP_BLOCKED") this.#answer(null);
				else {
					this.#finder.failed(this.#service, localAddress, to);
					this.#find();
				}
			},
		});
	}

	#answer(error: Error | null): void {
		this.#socket?.removeListener("close", this.#abandon);
		this.#listener.answer(error);
	}
}
