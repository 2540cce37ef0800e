// datagram.ts - node:dgram's socket, whose datagrams go to the target that a service's gateway names.
//
// A datagram's way: the application sends to a service's address; that service's flow says where it goes now; what comes back from
// there is handed on as from the service. Questions to the gateway leave by the same socket, so they have the same mapping in a NAT.
//
// Owns: one dgram socket, its flows, and a socket per target that is being probed, which alone hears of a refusal (ICMP).
// Must never: show the application a control datagram that answers it, or take for the application's what came from a stranger
// where it has connected the socket.

import {
	createSocket as createDgram,
	type RemoteInfo,
	type Socket,
	type SocketOptions,
	type SocketType,
} from "node:dgram";
import { lookup as dnsLookup } from "node:dns";
import { EventEmitter } from "node:events";
import { type AddressInfo, isIP } from "node:net";
import { type Control, decodeControl, formatAddress } from "../wire/index.js";
import { type Endpoint, endpoint, same, textOf } from "./endpoint.js";
import { Flow } from "./flow.js";
import { COUNTERS, type Counters } from "./machine.js";
import { type RedirectionOptions, type Resolved, resolveOptions } from "./options.js";
import { carriedPayload } from "./returned.js";

export type DatagramOptions = SocketOptions & { readonly redirection?: RedirectionOptions };
type Sent = (error: Error | null, bytes: number) => void;
type Message = string | NodeJS.ArrayBufferView | readonly (string | NodeJS.ArrayBufferView)[];

/** How long replies of a target that is left are still taken as the service's. */
const LATE_MS = 30_000;
/** Services, and not others that were sent to and left alone since. */
const MOST_SERVICES = 1024;
/** Datagrams older than this are not sent again. */
const FRESH_MS = 2000;

interface Outgoing {
	readonly bytes: Buffer;
	readonly at: number;
}

interface Service {
	readonly flow: Flow;
	/** As the application spells it, in what it is handed. */
	readonly shown: { readonly address: string; readonly port: number };
	/** Sent to a target that has not answered since. */
	unanswered: Outgoing[];
	held: { bytes: Buffer; done: Sent | undefined }[];
	readonly probes: Map<string, Socket>;
}

/** As createSocket of node:dgram; `options.redirection` says the rest. */
export function createSocket(
	options: SocketType | DatagramOptions,
	callback?: (message: Buffer, rinfo: RemoteInfo) => void,
): RedirectedSocket {
	const socket = new RedirectedSocket(typeof options === "string" ? { type: options } : options);
	if (callback !== undefined) socket.on("message", callback);
	return socket;
}

export class RedirectedSocket extends EventEmitter {
	readonly #socket: Socket;
	readonly #type: SocketType;
	readonly #options: Resolved;
	readonly #lookup: NonNullable<SocketOptions["lookup"]>;
	readonly #services = new Map<string, Service>();
	/** By target: whose it is, and until when. */
	readonly #targets = new Map<string, { service: Service; until: number }>();
	#remote: Endpoint | undefined;
	#remoteShown: { address: string; port: number } | undefined;
	#connecting: (() => void)[] | undefined;
	#held = true;
	#closed = false;

	constructor(options: DatagramOptions) {
		super();
		const { redirection, ...rest } = options;
		this.#options = resolveOptions(redirection);
		this.#type = options.type;
		this.#lookup = options.lookup ?? (dnsLookup as NonNullable<SocketOptions["lookup"]>);
		this.#socket = createDgram(rest);
		this.#socket.on("message", (message, from) => this.#received(message, from));
		this.#socket.on("error", (error) => this.emit("error", error));
		this.#socket.on("listening", () => this.emit("listening"));
		this.#socket.on("close", () => {
			this.#end();
			this.emit("close");
		});
	}

	/** What has been asked, answered and refused, of all services together. */
	get counters(): Counters {
		const sum = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Counters;
		for (const { flow } of this.#services.values()) for (const name of COUNTERS) sum[name] += flow.counters[name];
		return sum;
	}

	/** Where datagrams to this service go now: its target, or undefined, by the gateway. */
	target(address: string, port: number): Endpoint | undefined {
		const at = endpoint(address, port);
		return at === undefined ? undefined : this.#services.get(textOf(at))?.flow.machine.target;
	}

	// biome-ignore format: dgram's own overloads
	send(message: Message, port?: number, address?: string, callback?: Sent): void;
	send(message: Message, port?: number, callback?: Sent): void;
	send(message: Message, callback?: Sent): void;
	send(
		message: string | NodeJS.ArrayBufferView,
		offset: number,
		length: number,
		port?: number,
		address?: string,
		callback?: Sent,
	): void;
	send(message: Message, ...rest: unknown[]): void {
		if (this.#closed) throw coded("ERR_SOCKET_DGRAM_NOT_RUNNING", "Not running");
		const done = typeof rest.at(-1) === "function" ? (rest.pop() as Sent) : undefined;
		while (rest.length > 0 && rest.at(-1) === undefined) rest.pop();
		const connected = this.#remoteShown !== undefined;
		// (offset, length), and then the destination, which a connected socket must not name.
		const numbers = typeof rest[0] === "number" && typeof rest[1] === "number";
		const cut = connected
			? rest.length === 2 && numbers
			: (numbers && rest.length >= 4) || (rest.length === 3 && typeof rest[2] === "number");
		const [offset, length] = cut ? (rest.splice(0, 2) as [number, number]) : [];
		if (connected && rest.length > 0) throw coded("ERR_SOCKET_DGRAM_IS_CONNECTED", "Already connected");
		const bytes = joined(message, offset, length);
		if (connected) {
			const now = () => this.#sendTo(this.#remote as Endpoint, this.#remoteShown as Endpoint, bytes, done);
			if (this.#connecting !== undefined) this.#connecting.push(now);
			else now();
			return;
		}
		const [given, address] = rest as [number | string, string | undefined];
		const port = typeof given === "string" && given.trim() !== "" ? Number(given) : (given as number);
		if (!Number.isInteger(port) || port <= 0 || port > 65_535)
			throw coded("ERR_SOCKET_BAD_PORT", `Port should be > 0 and < 65536. Received ${String(port)}.`, RangeError);
		this.#resolve(address, port, done, (to, shown) => this.#sendTo(to, shown, bytes, done));
	}

	connect(port: number, address?: string | (() => void), callback?: () => void): void {
		const done = typeof address === "function" ? address : callback;
		if (this.#remoteShown !== undefined) throw coded("ERR_SOCKET_DGRAM_IS_CONNECTED", "Already connected");
		if (done !== undefined) this.once("connect", done);
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
				for (const one of waiting) one();
			};
			this.#bound(() => process.nextTick(ready));
		});
	}

	disconnect(): void {
		if (this.#remote === undefined) throw coded("ERR_SOCKET_DGRAM_NOT_CONNECTED", "Not connected");
		this.#remote = this.#remoteShown = undefined;
	}

	remoteAddress(): AddressInfo {
		if (this.#remote === undefined) throw coded("ERR_SOCKET_DGRAM_NOT_CONNECTED", "Not connected");
		const { address, port } = this.#remoteShown as Endpoint;
		return { address, port, family: address.includes(":") ? "IPv6" : "IPv4" };
	}

	bind(...rest: Parameters<Socket["bind"]>): this {
		(this.#socket.bind as (...args: unknown[]) => Socket).apply(this.#socket, rest);
		return this;
	}

	close(callback?: () => void): this {
		if (callback !== undefined) this.once("close", callback);
		this.#end();
		this.#socket.close();
		return this;
	}

	ref(): this {
		this.#held = true;
		this.#socket.ref();
		for (const { flow } of this.#services.values()) flow.ref(true);
		return this;
	}

	unref(): this {
		this.#held = false;
		this.#socket.unref();
		for (const { flow, probes } of this.#services.values()) {
			flow.ref(false);
			for (const probe of probes.values()) probe.unref();
		}
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

	// Where a datagram goes.

	#sendTo(to: Endpoint, shown: Endpoint, bytes: Buffer, done: Sent | undefined): void {
		if (this.#closed) {
			done?.(coded("ERR_SOCKET_DGRAM_NOT_RUNNING", "Not running"), 0);
			return;
		}
		if (this.#options.mode === "off" || !isUnicast(to.address) || !this.#options.isService(to)) {
			this.#out(to, bytes, done);
			return;
		}
		this.#route(this.#serviceOf(to, shown), bytes, done);
	}

	#route(service: Service, bytes: Buffer, done: Sent | undefined): void {
		const route = service.flow.route();
		if (route.go !== "send") {
			if (route.go === "hold")
				service.held = [...service.held, { bytes, done }].slice(-Math.max(this.#options.resend, 1));
			else
				done?.(coded("ERR_SHUNT_REQUIRED", `${textOf(service.flow.service)} names no target, and mode is required`), 0);
			return;
		}
		if (!same(route.to, service.flow.service) && this.#options.resend > 0)
			service.unanswered = [...service.unanswered, { bytes, at: Date.now() }].slice(-this.#options.resend);
		this.#out(route.to, bytes, done);
	}

	#out(to: Endpoint, bytes: Uint8Array, done?: Sent): void {
		if (this.#closed) return;
		this.#socket.send(bytes, to.port, this.#spelt(to.address), done);
	}

	#serviceOf(to: Endpoint, shown: Endpoint): Service {
		const key = textOf(to);
		const known = this.#services.get(key);
		if (known !== undefined) return known;
		if (this.#services.size >= MOST_SERVICES) this.#forgetOne();
		const service: Service = {
			flow: new Flow("udp", to, this.#options.settings, this.#options.cache.of("udp", to), {
				ask: (gateway, datagram) => this.#out(gateway, datagram, ignored),
				probe: (target, datagram) => this.#probe(service, target, datagram),
				bind: (target) => {
					this.#targets.set(textOf(target), { service, until: Infinity });
					this.#leaveProbe(service, target);
				},
				unbind: (target) => {
					this.#targets.set(textOf(target), { service, until: Date.now() + LATE_MS });
					this.#leaveProbe(service, target);
				},
				resend: () => this.#again(service),
				tell: (event) => this.emit(event.name, { ...event, service: to }),
				moved: () => this.#release(service),
			}),
			shown,
			unanswered: [],
			held: [],
			probes: new Map(),
		};
		service.flow.ref(this.#held);
		this.#services.set(key, service);
		return service;
	}

	/** A socket that talks to the whole world remembers a part of it: who has no target goes first. */
	#forgetOne(): void {
		for (const [key, { flow, probes, held }] of this.#services) {
			if (flow.machine.target !== undefined || probes.size > 0 || held.length > 0) continue;
			flow.close();
			this.#services.delete(key);
			break;
		}
		const now = Date.now();
		for (const [key, { until }] of this.#targets) if (until < now) this.#targets.delete(key);
	}

	/** What waited for a target, or for the knowledge that there is none. */
	#release(service: Service): void {
		const held = service.held;
		service.held = [];
		for (const { bytes, done } of held) this.#route(service, bytes, done);
	}

	#again(service: Service): void {
		const list = service.unanswered.filter(({ at }) => at > Date.now() - FRESH_MS);
		service.unanswered = [];
		for (const { bytes } of list) this.#route(service, bytes, undefined);
	}

	// What comes.

	#received(message: Buffer, rinfo: RemoteInfo): void {
		const from = endpoint(rinfo.address.split("%")[0] as string, rinfo.port);
		if (from === undefined) return;
		const control = decodeControl(message);
		if (control !== undefined && this.#controlled(control, from)) return;
		if (from.port === this.#options.controlPort && this.#isGateway(from)) return; // never the application's
		const known = this.#targets.get(textOf(from));
		if (known !== undefined && known.until < Date.now()) this.#targets.delete(textOf(from));
		const service = known !== undefined && known.until >= Date.now() ? known.service : this.#services.get(textOf(from));
		if (service !== undefined) {
			service.unanswered = [];
			service.flow.heard(from);
		}
		const shown = service?.shown ?? { address: rinfo.address, port: rinfo.port };
		if (this.#remote !== undefined && !same(service?.flow.service ?? from, this.#remote)) return;
		this.emit("message", message, {
			address: shown.address,
			family: shown.address.includes(":") ? "IPv6" : "IPv4",
			port: shown.port,
			size: message.length,
		} satisfies RemoteInfo);
	}

	#isGateway(from: Endpoint): boolean {
		for (const { flow } of this.#services.values()) if (flow.service.address === from.address) return true;
		return false;
	}

	/** Was it meant for a flow? */
	#controlled({ header, about, packet }: Control, from: Endpoint): boolean {
		if (!header.ok || about === undefined) return false;
		const service = this.#services.get(textOf({ address: formatAddress(about.address), port: about.port }));
		if (service === undefined || about.protocol !== 17) return false;
		// What a stranger says was returned is nothing of ours: it must not leave from here.
		const returned = service.flow.expects(header.header, from);
		service.flow.receive(header.header, from);
		if (packet !== undefined && returned) {
			const payload = carriedPayload(packet);
			const to = payload === undefined ? undefined : service.flow.replay();
			if (payload !== undefined && to !== undefined) this.#out(to, payload, ignored);
		}
		return true;
	}

	/** A refusal (ICMP) is heard by a connected socket alone. */
	#probe(service: Service, target: Endpoint, datagram: Uint8Array): void {
		const key = textOf(target);
		let probe = service.probes.get(key);
		if (probe === undefined) {
			probe = createDgram({ type: target.address.includes(":") ? "udp6" : "udp4" });
			service.probes.set(key, probe);
			probe.on("error", () => {
				this.#leaveProbe(service, target);
				service.flow.refused(target);
			});
			probe.on("message", (message) => {
				const control = decodeControl(message);
				if (control?.header.ok) service.flow.receive(control.header.header, target);
			});
			if (!this.#held) probe.unref();
			// From the address that asked: the ticket is for that one.
			const ready = probe;
			const local = this.#local(target);
			const go = () => ready.connect(target.port, target.address, () => ready.send(datagram, ignored));
			if (local === undefined) go();
			else probe.bind({ address: local, exclusive: true }, go);
			return;
		}
		try {
			probe.send(datagram, ignored);
		} catch {
			// It is still connecting, and what it sends then is this.
		}
	}

	/** The address that the socket is bound to; undefined: none in particular, or one of the other family. */
	#local(target: Endpoint): string | undefined {
		let address: string;
		try {
			address = this.#socket.address().address;
		} catch {
			return undefined; // not bound yet, so not to one of its own
		}
		const plain = address.startsWith("::ffff:") ? address.slice(7) : address;
		const any = plain === "0.0.0.0" || plain === "::";
		return any || plain.includes(":") !== target.address.includes(":") ? undefined : plain;
	}

	#leaveProbe(service: Service, target: Endpoint): void {
		const probe = service.probes.get(textOf(target));
		service.probes.delete(textOf(target));
		if (probe !== undefined) setImmediate(() => probe.close());
	}

	// Names, spelling, ends.

	#resolve(
		address: string | undefined,
		port: number,
		failed: Sent | undefined,
		then: (to: Endpoint, shown: Endpoint) => void,
	) {
		const name = address || (this.#type === "udp6" ? "::1" : "127.0.0.1");
		const direct = isIP(name) ? endpoint(name, port) : undefined;
		if (direct !== undefined) {
			then(direct, { address: name, port });
			return;
		}
		this.#lookup(name, { family: this.#type === "udp6" ? 6 : 4 }, (error, found) => {
			const to = error === null || error === undefined ? endpoint(found as string, port) : undefined;
			if (to !== undefined) then(to, { address: found as string, port });
			else if (failed !== undefined) failed(error ?? coded("ENOTFOUND", `${name} has no address`), 0);
			else this.emit("error", error);
		});
	}

	#spelt(address: string): string {
		return this.#type === "udp6" && !address.includes(":") ? `::ffff:${address}` : address;
	}

	#bound(then: () => void): void {
		try {
			this.#socket.address();
			then();
		} catch {
			this.#socket.once("listening", then);
			try {
				this.#socket.bind();
			} catch {
				// It is being bound already.
			}
		}
	}

	#end(): void {
		this.#closed = true;
		for (const { flow, probes, held } of this.#services.values()) {
			flow.close();
			for (const probe of probes.values()) probe.close();
			probes.clear();
			for (const { done } of held.splice(0)) done?.(coded("ERR_SOCKET_DGRAM_NOT_RUNNING", "Not running"), 0);
		}
	}
}

const ignored = () => {};

function isUnicast(address: string): boolean {
	if (address.includes(":")) return !address.startsWith("ff");
	return Number(address.split(".")[0]) < 224;
}

function joined(message: Message, offset?: number, length?: number): Buffer {
	const bytes = Array.isArray(message)
		? Buffer.concat(message.map(bytesOf))
		: bytesOf(message as string | NodeJS.ArrayBufferView);
	if (offset === undefined || length === undefined) return bytes;
	if (offset > bytes.length || offset + length > bytes.length)
		throw coded("ERR_BUFFER_OUT_OF_BOUNDS", "Attempt to access memory outside buffer bounds", RangeError);
	return bytes.subarray(offset, offset + length);
}

function bytesOf(one: string | NodeJS.ArrayBufferView): Buffer {
	if (typeof one === "string") return Buffer.from(one);
	if (!ArrayBuffer.isView(one))
		throw coded(
			"ERR_INVALID_ARG_TYPE",
			'The "buffer" argument must be a string, Buffer, TypedArray or DataView',
			TypeError,
		);
	return Buffer.from(one.buffer, one.byteOffset, one.byteLength);
}

function coded(code: string, message: string, Kind: new (message: string) => Error = Error): NodeJS.ErrnoException {
	return Object.assign(new Kind(message), { code });
}
