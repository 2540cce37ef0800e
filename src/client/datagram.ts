// datagram.ts - node:dgram's socket, whose datagrams go to the target that a service's gateway names.
//
// The application sends to the service's address; datagram-paths.ts decides where each datagram goes, and attributes
// what is received to its service. Queries to the gateway use the same socket, so they have the same mapping in a NAT.
// The socket is a dgram.Socket: it changes the destination of what is sent and the source of what is received, and
// leaves all else, checks of arguments included, to Node.
//
// Owns: that change, and a connection to a service, which the kernel knows nothing of: it would refuse the target's
// datagrams. Must never: choose a path, or deliver a stranger's datagram if the application has connected the socket.

import { type BindOptions, type RemoteInfo, Socket, type SocketOptions, type SocketType } from "node:dgram";
import { type AddressInfo, isIP } from "node:net";
import { canonicalEndpoint, type Endpoint, sameEndpoint } from "../wire/index.js";
import { codedError } from "./coded-error.js";
import {
	addressedDatagram,
	connectedDatagram,
	type Datagram,
	isMessage,
	type Message,
	portOf,
	type SendArguments,
	type SendCallback,
} from "./datagram-arguments.js";
import { DatagramLookup } from "./datagram-lookup.js";
import { DatagramPaths, type DatagramService } from "./datagram-paths.js";
import type { DatagramEvents, TypedEmitter } from "./emitter.js";
import type { Counters } from "./machine/index.js";
import { type RedirectionOptions, resolveOptions } from "./options.js";

export type DatagramOptions = SocketOptions & { readonly redirection?: RedirectionOptions };

type Listener = (message: Buffer, rinfo: RemoteInfo) => void;

/** As createSocket of node:dgram, with `options.redirection`. */
export function createSocket(options: SocketType | DatagramOptions, callback?: Listener): RedirectedSocket {
	return new RedirectedSocket(options, callback);
}

/** The methods of Node's socket that this one changes. */
interface ChangedMethods {
	send(...given: unknown[]): void;
	connect(...given: unknown[]): void;
	disconnect(): void;
	remoteAddress(): AddressInfo;
	bind(...given: unknown[]): unknown;
	close(callback?: () => void): unknown;
	ref(): unknown;
	unref(): unknown;
}
type Emitter = TypedEmitter<DatagramEvents>;
/** Node's socket with the events of a service. */
interface EventSocket
	extends Omit<Socket, keyof Emitter | keyof ChangedMethods | keyof SyncMethods>,
		Emitter,
		ChangedMethods {}
/** Node's types declare no constructor. */
const NodeSocket = Socket as unknown as new (options: unknown, listener?: Listener) => EventSocket;

/** What Node's socket has since 24.19 and 26.4. */
interface SyncMethods {
	bindSync?(options?: object): AddressInfo;
	connectSync?(port: number, address?: string): void;
}

/** A destination that was sent to. */
interface Destination {
	readonly address: string;
	readonly port: number;
	readonly service: DatagramService | undefined;
}

/** A connection to a service. `end` tells Node's socket, for which it has been connecting all the time. */
interface Peer {
	readonly service: Endpoint;
	readonly shown: Endpoint;
	readonly name: string | undefined;
	readonly end: () => void;
}

/** What Node's socket is told when a connection to a service ends. */
const DISCONNECTED = new Error("disconnected");

export class RedirectedSocket extends NodeSocket {
	readonly #type: SocketType;
	readonly #lookup: DatagramLookup;
	readonly #paths: DatagramPaths;
	#listening = false;
	/** By Node and the kernel: not to a service. */
	#connected = false;
	#peer: Peer | undefined;
	#last: Destination | undefined;

	constructor(options: SocketType | DatagramOptions, listener?: Listener) {
		const given = (typeof options === "object" && options !== null ? options : { type: options }) as DatagramOptions;
		const { redirection, ...rest } = given;
		const lookup = new DatagramLookup(rest.lookup);
		super(
			typeof rest.lookup === "function" || rest.lookup === undefined ? { ...rest, lookup: lookup.run } : rest,
			listener,
		);
		this.#type = given.type;
		this.#lookup = lookup;
		this.#paths = new DatagramPaths(resolveOptions(redirection, "socket"), {
			transmit: (to, datagram) => this.#transmit(to, datagram),
			localAddress: (target) => this.#localAddress(target),
			notify: (service, event) => this.emit(event.name, { ...event, service }),
		});
	}

	/** The sum over all services. */
	get counters(): Counters {
		return this.#paths.counters;
	}

	/** The target that datagrams to this service go to; undefined: they go to the gateway. */
	target(address: string, port: number): Endpoint | undefined {
		const service = canonicalEndpoint(address, port);
		return service === undefined ? undefined : this.#paths.target(service);
	}

	// The overloads of dgram.Socket.
	override send(message: Message, port?: number, address?: string, callback?: SendCallback): void;
	override send(message: Message, port?: number, callback?: SendCallback): void;
	override send(message: Message, callback?: SendCallback): void;
	override send(
		message: string | NodeJS.ArrayBufferView,
		offset: number,
		length: number,
		port?: number,
		address?: string,
		callback?: SendCallback,
	): void;
	override send(
		message: string | NodeJS.ArrayBufferView,
		offset: number,
		length: number,
		port?: number,
		callback?: SendCallback,
	): void;
	override send(
		message: string | NodeJS.ArrayBufferView,
		offset: number,
		length: number,
		callback?: SendCallback,
	): void;
	override send(...given: SendArguments): void {
		if (this.#peer !== undefined) this.#sendToPeer(this.#peer, given);
		// Node calls again what is sent before the socket is bound.
		else if (this.#connected || !this.#listening || !this.#sendRouted(given)) this.#sendPlain(given);
	}

	/** As dgram's, whose callback receives an error too. */
	override connect(port: number, address?: string, callback?: () => void): void;
	override connect(port: number, callback?: () => void): void;
	override connect(port: number, address?: string | (() => void), callback?: () => void): void {
		const [name, listener] = typeof address === "function" ? ["", address] : [address, callback];
		const done = (error?: Error) => {
			if (error === DISCONNECTED) return;
			if (typeof listener === "function") (listener as (error?: Error) => void)(...(error ? [error] : []));
			else if (error !== undefined) this.emit("error", error);
		};
		this.#lookup.connecting(
			(found, answer, looked) => this.#connectTo(found, looked, portOf(port), answer),
			() => super.connect(port, name, done),
		);
	}

	override disconnect(): void {
		const peer = this.#peer;
		this.#connected = false;
		if (peer === undefined) {
			super.disconnect();
			return;
		}
		this.#peer = undefined;
		peer.end();
	}

	override remoteAddress(): AddressInfo {
		if (this.#peer === undefined) return super.remoteAddress();
		const { address, port } = this.#peer.shown;
		return { address, family: address.includes(":") ? "IPv6" : "IPv4", port };
	}

	override bind(port?: number, address?: string, callback?: () => void): this;
	override bind(port?: number, callback?: () => void): this;
	override bind(callback?: () => void): this;
	override bind(options: BindOptions, callback?: () => void): this;
	override bind(...given: unknown[]): this {
		this.#lookup.plainly(() => super.bind(...given));
		return this;
	}

	/** As Node's own, where it has one. */
	bindSync(options?: object): AddressInfo {
		const address = syncMethod("bindSync").call(this, options);
		this.#listening = true;
		return address;
	}

	connectSync(port: number, address?: string): void {
		const connectSync = syncMethod("connectSync");
		const host = address || (this.#type === "udp6" ? "::1" : "127.0.0.1");
		const number = portOf(port);
		const service = number === undefined || !this.#isRunning() ? undefined : this.#serviceOf(host, number);
		if (service === undefined || number === undefined || this.#peer !== undefined) {
			connectSync.call(this, port, address);
			return;
		}
		if (!this.#listening) this.bindSync();
		let answer: ((error: Error) => void) | undefined;
		let ended = false;
		const found = (_: string, given: (error: Error) => void) => {
			if (ended) given(DISCONNECTED);
			else answer = given;
		};
		this.#lookup.connecting(found, () => super.connect(number, host, () => {}));
		const end = () => {
			ended = true;
			answer?.(DISCONNECTED);
		};
		this.#peer = { service: service.driver.service, shown: { address: host, port: number }, name: undefined, end };
		process.nextTick(() => {
			if (this.#isRunning()) this.emit("connect");
		});
	}

	override close(callback?: () => void): this {
		super.close(callback);
		// Node may close in its constructor, or after the socket is bound.
		if (#paths in this && !this.#isRunning()) this.#paths.close();
		return this;
	}

	override ref(): this {
		this.#paths.ref();
		super.ref();
		return this;
	}

	override unref(): this {
		this.#paths.unref();
		super.unref();
		return this;
	}

	override emit(name: string | symbol, ...values: unknown[]): boolean {
		if (name === "message") return this.#receive(values[0] as Buffer, values[1] as RemoteInfo);
		if (name === "listening") this.#listening = true;
		else if (name === "connect" && this.#peer === undefined) this.#connected = true;
		return super.emit(name, ...values);
	}

	#receive(message: Buffer, rinfo: RemoteInfo): boolean {
		if (!this.#paths.isActive) return super.emit("message", message, rinfo);
		const source = this.#paths.receive(message, rinfo.address, rinfo.port);
		if (source === "control") return true;
		const service = source === "stranger" ? undefined : source;
		if (this.#peer !== undefined && !isTo(service, this.#peer.service)) return true;
		if (service !== undefined) {
			const { address, port } = service.shown;
			rinfo.address = address;
			rinfo.port = port;
			rinfo.family = address.includes(":") ? "IPv6" : "IPv4";
		}
		return super.emit("message", message, rinfo);
	}

	/** By Node, whatever the arguments are. */
	#sendPlain(given: SendArguments): void {
		this.#lookup.plainly(() => super.send(...given));
	}

	/** False if the destination is no service, or an argument is one that Node refuses. */
	#sendRouted(given: SendArguments): boolean {
		if (!this.#paths.isActive) return false;
		const datagram = addressedDatagram(given);
		if (datagram === undefined) return false;
		const { host, port } = datagram;
		const name = host || (this.#type === "udp6" ? "::1" : "127.0.0.1");
		if (this.#lookup.isOwn || isIP(name) === 0) {
			// Node looks the name up; what is found may be a service.
			const found = (address: string, answer: () => void) => {
				const service = this.#serviceOf(address, port, name);
				if (service === undefined) answer();
				else this.#paths.send(service, datagram);
			};
			this.#lookup.sending(found, () => super.send(...given));
			return true;
		}
		const service = this.#serviceOf(name, port);
		if (service !== undefined) this.#paths.send(service, datagram);
		return service !== undefined;
	}

	#sendToPeer({ shown, name }: Peer, given: SendArguments): void {
		const datagram = connectedDatagram(given);
		// Node's own errors: for it, this socket is connecting, and not connected.
		if (datagram === undefined) super.connect(shown.port);
		else if (!isMessage(datagram.message)) this.#sendPlain([datagram.message, shown.port, shown.address]);
		else {
			const service = this.#serviceOf(shown.address, shown.port, name);
			if (service !== undefined) this.#paths.send(service, datagram);
		}
	}

	/** What has been looked up for connect(). Without `answer`, Node's socket goes on connecting. */
	#connectTo(found: string, looked: string, port: number | undefined, answer: (error?: Error) => void): void {
		const name = isIP(looked) === 0 ? looked : undefined;
		const service = port === undefined ? undefined : this.#serviceOf(found, port, name);
		if (service === undefined || port === undefined) {
			answer();
			return;
		}
		process.nextTick(() => {
			if (!this.#isRunning()) return;
			const shown = { address: found, port };
			this.#peer = { service: service.driver.service, shown, name, end: () => answer(DISCONNECTED) };
			this.emit("connect");
		});
	}

	/** `address`: a literal one. */
	#serviceOf(address: string, port: number, name?: string): DatagramService | undefined {
		const last = this.#last;
		if (last !== undefined && last.port === port && last.address === address && !last.service?.closed)
			return last.service;
		const to = isIP(address) === (this.#type === "udp6" ? 6 : 4) ? canonicalEndpoint(address, port) : undefined;
		const service = to === undefined ? undefined : this.#paths.serviceOf(to, { address, port }, name);
		// Whether an address is a service may depend on its name.
		this.#last = service === undefined && name !== undefined ? undefined : { address, port, service };
		return service;
	}

	#transmit(to: Endpoint, { message, offset, length, callback }: Datagram): void {
		const address = this.#type === "udp6" && !to.address.includes(":") ? `::ffff:${to.address}` : to.address;
		this.#lookup.beginLiteral();
		try {
			if (offset === undefined) super.send(message, to.port, address, callback);
			else super.send(message, offset, length, to.port, address, callback);
		} finally {
			this.#lookup.endLiteral();
		}
	}

	#localAddress(target: Endpoint): string | undefined {
		if (!this.#listening) return undefined;
		const { address } = this.address();
		const plain = address.startsWith("::ffff:") ? address.slice(7) : address;
		const any = plain === "0.0.0.0" || plain === "::";
		return any || plain.includes(":") !== target.address.includes(":") ? undefined : plain;
	}

	#isRunning(): boolean {
		try {
			super.address();
			return true;
		} catch (error) {
			return (error as NodeJS.ErrnoException).code !== "ERR_SOCKET_DGRAM_NOT_RUNNING";
		}
	}
}

function syncMethod<Name extends keyof SyncMethods>(name: Name): NonNullable<SyncMethods[Name]> {
	const method = (Socket.prototype as SyncMethods)[name];
	if (method !== undefined) return method;
	throw codedError("ERR_METHOD_NOT_IMPLEMENTED", `Node.js ${process.version} has no dgram.Socket.${name}`);
}

function isTo(service: DatagramService | undefined, peer: Endpoint): boolean {
	return service !== undefined && sameEndpoint(service.driver.service, peer);
}
