// dialer.ts - TCP connections that go to the target which a service's gateway names.
//
// Queries are control datagrams over UDP; the answer holds for every connection while its lease lasts. The path of a
// connection is decided before its SYN, and never changed later.
//
// Owns: one machine per service, the UDP sockets that query, and the order of attempts: the target, then the gateway.
// Must never: break an established connection, or fail one that the gateway would serve, except in mode required.

import { createSocket as createDgram, type Socket as DatagramSocket } from "node:dgram";
import { lookup as dnsLookup } from "node:dns";
import { EventEmitter } from "node:events";
import { isIP, connect as netConnect, type Socket, type TcpNetConnectOpts } from "node:net";
import {
	canonicalEndpoint,
	decodeControl,
	type Endpoint,
	endpointText,
	formatAddress,
	sameEndpoint,
} from "../wire/index.js";
import { ServiceCache } from "./cache.js";
import { codedError, noTargetError } from "./coded-error.js";
import { MachineDriver, PROTOCOL } from "./driver.js";
import type { ServiceEvents, TypedEmitter } from "./emitter.js";
import { COUNTERS, type Counters, SETTINGS, zeroCounters } from "./machine/index.js";
import { type RedirectionOptions, type ResolvedOptions, resolveOptions } from "./options.js";

const MIN_CONNECT_TIMEOUT_MS = 500;
/** Of one connection, the one to the gateway included. */
const MAX_ATTEMPTS = 7;

interface Service {
	readonly driver: MachineDriver;
	/** Connections that wait for the machine to progress. */
	readonly waiting: Set<() => void>;
}

const ServiceEmitter: new () => TypedEmitter<ServiceEvents> = EventEmitter;

export class Dialer extends ServiceEmitter {
	readonly #options: ResolvedOptions;
	/** A target that has not accepted a connection by then has failed. */
	readonly #connectTimeoutMs: number;
	readonly #services = new Map<string, Service>();
	/** Sockets that query, by local address, or by family if that is unspecified: a ticket is valid for the address
	 * that queried. */
	readonly #querySockets = new Map<string, DatagramSocket>();
	/** Counters of machines that are closed. */
	readonly #closedCounters = zeroCounters();

	constructor(options: RedirectionOptions = {}) {
		super();
		this.#options = resolveOptions(options);
		this.#connectTimeoutMs = Math.max(options.silence ?? SETTINGS.silenceMs, MIN_CONNECT_TIMEOUT_MS);
	}

	get counters(): Counters {
		const sum = { ...this.#closedCounters };
		for (const { driver } of this.#services.values()) for (const name of COUNTERS) sum[name] += driver.counters[name];
		return sum;
	}

	/** The target that connections to this service go to; undefined: they go to the gateway. */
	target(address: string, port: number, localAddress?: string): Endpoint | undefined {
		const service = canonicalEndpoint(address, port);
		return service === undefined ? undefined : this.#services.get(keyOf(service, localAddress))?.driver.machine.target;
	}

	/** A connected socket; rejects with the error of the last attempt. `signal` aborts. */
	async dial(options: TcpNetConnectOpts, signal?: AbortSignal): Promise<Socket> {
		const service = await resolveName(options);
		if (service === undefined || this.#options.mode === "off" || !this.#options.isService(service))
			return attempt(options, undefined, signal);
		for (let left = MAX_ATTEMPTS; ; left--) {
			const to = await this.#destination(service, options.localAddress, signal);
			const direct = !sameEndpoint(to, service);
			try {
				// To the gateway with the application's own options: if a name has several addresses, Node finds the
				// one that answers.
				const attempted = direct ? { ...options, host: to.address, port: to.port } : options;
				const socket = await attempt(attempted, direct ? this.#connectTimeoutMs : undefined, signal);
				if (direct) this.#onConnected(keyOf(service, options.localAddress), to);
				return socket;
			} catch (error) {
				if (!direct || left <= 1 || signal?.aborted) throw error;
				this.#services.get(keyOf(service, options.localAddress))?.driver.refused(to);
			}
		}
	}

	/** Closes the sockets that query. Connections stay open. */
	close(): void {
		for (const { driver } of this.#services.values()) driver.close();
		this.#services.clear();
		for (const socket of this.#querySockets.values()) socket.close();
		this.#querySockets.clear();
	}

	/** Where the next connection goes. Waits for the gateway's answer for `patience`, or, in mode required, until it is
	 * known. */
	async #destination(to: Endpoint, local: string | undefined, signal?: AbortSignal): Promise<Endpoint> {
		const service = this.#serviceOf(to, local);
		const until = Date.now() + this.#options.patience;
		for (;;) {
			const route = service.driver.route();
			if (route.go === "refuse") throw noTargetError(endpointText(to));
			const left = until - Date.now();
			if (route.go === "send" && (!sameEndpoint(route.to, to) || left <= 0 || !service.driver.machine.busy))
				return route.to;
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

	#onConnected(key: string, target: Endpoint): void {
		const service = this.#services.get(key);
		if (service === undefined) return;
		const { driver, waiting } = service;
		driver.reply(target);
		if (driver.machine.until !== Infinity) return;
		// Term "once": for this connection only.
		for (const name of COUNTERS) this.#closedCounters[name] += driver.counters[name];
		driver.close();
		this.#services.delete(key);
		for (const wake of waiting) wake();
	}

	#serviceOf(to: Endpoint, local: string | undefined): Service {
		const key = keyOf(to, local);
		const known = this.#services.get(key);
		if (known !== undefined) return known;
		const waiting = new Set<() => void>();
		const send = (at: Endpoint, datagram: Uint8Array) =>
			this.#querySocket(at.address.includes(":") ? 6 : 4, local).send(datagram, at.port, at.address, () => {});
		const driver = new MachineDriver("tcp", to, this.#options.settings, this.#cacheOf(to, local), {
			query: send,
			probe: send,
			bind: () => {},
			unbind: () => {},
			resend: () => {}, // TCP retransmits by itself
			notify: (event) => this.emit(event.name, { ...event, service: to }),
			progressed: () => {
				for (const wake of [...waiting]) wake();
			},
		});
		driver.ref(false);
		const service = { driver, waiting };
		this.#services.set(key, service);
		return service;
	}

	/** A redirection granted to one local address is not valid for another. */
	#cacheOf(to: Endpoint, local: string | undefined): ServiceCache {
		return local === undefined ? this.#options.cache.of("tcp", to) : new ServiceCache();
	}

	#querySocket(family: 4 | 6, local: string | undefined): DatagramSocket {
		const key = local ?? `any ${family}`;
		const known = this.#querySockets.get(key);
		if (known !== undefined) return known;
		const socket = createDgram(family === 6 ? { type: "udp6", ipv6Only: true } : { type: "udp4" });
		socket.unref();
		socket.on("error", () => {}); // the machine handles unanswered queries
		socket.on("message", (message, rinfo) => {
			const from = canonicalEndpoint(rinfo.address.split("%")[0] as string, rinfo.port);
			const control = decodeControl(message);
			if (
				from === undefined ||
				control?.about === undefined ||
				!control.header.ok ||
				control.about.protocol !== PROTOCOL.tcp
			)
				return;
			const at = { address: formatAddress(control.about.address), port: control.about.port };
			this.#services.get(keyOf(at, local))?.driver.receive(control.header.header, from);
		});
		if (local !== undefined) socket.bind({ address: local });
		this.#querySockets.set(key, socket);
		return socket;
	}
}

function keyOf(service: Endpoint, local: string | undefined): string {
	return local === undefined ? endpointText(service) : `${endpointText(service)} ${local}`;
}

/** One attempt to connect; rejects after `timeoutMs`. */
function attempt(options: TcpNetConnectOpts, timeoutMs: number | undefined, signal?: AbortSignal): Promise<Socket> {
	return new Promise((resolve, reject) => {
		const socket = netConnect(options);
		const end = (error: Error) => {
			cleanUp();
			socket.on("error", () => {});
			socket.destroy();
			reject(error);
		};
		const aborted = () => end(signal?.reason instanceof Error ? signal.reason : codedError("ABORT_ERR", "aborted"));
		const late = () => end(codedError("ETIMEDOUT", `connect ETIMEDOUT ${options.host}:${options.port}`));
		const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
		const cleanUp = () => {
			clearTimeout(timer);
			signal?.removeEventListener("abort", aborted);
			socket.removeListener("error", end);
			socket.removeListener("connect", connected);
		};
		const connected = () => {
			cleanUp();
			resolve(socket);
		};
		socket.once("error", end);
		socket.once("connect", connected);
		signal?.addEventListener("abort", aborted);
		if (signal?.aborted) aborted();
	});
}

/** The address of the name; undefined if it has none, so that Node's own attempt reports the error. */
function resolveName(options: TcpNetConnectOpts): Promise<Endpoint | undefined> {
	const host = options.host ?? "localhost";
	if (isIP(host)) return Promise.resolve(canonicalEndpoint(host, options.port));
	const lookup = options.lookup ?? dnsLookup;
	return new Promise((resolve) => {
		lookup(host, { family: options.family ?? 0, all: false }, (error, found) => {
			resolve(error || typeof found !== "string" ? undefined : canonicalEndpoint(found, options.port));
		});
	});
}
