// connection.ts - node:net's connect and Socket, for a service whose gateway may name a target.
//
// Owns: the overloads of connect, and which connections share a Dialer. Must never: choose a path (connection-path.ts
// does), or stand between the program and Node's socket.

import { type IpcNetConnectOpts, type NetConnectOpts, Socket, type SocketConstructorOpts } from "node:net";
import { Dialer } from "./dialer.js";
import type { RedirectionOptions } from "./options.js";
import { redirectConnect } from "./redirected-connect.js";
import type { DestinationSource } from "./services.js";

export type ConnectionOptions = NetConnectOpts & RedirectedBy;

/** What decides where a connection goes. */
interface RedirectedBy {
	readonly redirection?: RedirectionOptions | undefined;
	readonly dialer?: Dialer | undefined;
}

/** As net.connect, with `options.redirection` or `options.dialer`. Connections with the same options object, or the
 * same Dialer, share their machines; so do all connections without either. */
export function connect(options: ConnectionOptions, listener?: () => void): Socket;
export function connect(port: number, host?: string, listener?: () => void): Socket;
export function connect(path: string, listener?: () => void): Socket;
export function connect(...given: unknown[]): Socket {
	const [options, listener] = connectArguments(given);
	const socket = new Connection(options as SocketConstructorOpts);
	if (options.timeout) socket.setTimeout(options.timeout);
	return socket.connect(options as ConnectionOptions, listener);
}
export const createConnection = connect;

/** A net.Socket whose connect() follows redirects, by its own options or by those that it was made with: for libraries
 * that take a socket and connect it themselves. */
export class Connection extends Socket {
	readonly #by: RedirectedBy;

	constructor(options: SocketConstructorOpts & RedirectedBy = {}) {
		super(options);
		this.#by = options;
	}

	override connect(options: ConnectionOptions, listener?: () => void): this;
	override connect(port: number, host: string, listener?: () => void): this;
	override connect(port: number, listener?: () => void): this;
	override connect(path: string, listener?: () => void): this;
	override connect(...given: unknown[]): this {
		const [options, listener] = connectArguments(given);
		const by = options.dialer === undefined && options.redirection === undefined ? this.#by : options;
		const { options: redirected, attach } = redirectConnect(dialerOf(by, "socket"), options);
		if (listener === undefined) super.connect(redirected as NetConnectOpts);
		else super.connect(redirected as NetConnectOpts, listener);
		attach(this);
		return this;
	}
}

/** All options of connect, whichever kind of connection it is. */
type AnyOptions = Partial<IpcNetConnectOpts> & RedirectedBy;

/** The options and the listener, in each overload of net.connect. */
function connectArguments(given: unknown[]): [AnyOptions, (() => void) | undefined] {
	const [first, second] = given;
	const last = given.at(-1);
	const listener = typeof last === "function" ? (last as () => void) : undefined;
	if (given.length === 0) return [{}, undefined];
	if (typeof first === "object" && first !== null) return [first as AnyOptions, listener];
	if (typeof first === "string" && !(Number(first) >= 0)) return [{ path: first }, listener];
	return [{ port: first, ...(typeof second === "string" ? { host: second } : {}) } as AnyOptions, listener];
}

const dialers = {
	socket: new WeakMap<RedirectionOptions, Dialer>(),
	agent: new WeakMap<RedirectionOptions, Dialer>(),
};
const DEFAULTS: RedirectionOptions = {};

/** The Dialer that is given, or the one of these options. */
export function dialerOf({ dialer, redirection = DEFAULTS }: RedirectedBy, source: DestinationSource): Dialer {
	if (dialer !== undefined) return dialer;
	const known = dialers[source].get(redirection);
	if (known !== undefined) return known;
	const created = new Dialer(redirection, source);
	dialers[source].set(redirection, created);
	return created;
}
