// connection.ts - node:net's connect, for a service whose gateway may name a target.
//
// net.connect returns its socket before it is connected, and such a socket cannot attempt a second address. So this one
// wraps the socket that a Dialer connects.
//
// Owns: the interface of net.Socket. Must never: choose a path (dialer.ts does).

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

/** As net.connect, with `options.redirection` or `options.dialer`. Connections with the same options object, or the
 * same Dialer, share their machines; so do all connections without either. */
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
const DEFAULTS: RedirectionOptions = {};

export function dialerOf({
	dialer,
	redirection = DEFAULTS,
}: Pick<ConnectionOptions, "dialer" | "redirection">): Dialer {
	if (dialer !== undefined) return dialer;
	const known = dialers.get(redirection);
	if (known !== undefined) return known;
	const created = new Dialer(redirection);
	dialers.set(redirection, created);
	return created;
}

export class Connection extends Socket {
	#inner: Socket | undefined;
	readonly #abort = new AbortController();
	/** Calls made before the inner socket exists. */
	#deferred: ((inner: Socket) => void)[] = [];

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
			.dial(plain, this.#abort.signal)
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
		for (const call of this.#deferred) call(inner);
		this.#deferred = [];
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

	#withInner(call: (inner: Socket) => void): this {
		if (this.#inner !== undefined) call(this.#inner);
		else this.#deferred.push(call);
		return this;
	}

	override _read(): void {
		this.#inner?.resume();
	}

	override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
		this.#withInner((inner) => inner.write(chunk, encoding, done));
	}

	override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (error?: Error | null) => void): void {
		this.#withInner((inner) => {
			inner.cork();
			for (const [i, { chunk, encoding }] of chunks.entries())
				inner.write(chunk, encoding, i === chunks.length - 1 ? done : undefined);
			inner.uncork();
		});
	}

	override _final(done: (error?: Error | null) => void): void {
		this.#withInner((inner) => inner.end(() => done()));
	}

	override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
		(this as { connecting: boolean }).connecting = false;
		this.#abort.abort();
		this.#inner?.destroy();
		done(error);
		process.nextTick(() => this.emit("close", error !== null)); // as net.Socket does when its handle is closed
	}

	override setTimeout(timeout: number, callback?: () => void): this {
		if (callback !== undefined) {
			if (timeout === 0) this.removeListener("timeout", callback);
			else this.once("timeout", callback);
		}
		return this.#withInner((inner) => inner.setTimeout(timeout));
	}

	override setNoDelay(flag?: boolean): this {
		return this.#withInner((inner) => inner.setNoDelay(flag));
	}

	/** Newer versions of Node take more arguments, or one object. */
	override setKeepAlive(...options: [enable?: boolean | object, delay?: number, ...more: unknown[]]): this {
		return this.#withInner((inner) => inner.setKeepAlive(...(options as [boolean])));
	}

	override ref(): this {
		return this.#withInner((inner) => inner.ref());
	}

	override unref(): this {
		return this.#withInner((inner) => inner.unref());
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
// Getters that net.Socket derives from its handle.
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
