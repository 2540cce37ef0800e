// datagram-paths.ts - where the datagrams of one socket go: by service, to its gateway or its target.
//
// Owns: a machine per service, the targets by which received datagrams are attributed to services, and pending
// datagrams.
// Must never: pass a control datagram that belongs to a machine on to the application, or send a returned packet (X)
// that does not answer the open query.

import {
	type Control,
	decodeControl,
	type Endpoint,
	endpointText,
	formatAddress,
	sameEndpoint,
} from "../wire/index.js";
import { codedError, noTargetError } from "./coded-error.js";
import type { SendCallback } from "./datagram-arguments.js";
import { MachineDriver, PROTOCOL } from "./driver.js";
import { COUNTERS, type Counters, type Notification, zeroCounters } from "./machine/index.js";
import type { ResolvedOptions } from "./options.js";
import { PendingDatagrams } from "./pending.js";
import { ProbeSockets } from "./probe-sockets.js";
import { udpPayload } from "./udp-payload.js";

/** How long replies of a former target are still attributed to the service. */
const FORMER_TARGET_MS = 30_000;
/** Destinations whose state is stored; above, those without a target are dropped. */
const MAX_SERVICES = 1024;

/** The socket beneath. */
export interface Transport {
	transmit(to: Endpoint, bytes: Uint8Array, callback?: SendCallback): void;
	/** The address that the socket is bound to, if it is a specific one of the target's family. */
	localAddress(target: Endpoint): string | undefined;
	notify(service: Endpoint, event: Notification): void;
}

interface Service {
	readonly driver: MachineDriver;
	/** The service as the application wrote it; received datagrams show it as their source. */
	readonly shown: Endpoint;
	readonly pending: PendingDatagrams;
	readonly probes: ProbeSockets;
}

/** A received datagram for the application. */
export interface Delivery {
	/** The source that the application sees; undefined: the real one. */
	readonly shown: Endpoint | undefined;
	/** The service that it belongs to; undefined: none. */
	readonly service: Endpoint | undefined;
}

export class DatagramPaths {
	readonly #options: ResolvedOptions;
	readonly #transport: Transport;
	readonly #services = new Map<string, Service>();
	/** By target: its service, and until when its datagrams are attributed to it. */
	readonly #targets = new Map<string, { readonly service: Service; readonly until: number }>();
	#referenced = true;
	#closed = false;

	constructor(options: ResolvedOptions, transport: Transport) {
		this.#options = options;
		this.#transport = transport;
	}

	get counters(): Counters {
		const sum = zeroCounters();
		for (const { driver } of this.#services.values()) for (const name of COUNTERS) sum[name] += driver.counters[name];
		return sum;
	}

	target(service: Endpoint): Endpoint | undefined {
		return this.#services.get(endpointText(service))?.driver.machine.target;
	}

	/** A datagram of the application. `shown`: the destination as the application wrote it. */
	send(to: Endpoint, shown: Endpoint, bytes: Buffer, callback: SendCallback | undefined): void {
		if (this.#closed) {
			callback?.(codedError("ERR_SOCKET_DGRAM_NOT_RUNNING", "Not running"), 0);
			return;
		}
		const { mode, isService } = this.#options;
		if (mode === "off" || !isUnicast(to.address) || !isService(to)) this.#transmit(to, bytes, callback);
		else this.#route(this.#serviceOf(to, shown), bytes, callback);
	}

	/** A datagram from the network; undefined if it is not the application's. */
	receive(message: Buffer, from: Endpoint): Delivery | undefined {
		const control = decodeControl(message);
		if (control !== undefined && this.#receiveControl(control, from)) return undefined;
		if (from.port === this.#options.controlPort && this.#isGateway(from)) return undefined; // never the application's
		const key = endpointText(from);
		const known = this.#targets.get(key);
		const current = known !== undefined && known.until >= Date.now();
		if (known !== undefined && !current) this.#targets.delete(key);
		const service = current ? known.service : this.#services.get(key);
		if (service === undefined) return { shown: undefined, service: undefined };
		service.pending.answered();
		service.driver.reply(from);
		return { shown: service.shown, service: service.driver.service };
	}

	ref(): void {
		this.#referenced = true;
		for (const { driver, probes } of this.#services.values()) {
			driver.ref(true);
			probes.ref();
		}
	}

	unref(): void {
		this.#referenced = false;
		for (const { driver, probes } of this.#services.values()) {
			driver.ref(false);
			probes.unref();
		}
	}

	close(): void {
		this.#closed = true;
		for (const { driver, probes, pending } of this.#services.values()) {
			driver.close();
			probes.closeAll();
			for (const { callback } of pending.takeHeld())
				callback?.(codedError("ERR_SOCKET_DGRAM_NOT_RUNNING", "Not running"), 0);
		}
	}

	#transmit(to: Endpoint, bytes: Uint8Array, callback?: SendCallback): void {
		if (!this.#closed) this.#transport.transmit(to, bytes, callback);
	}

	#route(service: Service, bytes: Buffer, callback: SendCallback | undefined): void {
		const { driver, pending } = service;
		const route = driver.route();
		if (route.go === "send") {
			if (!sameEndpoint(route.to, driver.service)) pending.sentToTarget(bytes);
			this.#transmit(route.to, bytes, callback);
		} else if (route.go === "hold") pending.hold({ bytes, callback });
		else callback?.(noTargetError(endpointText(driver.service)), 0);
	}

	#serviceOf(to: Endpoint, shown: Endpoint): Service {
		const key = endpointText(to);
		const known = this.#services.get(key);
		if (known !== undefined) return known;
		if (this.#services.size >= MAX_SERVICES) this.#evict();
		const service = this.#createService(to, shown);
		this.#services.set(key, service);
		return service;
	}

	#createService(to: Endpoint, shown: Endpoint): Service {
		const { settings, cache, resend } = this.#options;
		const pending = new PendingDatagrams(resend);
		const attribute = (target: Endpoint, until: number) => {
			this.#targets.set(endpointText(target), { service, until });
			probes.close(target);
		};
		const driver = new MachineDriver("udp", to, settings, cache.of("udp", to), {
			query: (gateway, datagram) => this.#transmit(gateway, datagram, ignore),
			probe: (target, datagram) => probes.send(target, datagram),
			bind: (target) => attribute(target, Infinity),
			unbind: (target) => attribute(target, Date.now() + FORMER_TARGET_MS),
			resend: () => {
				for (const bytes of pending.takeUnanswered()) this.#route(service, bytes, undefined);
			},
			notify: (event) => this.#transport.notify(to, event),
			progressed: () => {
				for (const { bytes, callback } of pending.takeHeld()) this.#route(service, bytes, callback);
			},
		});
		const probes = new ProbeSockets(
			{
				receive: (header, from) => driver.receive(header, from),
				refused: (at) => driver.refused(at),
				localAddress: (target) => this.#transport.localAddress(target),
			},
			this.#referenced,
		);
		driver.ref(this.#referenced);
		const service: Service = { driver, shown, pending, probes };
		return service;
	}

	/** Drops one service without a target, and expired attributions. */
	#evict(): void {
		for (const [key, { driver, probes, pending }] of this.#services) {
			if (driver.machine.target !== undefined || probes.size > 0 || !pending.isEmpty) continue;
			driver.close();
			this.#services.delete(key);
			break;
		}
		const now = Date.now();
		for (const [key, { until }] of this.#targets) if (until < now) this.#targets.delete(key);
	}

	/** Whether the control datagram belongs to a machine. */
	#receiveControl({ header, about, packet }: Control, from: Endpoint): boolean {
		if (!header.ok || about === undefined) return false;
		const service = this.#services.get(endpointText({ address: formatAddress(about.address), port: about.port }));
		if (service === undefined || about.protocol !== PROTOCOL.udp) return false;
		const { driver } = service;
		// Before the machine handles it: a forged return must not make this host send.
		const answersQuery = driver.expects(header.header, from);
		driver.receive(header.header, from);
		if (packet !== undefined && answersQuery) {
			const payload = udpPayload(packet);
			const to = payload === undefined ? undefined : driver.replay();
			if (payload !== undefined && to !== undefined) this.#transmit(to, payload, ignore);
		}
		return true;
	}

	#isGateway(from: Endpoint): boolean {
		for (const { driver } of this.#services.values()) if (driver.service.address === from.address) return true;
		return false;
	}
}

const ignore = () => {};

function isUnicast(address: string): boolean {
	if (address.includes(":")) return !address.startsWith("ff");
	return Number(address.split(".")[0]) < 224;
}
