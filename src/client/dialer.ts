// dialer.ts - TCP connections that go to the target which a service's gateway names.
//
// The questions are control datagrams over UDP; the answer holds for every connection while its lease lasts. Which way a connection
// goes is decided before its SYN, and never later.
//
// Owns: one flow per service, the two UDP sockets that ask, and the order of attempts: the target, then the gateway.
// Must never: break a connection that stands, or fail one that the gateway would serve, save in mode required.

import { createSocket as createDgram, type Socket as Datagrams } from "node:dgram";
import { lookup as dnsLookup } from "node:dns";
import { EventEmitter } from "node:events";
import { isIP, connect as netConnect, type Socket, type TcpNetConnectOpts } from "node:net";
import { decodeControl, formatAddress } from "../wire/index.js";
import { type Endpoint, endpoint, same, textOf } from "./endpoint.js";
import { Flow } from "./flow.js";
import { COUNTERS, type Counters, SETTINGS } from "./machine.js";
import { Memory } from "./memory.js";
import { type RedirectionOptions, type Resolved, resolveOptions } from "./options.js";

const LEAST_PATIENCE_MS = 500;
/** Ways that one connection tries, the gateway's included. */
const ATTEMPTS = 7;

interface Service {
	readonly flow: Flow;
	readonly waiting: Set<() => void>;
}

export class Dialer extends EventEmitter {
	readonly #options: Resolved;
	/** A connection to a target that is not there by then goes another way. */
	readonly #patienceMs: number;
	readonly #services = new Map<string, Service>();
	/** By the local address, or the family where that is left open: a ticket is for the address that asked. */
	readonly #asking = new Map<string, Datagrams>();
	readonly #past = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Counters;

	constructor(options: RedirectionOptions = {}) {
		super();
		this.#options = resolveOptions(options);
		this.#patienceMs = Math.max(options.silence ?? SETTINGS.silence, LEAST_PATIENCE_MS);
	}

	get counters(): Counters {
		const sum = { ...this.#past };
		for (const { flow } of this.#services.values()) for (const name of COUNTERS) sum[name] += flow.counters[name];
		return sum;
	}

	/** Where connections to this service go now: its target, or undefined, by the gateway. */
	target(address: string, port: number, localAddress?: string): Endpoint | undefined {
		const at = endpoint(address, port);
		return at === undefined ? undefined : this.#services.get(keyOf(at, localAddress))?.flow.machine.target;
	}

	/** A connected socket; rejects with the error of the last way that was tried. `signal` gives up. */
	async dial(options: TcpNetConnectOpts, signal?: AbortSignal): Promise<Socket> {
		const service = await resolveName(options);
		if (service === undefined || this.#options.mode === "off" || !this.#options.isService(service))
			return attempt(options, undefined, signal);
		for (let left = ATTEMPTS; ; left--) {
			const to = await this.#way(service, options.localAddress, signal);
			const direct = !same(to, service);
			try {
				// By the gateway as the application said it: where a name has several addresses, Node finds the one that answers.
				const way = direct ? { ...options, host: to.address, port: to.port } : options;
				const socket = await attempt(way, direct ? this.#patienceMs : undefined, signal);
				if (direct) this.#arrived(keyOf(service, options.localAddress), to);
				return socket;
			} catch (error) {
				if (!direct || left <= 1 || signal?.aborted) throw error;
				this.#services.get(keyOf(service, options.localAddress))?.flow.refused(to);
			}
		}
	}

	/** Ends the sockets that ask. Connections stay. */
	close(): void {
		for (const { flow } of this.#services.values()) flow.close();
		this.#services.clear();
		for (const socket of this.#asking.values()) socket.close();
		this.#asking.clear();
	}

	/** The way of the next connection, waited for as long as the application has patience, or, in mode required, until it is known. */
	async #way(to: Endpoint, local: string | undefined, signal?: AbortSignal): Promise<Endpoint> {
		const service = this.#serviceOf(to, local);
		const until = Date.now() + this.#options.patience;
		for (;;) {
			const route = service.flow.route();
			if (route.go === "refuse")
				throw coded("ERR_SHUNT_REQUIRED", `${textOf(to)} names no target, and mode is required`);
			const left = until - Date.now();
			if (route.go === "send" && (!same(route.to, to) || left <= 0 || !service.flow.machine.busy)) return route.to;
			await new Promise<void>((resolve, reject) => {
				const wake = () => {
					clearTimeout(timer);
					service.waiting.delete(wake);
					signal?.removeEventListener("abort", wake);
					if (signal?.aborted) reject(signal.reason);
					else resolve();
				};
				const timer = route.go === "send" ? setTimeout(wake, left) : undefined;
				service.waiting.add(wake);
				signal?.addEventListener("abort", wake);
			});
		}
	}

	#arrived(key: string, target: Endpoint): void {
		const one = this.#services.get(key);
		if (one === undefined) return;
		one.flow.heard(target);
		if (one.flow.machine.until !== Infinity) return;
		// Once: for this connection alone.
		for (const name of COUNTERS) this.#past[name] += one.flow.counters[name];
		one.flow.close();
		this.#services.delete(key);
		for (const wake of one.waiting) wake();
	}

	#serviceOf(to: Endpoint, local: string | undefined): Service {
		const key = keyOf(to, local);
		const known = this.#services.get(key);
		if (known !== undefined) return known;
		const waiting = new Set<() => void>();
		const send = (at: Endpoint, datagram: Uint8Array) =>
			this.#askingBy(at.address.includes(":") ? 6 : 4, local).send(datagram, at.port, at.address, () => {});
		const flow = new Flow("tcp", to, this.#options.settings, this.#cacheOf(to, local), {
			ask: send,
			probe: send,
			bind: () => {},
			unbind: () => {},
			resend: () => {}, // a connection that stands is left to itself
			tell: (event) => this.emit(event.name, { ...event, service: to }),
			moved: () => {
				for (const wake of [...waiting]) wake();
			},
		});
		flow.ref(false);
		const service = { flow, waiting };
		this.#services.set(key, service);
		return service;
	}

	/** What one address was told is not for another one of this host. */
	#cacheOf(to: Endpoint, local: string | undefined): Memory {
		return local === undefined ? this.#options.cache.of("tcp", to) : new Memory();
	}

	#askingBy(family: 4 | 6, local: string | undefined): Datagrams {
		const key = local ?? `any ${family}`;
		const known = this.#asking.get(key);
		if (known !== undefined) return known;
		const socket = createDgram(family === 6 ? { type: "udp6", ipv6Only: true } : { type: "udp4" });
		socket.unref();
		socket.on("error", () => {}); // unanswered questions are the machine's to judge
		socket.on("message", (message, rinfo) => {
			const from = endpoint(rinfo.address.split("%")[0] as string, rinfo.port);
			const control = decodeControl(message);
			if (from === undefined || control?.about === undefined || !control.header.ok || control.about.protocol !== 6)
				return;
			const at = { address: formatAddress(control.about.address), port: control.about.port };
			this.#services.get(keyOf(at, local))?.flow.receive(control.header.header, from);
		});
		if (local !== undefined) socket.bind({ address: local });
		this.#asking.set(key, socket);
		return socket;
	}
}

function keyOf(service: Endpoint, local: string | undefined): string {
	return local === undefined ? textOf(service) : `${textOf(service)} ${local}`;
}

/** One attempt. A target that does not answer within `silence` milliseconds has failed. */
function attempt(options: TcpNetConnectOpts, silence: number | undefined, signal?: AbortSignal): Promise<Socket> {
	return new Promise((resolve, reject) => {
		const socket = netConnect(options);
		const end = (error: Error) => {
			settle();
			socket.on("error", () => {});
			socket.destroy();
			reject(error);
		};
		const aborted = () => end(signal?.reason instanceof Error ? signal.reason : coded("ABORT_ERR", "aborted"));
		const late = () => end(coded("ETIMEDOUT", `connect ETIMEDOUT ${options.host}:${options.port}`));
		const timer = silence === undefined ? undefined : setTimeout(late, silence);
		const settle = () => {
			clearTimeout(timer);
			signal?.removeEventListener("abort", aborted);
			socket.removeListener("error", end);
			socket.removeListener("connect", connected);
		};
		const connected = () => {
			settle();
			resolve(socket);
		};
		socket.once("error", end);
		socket.once("connect", connected);
		signal?.addEventListener("abort", aborted);
		if (signal?.aborted) aborted();
	});
}

/** The address that the name has; undefined where Node shall find out, and tell what is wrong. */
function resolveName(options: TcpNetConnectOpts): Promise<Endpoint | undefined> {
	const host = options.host ?? "localhost";
	if (isIP(host)) return Promise.resolve(endpoint(host, options.port));
	const lookup = options.lookup ?? dnsLookup;
	return new Promise((resolve) => {
		lookup(host, { family: options.family ?? 0, all: false }, (error, found) => {
			resolve(error || typeof found !== "string" ? undefined : endpoint(found, options.port));
		});
	});
}

export function coded(code: string, message: string): NodeJS.ErrnoException {
	return Object.assign(new Error(message), { code });
}
