// connection.ts - node:net's connect, for a service whose gateway may name a target.
//
// net.connect hands out its socket before there is a connection, and such a socket can't try a second way. So this one is a shell around
// the socket that a Dialer has connected.
//
// Owns: the interface of net.Socket. Must never: choose a way (dialer.ts does).

import {
	type AddressInfo,
	type IpcNetConnectOpts,
	type NetConnectOpts,
	connect as netConnect,
	Socket,
	type TcpNetConnectOpts,
} from "node:net";
import { Dialer } from "./dialer.js";
import type { RedirectionOptions } from "./options.js";

export type ConnectionOptions = NetConnectOpts & {
	readonly redirection?: RedirectionOptions;
	readonly dialer?: Dialer;
};

/** As net.connect; `options.redirection` says the rest. Connections that share their options object, or a Dialer, share what they learn
 * of services; so do all that say nothing. */
export function connect(options: ConnectionOptions, listener?: () => void): Socket;
export function connect(port: number, host?: string, listener?: () => void): Socket;
export function connect(path: string, listener?: () => void): Socket;
export function connect(first: ConnectionOptions | number | string, ...rest: unknown[]): Socket {
	const listener = rest.find((one): one is () => void => typeof one === "function");
	let options: ConnectionOptions;
	if (typeof first === "object") options = first;
	else if (typeof first === "string" && !/^\d+$/.test(first)) options = { path: first };
	else options = { port: Number(first), ...(typeof rest[0] === "string" ? { host: rest[0] } : {}) };
	if ((options as IpcNetConnectOpts).path !== undefined) return netConnect(options, listener);
	const socket = new Connection(options as TcpNetConnectOpts & ConnectionOptions);
	if (listener !== undefined) socket.once("connect", listener);
	return socket;
}
export const createConnection = connect;

const dialers = new WeakMap<object, Dialer>();
const NOTHING: RedirectionOptions = {};

export function dialerOf({ dialer, redirection = NOTHING }: Pick<ConnectionOptions, "dialer" | "redirection">): Dialer {
	if (dialer !== undefined) return dialer;
	const known = dialers.get(redirection);
	if (known !== undefined) return known;
	const made = new Dialer(redirection);
	dialers.set(redirection, made);
	return made;
}

export class Connection extends Socket {
	#inner: Socket | undefined;
	readonly #stop = new AbortController();
	/** What was asked of the socket before there was one. */
	#wishes: ((inner: Socket) => void)[] = [];

	constructor(options: TcpNetConnectOpts & ConnectionOptions) {
		super({ allowHalfOpen: options.allowHalfOpen ?? false });
		const {
			dialer: _,
			redirection: __,
			signal: ___,
			...plain
		} = options as TcpNetConnectOpts & ConnectionOptions & { signal?: unknown };
		(this as { connecting: boolean }).connecting = true;
		dialerOf(options)
			.dial(plain, this.#stop.signal)
			.then(
				(inner) => this.#adopt(inner),
				(error: Error) => this.destroy(error),
			);
	}

	#adopt(inner: Socket): void {
		if (this.destroyed) {
			inner.destroy();
			return;
		}
		this.#inner = inner;
		inners.set(this, inner);
		(this as { connecting: boolean }).connecting = false;
		for (const wish of this.#wishes) wish(inner);
		this.#wishes = [];
		inner.on("data", (chunk: Buffer) => {
			if (!this.push(chunk)) inner.pause();
		});
		inner.on("end", () => this.push(null));
		inner.on("error", (error) => this.destroy(error));
		inner.on("timeout", () => this.emit("timeout"));
		inner.on("close", () => {
			if (!this.readableEnded && !this.destroyed && this.writableFinished) this.push(null);
			if (!this.destroyed && inner.destroyed) setImmediate(() => this.destroy());
		});
		this.emit("connect");
		this.emit("ready");
	}

	#with(wish: (inner: Socket) => void): this {
		if (this.#inner !== undefined) wish(this.#inner);
		else this.#wishes.push(wish);
		return this;
	}

	override _read(): void {
		this.#inner?.resume();
	}

	override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
		this.#with((inner) => inner.write(chunk, encoding, done));
	}

	override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (error?: Error | null) => void): void {
		this.#with((inner) => {
			inner.cork();
			for (const [i, { chunk, encoding }] of chunks.entries())
				inner.write(chunk, encoding, i === chunks.length - 1 ? done : undefined);
			inner.uncork();
		});
	}

	override _final(done: (error?: Error | null) => void): void {
		this.#with((inner) => inner.end(() => done()));
	}

	override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
		(this as { connecting: boolean }).connecting = false;
		this.#stop.abort();
		this.#inner?.destroy();
		done(error);
		process.nextTick(() => this.emit("close", error !== null)); // as net.Socket does, once its handle is closed
	}

	override setTimeout(timeout: number, callback?: () => void): this {
		if (callback !== undefined) {
			if (timeout === 0) this.removeListener("timeout", callback);
			else this.once("timeout", callback);
		}
		return this.#with((inner) => inner.setTimeout(timeout));
	}

	override setNoDelay(flag?: boolean): this {
		return this.#with((inner) => inner.setNoDelay(flag));
	}

	override setKeepAlive(enable?: boolean, delay?: number): this {
		return this.#with((inner) => inner.setKeepAlive(enable, delay));
	}

	override ref(): this {
		return this.#with((inner) => inner.ref());
	}

	override unref(): this {
		return this.#with((inner) => inner.unref());
	}

	override resetAndDestroy(): this {
		this.#inner?.resetAndDestroy();
		this.destroy();
		return this;
	}

	override address(): AddressInfo | Record<string, never> {
		return this.#inner?.address() ?? {};
	}
}

const inners = new WeakMap<Connection, Socket>();

Object.defineProperty(Connection.prototype, "pending", {
	configurable: true,
	get(this: Connection) {
		return inners.get(this)?.pending ?? true;
	},
});
// What net.Socket has as getters of its handle.
for (const name of [
	"remoteAddress",
	"remotePort",
	"remoteFamily",
	"localAddress",
	"localPort",
	"localFamily",
	"bytesRead",
	"bytesWritten",
] as const)
	Object.defineProperty(Connection.prototype, name, {
		configurable: true,
		get(this: Connection) {
			return inners.get(this)?.[name] ?? (name.startsWith("bytes") ? 0 : undefined);
		},
	});
