// connection-path.ts - the path of one connection: the target, the next one, the gateway.
//
// If the target is known, Node's own attempt goes there, and costs what it costs without the library. Everything else
// (a target that fails, a name with several addresses) is attempted by a socket of its own, whose handle the program's
// socket takes over.
//
// Owns: the order of attempts, and what the socket emits about them. Must never: fail a connection that the gateway
// would serve, except in mode required; or run a program's listener inside a promise, which would swallow its errors.

import type { Socket } from "node:net";
import { getSystemErrorName } from "node:util";
import { type Endpoint, sameEndpoint } from "../wire/index.js";
import { type AttemptOptions, attempt } from "./attempt.js";
import { codedError } from "./coded-error.js";
import { adoptHandle, divertConnect, renewHandle } from "./handle.js";

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
	/** Node's own attempt went to a target and has ended: Node makes no other one. */
	#diverted = false;
	readonly #abandon = () => this.#withdraw();

	constructor(finder: PathFinder, service: Endpoint, options: AttemptOptions, listener: PathListener) {
		this.#finder = finder;
		this.#service = service;
		this.#options = options;
		this.#listener = listener;
		this.#withdraw = () => {};
		this.#find();
	}

	/** A target is known, and the program's own options do not forbid to attempt it. */
	get canDivert(): boolean {
		return this.#found?.error === null && !this.staysAtGateway && this.#options.blockList === undefined;
	}

	/** Known already: the connection goes to the gateway. */
	get staysAtGateway(): boolean {
		return this.#found !== undefined && this.#found.error === null && sameEndpoint(this.#found.to, this.#service);
	}

	/** Node is about to connect `socket` to the service: its attempt goes to the target, if one is known. */
	divert(socket: Socket): boolean {
		if (this.#found === undefined || !this.canDivert) return false;
		const target = this.#found.to;
		const family = target.address.includes(":") ? 6 : 4;
		let open = true;
		const fail = (event: string, ...values: unknown[]) => {
			socket.emit(event, target.address, target.port, family, ...values);
			if (!socket.destroyed) this.#leave(socket, target);
		};
		const late = () => {
			if (!open || socket.destroyed) return;
			open = false;
			fail("connectionAttemptTimeout");
		};
		const ended = (status: number): boolean => {
			if (!open) return false;
			open = false;
			clearTimeout(timer);
			if (socket.destroyed) return true;
			if (status === 0) this.#finder.accepted(this.#service, this.#options.localAddress, target);
			else fail("connectionAttemptFailed", connectError(status, target));
			return status === 0;
		};
		// The handle keeps the process alive for as long as the attempt does.
		const timer = setTimeout(late, this.#finder.connectTimeoutMs).unref();
		if (divertConnect(socket, target, ended)) return true;
		open = false;
		clearTimeout(timer);
		return false;
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

	/** The target that Node's own attempt went to has failed. */
	#leave(socket: Socket, target: Endpoint): void {
		renewHandle(socket);
		this.#diverted = true;
		this.#started = true;
		this.#targets++;
		this.attach(socket);
		this.#finder.failed(this.#service, this.#options.localAddress, target);
		this.#find();
	}

	#attempt(to: Endpoint): void {
		const { localAddress } = this.#options;
		const { address, port } = this.#service;
		this.#targets++;
		this.#withdraw = attempt(to, this.#options, this.#finder.connectTimeoutMs, {
			event: (name, ...values) => {
				// As Node's own attempt, the first one is that of the destination.
				if (name === "connectionAttempt" && this.#targets === 1) values.splice(0, 2, address, port);
				this.#emit(name, ...values);
			},
			connected: (inner) => this.#adopt(inner, () => this.#finder.accepted(this.#service, localAddress, to)),
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

	/** In Node's place. */
	#attemptService(): void {
		this.#withdraw = attempt(this.#service, this.#options, 0, {
			event: (name, ...values) => this.#emit(name, ...values),
			connected: (inner) => this.#adopt(inner, () => {}),
			failed: (error) => this.#socket?.destroy(error),
		});
	}

	#emit(name: string, ...values: unknown[]): void {
		if (!this.#socket?.destroyed) this.#socket?.emit(name, ...values);
	}

	#adopt(inner: Socket, accepted: () => void): void {
		const socket = this.#socket;
		if (socket === undefined || socket.destroyed || !socket.connecting) {
			inner.destroy();
			return;
		}
		socket.removeListener("close", this.#abandon);
		accepted();
		this.#listener.adopting(socket);
		adoptHandle(socket, inner);
		socket.emit("connect");
		socket.emit("ready");
		if (!socket.destroyed && !socket.isPaused()) socket.read(0);
	}

	#answer(error: Error | null): void {
		if (this.#diverted && error === null) {
			this.#attemptService();
			return;
		}
		this.#socket?.removeListener("close", this.#abandon);
		if (this.#diverted) {
			this.#socket?.destroy(error ?? undefined);
			return;
		}
		this.#listener.answer(error);
	}
}

/** As Node's own error of an attempt. */
function connectError(status: number, { address, port }: Endpoint): Error {
	const code = getSystemErrorName(status);
	const error = codedError(code, `connect ${code} ${address}:${port}`);
	return Object.assign(error, { errno: status, syscall: "connect", address, port });
}
