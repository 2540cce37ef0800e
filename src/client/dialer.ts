// dialer.ts - TCP connections that go to the target which a service's gateway names.
//
// Queries are control datagrams over UDP; the answer holds for every connection while its lease lasts. The path of a
// connection is decided before its SYN, and never changed later.
//
// Owns: one machine per service, and the UDP sockets that query. Must never: touch an established connection.

import { AsyncResource } from "node:async_hooks";
import { createSocket as createDgram, type Socket as DatagramSocket } from "node:dgram";
import { EventEmitter } from "node:events";
import { connect as netConnect, type Socket, type TcpNetConnectOpts } from "node:net";
import {
	canonicalEndpoint,
	decodeControl,
	type Endpoint,
	endpointText,
	formatAddress,
	sameEndpoint,
} from "../wire/index.js";
import { ServiceCache } from "./cache.js";
import { noTargetError } from "./coded-error.js";
import type { FoundPath, PathFinder } from "./connection-path.js";
import { MachineDriver, PROTOCOL } from "./driver.js";
import type { ServiceEvents, TypedEmitter } from "./emitter.js";
import { COUNTERS, type Counters, SETTINGS, zeroCounters } from "./machine/index.js";
import { type RedirectionOptions, type ResolvedOptions, resolveOptions } from "./options.js";
import { redirectConnect } from "./redirected-connect.js";
import { type DestinationSource, isUnicast } from "./services.js";

const MIN_CONNECT_TIMEOUT_MS = 500;
/** In mode required; the machine's queries end sooner. */
const MAX_WAIT_MS = 3_600_000;

interface Service {
	readonly driver: MachineDriver;
	/** Connections that wait for the machine to progress. */
	readonly waiting: Set<() => void>;
}

const ServiceEmitter: new () => TypedEmitter<ServiceEvents> = EventEmitter;

export class Dialer extends ServiceEmitter implements PathFinder {
	readonly #options: ResolvedOptions;
	readonly connectTimeoutMs: number;
	readonly #services = new Map<string, Service>();
	/** Sockets that query, by local address, or by family if that is unspecified: a ticket is valid for the address
	 * that queried. */
	readonly #querySockets = new Map<string, DatagramSocket>();
	/** Counters of machines that are closed. */
	readonly #closedCounters = zeroCounters();

	/** `source`: what gives the destinations, and so which are services (services.ts). */
	constructor(options: RedirectionOptions = {}, source: DestinationSource = "agent") {
		super();
		this.#options = resolveOptions(options, source);
		this.connectTimeoutMs = Math.max(options.silence ?? SETTINGS.silenceMs, MIN_CONNECT_TIMEOUT_MS);
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

	/** A connected socket; rejects with the socket's error. `signal` aborts. */
	dial(options: TcpNetConnectOpts, signal?: AbortSignal): Promise<Socket> {
		const redirected = redirectConnect(this, signal === undefined ? options : { ...options, signal });
		const socket = netConnect(redirected.options);
		redirected.attach(socket);
		return new Promise((resolve, reject) => {
			socket.once("error", reject);
			socket.once("connect", () => {
				socket.removeListener("error", reject);
				resolve(socket);
			});
		});
	}

	/** Closes the sockets that query. Connections stay open. */
	close(): void {
		for (const { driver } of this.#services.values()) driver.close();
		this.#services.clear();
		for (const socket of this.#querySockets.values()) socket.close();
		this.#querySockets.clear();
	}

	isService(destination: Endpoint, name: string | undefined): boolean {
		return this.#options.mode !== "off" && isUnicast(destination.address) && this.#options.isService(destination, name);
	}

	/** Where the next connection goes. Waits for the gateway's answer for `patience`, or, in mode required, until it is
	 * known. */
	find(to: Endpoint, local: string | undefined, callback: FoundPath): () => void {
		const until = Date.now() + this.#options.patience;
		let waiting: Set<() => void> | undefined;
		let timer: NodeJS.Timeout | undefined;
		const withdraw = () => {
			clearTimeout(timer);
			waiting?.delete(wake);
		};
		const look = () => {
			withdraw();
			const service = this.#serviceOf(to, local);
			const route = service.driver.route();
			const left = until - Date.now();
			if (route.go === "refuse") callback(noTargetError(endpointText(to)), to);
			else if (route.go === "send" && (!sameEndpoint(route.to, to) || left <= 0 || !service.driver.machine.busy))
				callback(null, route.to);
			else {
				context ??= new AsyncResource("Dialer.find");
				waiting = service.waiting;
				waiting.add(wake);
				// The machine's timer keeps no process alive; a connection that waits does.
				timer = setTimeout(wake, route.go === "send" ? left : MAX_WAIT_MS);
			}
		};
		// Of the caller: what wakes it is another's event.
		let context: AsyncResource | undefined;
		const wake = () => context?.runInAsyncScope(look);
		look();
		return withdraw;
	}

	accepted(to: Endpoint, local: string | undefined, target: Endpoint): void {
		const key = keyOf(to, local);
		const service = this.#services.get(key);
		if (service === undefined) return;
		const { driver, waiting } = service;
		driver.reply(target);
		if (driver.machine.until !== Infinity) return;
		// Term "once": for this connection only.
		for (const name of COUNTERS) this.#closedCounters[name] += driver.counters[name];
		driver.close();
		this.#services.delete(key);
		for (const wake of [...waiting]) wake();
	}

	failed(to: Endpoint, local: string | undefined, target: Endpoint): void {
		this.#services.get(keyOf(to, local))?.driver.refused(target);
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
