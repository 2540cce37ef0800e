// datagram.ts - node:dgram's socket, whose datagrams go to the target that a service's gateway names.
//
// The application sends to the service's address; datagram-paths.ts decides where each datagram goes, and attributes
// what is received to its service. Queries to the gateway use the same socket, so they have the same mapping in a NAT.
//
// Owns: the dgram socket, and dgram's interface. Must never: choose a path, or deliver a stranger's datagram if the
// application has connected the socket.

import {
	type BindOptions,
	createSocket as createDgram,
	type RemoteInfo,
	type Socket,
	type SocketOptions,
	type SocketType,
} from "node:dgram";
import { lookup as dnsLookup } from "node:dns";
import { EventEmitter } from "node:events";
import { type AddressInfo, isIP } from "node:net";
import { canonicalEndpoint, type Endpoint, sameEndpoint } from "../wire/index.js";
import { codedError } from "./coded-error.js";
import { type Message, parseSendArguments, type SendCallback } from "./datagram-arguments.js";
import { DatagramPaths } from "./datagram-paths.js";
import type { DatagramEvents, TypedEmitter } from "./emitter.js";
import type { Counters } from "./machine/index.js";
import { type RedirectionOptions, resolveOptions } from "./options.js";

export type DatagramOptions = SocketOptions & { readonly redirection?: RedirectionOptions };

/** As createSocket of node:dgram, with `options.redirection`. */
export function createSocket(
	options: SocketType | DatagramOptions,
	callback?: (message: Buffer, rinfo: RemoteInfo) => void,
): RedirectedSocket {
	const socket = new RedirectedSocket(typeof options === "string" ? { type: options } : options);
	if (callback !== undefined) socket.on("message", callback);
	return socket;
}

const DatagramEmitter: new () => TypedEmitter<DatagramEvents> = EventEmitter;

export class RedirectedSocket extends DatagramEmitter {
	readonly #socket: Socket;
	readonly #type: SocketType;
	readonly #lookup: NonNullable<SocketOptions["lookup"]>;
	readonly #paths: DatagramPaths;
	/** The connected peer, in canonical text, and as the application wrote it. */
	#remote: Endpoint | undefined;
	#remoteShown: Endpoint | undefined;
	/** Sends that wait for connect() to finish; undefined: it is not under way. */
	#connecting: (() => void)[] | undefined;
	#closed = false;

	constructor(options: DatagramOptions) {
		super();
		const { redirection, ...rest } = options;
		this.#type = options.type;
		this.#lookup = options.lookup ?? (dnsLookup as NonNullable<SocketOptions["lookup"]>);
		this.#paths = new DatagramPaths(resolveOptions(redirection, "socket"), {
			transmit: (to, bytes, callback) =>
				this.#socket.send(bytes, to.port, addressFor(this.#type, to.address), callback),
			localAddress: (target) => this.#localAddress(target),
			notify: (service, event) => this.emit(event.name, { ...event, service }),
		});
		this.#socket = createDgram(rest);
		this.#socket.on("message", (message, from) => this.#receive(message, from));
		this.#socket.on("error", (error) => this.emit("error", error));
		this.#socket.on("listening", () => this.emit("listening"));
		this.#socket.on("close", () => {
			this.#end();
			this.emit("close");
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
	send(message: Message, port?: number, address?: string, callback?: SendCallback): void;
	send(message: Message, port?: number, callback?: SendCallback): void;
	send(message: Message, callback?: SendCallback): void;
	send(
		message: string | NodeJS.ArrayBufferView,
		offset: number,
		length: number,
		port?: number,
		address?: string,
		callback?: SendCallback,
	): void;
	send(
		message: string | NodeJS.ArrayBufferView,
		offset: number,
		length: number,
		port?: number,
		callback?: SendCallback,
	): void;
	send(message: string | NodeJS.ArrayBufferView, offset: number, length: number, callback?: SendCallback): void;
	send(message: Message, ...rest: unknown[]): void {
		if (this.#closed) throw codedError("ERR_SOCKET_DGRAM_NOT_RUNNING", "Not running");
		const connected = this.#remoteShown !== undefined;
		const { bytes, callback, port, address } = parseSendArguments(message, rest, connected);
		if (!connected) {
			this.#resolve(address, port, callback, (to, shown) => this.#paths.send(to, shown, bytes, callback));
			return;
		}
		const send = () => this.#paths.send(this.#remote as Endpoint, this.#remoteShown as Endpoint, bytes, callback);
		if (this.#connecting !== undefined) this.#connecting.push(send);
		else send();
	}

	connect(port: number, address?: string, callback?: () => void): void;
	connect(port: number, callback: () => void): void;
	connect(port: number, address?: string | (() => void), callback?: () => void): void {
		const listener = typeof address === "function" ? address : callback;
		if (this.#remoteShown !== undefined) throw codedError("ERR_SOCKET_DGRAM_IS_CONNECTED", "Already connected");
		if (listener !== undefined) this.once("connect", listener);
		this.#remoteShown = { address: typeof address === "string" ? address : "", port };
		this.#connecting = [];
		const failed = (error: Error | null) => {
			this.#remoteShown = this.#connecting = undefined;
			if (error !== null) this.emit("error", error);
		};
		this.#resolve(typeof address === "string" ? address : undefined, port, failed, (to, shown) => {
			const ready = () => {
				if (this.#closed) return;
				this.#remote = to;
				this.#remoteShown = shown;
				const waiting = this.#connecting ?? [];
				this.#connecting = undefined;
				this.emit("connect");
				for (const send of waiting) send();
			};
			this.#whenBound(() => process.nextTick(ready));
		});
	}

	disconnect(): void {
		if (this.#remote === undefined) throw codedError("ERR_SOCKET_DGRAM_NOT_CONNECTED", "Not connected");
		this.#remote = this.#remoteShown = undefined;
	}

	remoteAddress(): AddressInfo {
		if (this.#remote === undefined) throw codedError("ERR_SOCKET_DGRAM_NOT_CONNECTED", "Not connected");
		const { address, port } = this.#remoteShown as Endpoint;
		return { address, port, family: address.includes(":") ? "IPv6" : "IPv4" };
	}

	bind(port?: number, address?: string, callback?: () => void): this;
	bind(port?: number, callback?: () => void): this;
	bind(callback?: () => void): this;
	bind(options: BindOptions, callback?: () => void): this;
	bind(...rest: unknown[]): this {
		(this.#socket.bind as (...args: unknown[]) => Socket).apply(this.#socket, rest);
		return this;
	}

	/** As Node's own, where it has one (since 24.19 and 26.4). */
	bindSync(options?: object): AddressInfo {
		const { bindSync } = this.#socket as { bindSync?: (options?: object) => AddressInfo };
		if (bindSync === undefined)
			throw codedError("ERR_METHOD_NOT_IMPLEMENTED", `Node.js ${process.version} has no dgram.Socket.bindSync`);
		return bindSync.call(this.#socket, options);
	}

	connectSync(port: number, address: string = this.#type === "udp6" ? "::1" : "127.0.0.1"): void {
		if (this.#remoteShown !== undefined) throw codedError("ERR_SOCKET_DGRAM_IS_CONNECTED", "Already connected");
		const to = isIP(address) ? canonicalEndpoint(address, port) : undefined;
		if (to === undefined)
			throw codedError("ERR_INVALID_ARG_VALUE", `${address} port ${port} is not an IP address and port`, TypeError);
		if (!this.#isBound()) this.bindSync();
		this.#remote = to;
		this.#remoteShown = { address, port };
		process.nextTick(() => {
			if (!this.#closed) this.emit("connect");
		});
	}

	close(callback?: () => void): this {
		if (callback !== undefined) this.once("close", callback);
		this.#end();
		this.#socket.close();
		return this;
	}

	ref(): this {
		this.#socket.ref();
		this.#paths.ref();
		return this;
	}

	unref(): this {
		this.#socket.unref();
		this.#paths.unref();
		return this;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.#closed) return;
		await new Promise<void>((resolve) => this.close(resolve));
	}

	address = (): AddressInfo => this.#socket.address();
	addMembership = (group: string, iface?: string): void => this.#socket.addMembership(group, iface);
	dropMembership = (group: string, iface?: string): void => this.#socket.dropMembership(group, iface);
	addSourceSpecificMembership = (source: string, group: string, iface?: string): void =>
		this.#socket.addSourceSpecificMembership(source, group, iface);
	dropSourceSpecificMembership = (source: string, group: string, iface?: string): void =>
		this.#socket.dropSourceSpecificMembership(source, group, iface);
	setBroadcast = (flag: boolean): void => this.#socket.setBroadcast(flag);
	setMulticastInterface = (iface: string): void => this.#socket.setMulticastInterface(iface);
	setMulticastLoopback = (flag: boolean): boolean => this.#socket.setMulticastLoopback(flag);
	setMulticastTTL = (ttl: number): number => this.#socket.setMulticastTTL(ttl);
	setTTL = (ttl: number): number => this.#socket.setTTL(ttl);
	setRecvBufferSize = (size: number): void => this.#socket.setRecvBufferSize(size);
	setSendBufferSize = (size: number): void => this.#socket.setSendBufferSize(size);
	getRecvBufferSize = (): number => this.#socket.getRecvBufferSize();
	getSendBufferSize = (): number => this.#socket.getSendBufferSize();
	getSendQueueSize = (): number => this.#socket.getSendQueueSize();
	getSendQueueCount = (): number => this.#socket.getSendQueueCount();

	#receive(message: Buffer, rinfo: RemoteInfo): void {
		const from = canonicalEndpoint(rinfo.address.split("%")[0] as string, rinfo.port);
		const delivery = from === undefined ? undefined : this.#paths.receive(message, from);
		if (from === undefined || delivery === undefined) return;
		if (this.#remote !== undefined && !sameEndpoint(delivery.service ?? from, this.#remote)) return;
		const { address, port } = delivery.shown ?? rinfo;
		this.emit("message", message, {
			address,
			family: address.includes(":") ? "IPv6" : "IPv4",
			port,
			size: message.length,
		} satisfies RemoteInfo);
	}

	#localAddress(target: Endpoint): string | undefined {
		let address: string;
		try {
			address = this.#socket.address().address;
		} catch {
			return undefined; // not bound yet
		}
		const plain = address.startsWith("::ffff:") ? address.slice(7) : address;
		const any = plain === "0.0.0.0" || plain === "::";
		return any || plain.includes(":") !== target.address.includes(":") ? undefined : plain;
	}

	#resolve(
		address: string | undefined,
		port: number,
		failed: SendCallback | undefined,
		then: (to: Endpoint, shown: Endpoint) => void,
	) {
		const name = address || (this.#type === "udp6" ? "::1" : "127.0.0.1");
		const literal = isIP(name) ? canonicalEndpoint(name, port) : undefined;
		if (literal !== undefined) {
			then(literal, { address: name, port });
			return;
		}
		this.#lookup(name, { family: this.#type === "udp6" ? 6 : 4 }, (error, found) => {
			const to = error === null || error === undefined ? canonicalEndpoint(found as string, port) : undefined;
			if (to !== undefined) then(to, { address: found as string, port });
			else if (failed !== undefined) failed(error ?? codedError("ENOTFOUND", `${name} has no address`), 0);
			else this.emit("error", error);
		});
	}

	#isBound(): boolean {
		try {
			this.#socket.address();
			return true;
		} catch {
			return false;
		}
	}

	#whenBound(then: () => void): void {
		if (this.#isBound()) {
			then();
			return;
		}
		this.#socket.once("listening", then);
		try {
			this.#socket.bind();
		} catch {
			// A bind is under way already.
		}
	}

	#end(): void {
		this.#closed = true;
		this.#paths.close();
	}
}

/** A udp6 socket sends to IPv4 by the mapped form. */
function addressFor(type: SocketType, address: string): string {
	return type === "udp6" && !address.includes(":") ? `::ffff:${address}` : address;
}
