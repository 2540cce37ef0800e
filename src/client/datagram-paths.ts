// datagram-paths.ts - where the datagrams of one socket go: by service, to its gateway or its target.
//
// Owns: a machine per service, the targets by which received datagrams are attributed to services, and pending
// datagrams.
// Must never: pass a control datagram that belongs to a machine on to the application, or send a returned packet (X)
// that does not answer the open query.

import {
	type Control,
	canonicalEndpoint,
	decodeControl,
	type Endpoint,
	endpointText,
	formatAddress,
} from "../wire/index.js";
import { codedError, noTargetError } from "./coded-error.js";
import { type Datagram, joinMessage, type SendCallback } from "./datagram-arguments.js";
import { MachineDriver, PROTOCOL } from "./driver.js";
import { COUNTERS, type Counters, type Notification, zeroCounters } from "./machine/index.js";
import type { ResolvedOptions } from "./options.js";
import { PendingDatagrams } from "./pending.js";
import { ProbeSockets } from "./probe-sockets.js";
import { isUnicast, noService } from "./services.js";
import { udpPayload } from "./udp-payload.js";

/** How long replies of a former target are still attributed to the service. */
const FORMER_TARGET_MS = 30_000;
/** Destinations whose state is stored; above, those without a target are dropped. */
const MAX_SERVICES = 1024;

/** The socket beneath. */
export interface Transport {
	transmit(to: Endpoint, datagram: Datagram): void;
	/** The address that the socket is bound to, if it is a specific one of the target's family. */
	localAddress(target: Endpoint): string | undefined;
	notify(service: Endpoint, event: Notification): void;
}

/** The state of one service that this socket sends to. */
export interface DatagramService {
	/** It was evicted: send to it by `serviceOf` again. */
	closed: boolean;
	readonly driver: MachineDriver;
	/** The service as the application wrote it; received datagrams show it as their source. */
	readonly shown: Endpoint;
	readonly pending: PendingDatagrams;
	readonly probes: ProbeSockets;
}

/** The source of a received datagram. */
interface Source {
	readonly address: string;
	readonly port: number;
	readonly from: Endpoint;
	/** The service that it belongs to. */
	readonly service: DatagramService | undefined;
	readonly until: number;
}

export class DatagramPaths {
	readonly #options: ResolvedOptions;
	readonly #transport: Transport;
	readonly #services = new Map<string, DatagramService>();
	/** By target: its service, and until when its datagrams are attributed to it. */
	readonly #targets = new Map<string, { readonly service: DatagramService; readonly until: number }>();
	/** Forgotten when the attribution of any source changes. */
	#lastSource: Source | undefined;
	#referenced = true;
	#closed = false;

	constructor(options: ResolvedOptions, transport: Transport) {
		this.#options = options;
		this.#transport = transport;
	}

	/** Whether any destination may be a service. */
	get isActive(): boolean {
		return this.#options.mode !== "off" && this.#options.isService !== noService;
	}

	get counters(): Counters {
		const sum = zeroCounters();
		for (const { driver } of this.#services.values()) for (const name of COUNTERS) sum[name] += driver.counters[name];
		return sum;
	}

	target(service: Endpoint): Endpoint | undefined {
		return this.#services.get(endpointText(service))?.driver.machine.target;
	}

	/** The service that the destination is; undefined: it is none. `shown`: as the application wrote it, `name`: the host
	 * name that it gave. */
	serviceOf(to: Endpoint, shown: Endpoint, name?: string): DatagramService | undefined {
		if (this.#options.mode === "off" || this.#closed || !isUnicast(to.address)) return undefined;
		const key = endpointText(to);
		const known = this.#services.get(key);
		if (known !== undefined) return known;
		if (!this.#options.isService(to, name)) return undefined;
		if (this.#services.size >= MAX_SERVICES) this.#evict();
		const service = this.#createService(to, shown);
		this.#services.set(key, service);
		this.#lastSource = undefined;
		return service;
	}

	/** A datagram of the application to a service. */
	send(service: DatagramService, datagram: Datagram): void {
		const { driver, pending } = service;
		const route = driver.route();
		if (route.go === "send") {
			this.#transmit(route.to, datagram);
			// After it was sent: what Node refuses is not sent again.
			if (route.to !== driver.service)
				pending.sentToTarget(datagram.message, datagram.offset, datagram.length, Date.now());
		} else if (route.go === "hold") {
			const bytes = Buffer.from(joinMessage(datagram.message, datagram.offset, datagram.length));
			pending.hold({ bytes, callback: datagram.callback });
		} else {
			const error = noTargetError(endpointText(driver.service));
			if (datagram.callback !== undefined) process.nextTick(datagram.callback, error);
		}
	}

	/** A datagram from the network: its service; "stranger" if it is from another address, "control" if it is not the
	 * application's. */
	receive(message: Buffer, address: string, port: number): DatagramService | "stranger" | "control" {
		const source = this.#sourceOf(address, port);
		if (source === undefined) return "stranger";
		const control = decodeControl(message);
		if (control !== undefined && this.#receiveControl(control, source.from)) return "control";
		// Never the application's.
		if (port === this.#options.controlPort && this.#isGateway(source.from)) return "control";
		const { service } = source;
		if (service === undefined) return "stranger";
		service.pending.answered();
		service.driver.reply(source.from);
		return service;
	}

	/** The source of a datagram, as a rule the last one's. */
	#sourceOf(address: string, port: number): Source | undefined {
		const last = this.#lastSource;
		if (last !== undefined && last.port === port && last.address === address && last.until >= Date.now()) return last;
		const from = canonicalEndpoint(address.split("%", 1)[0] as string, port);
		if (from === undefined) return undefined;
		const key = endpointText(from);
		const known = this.#targets.get(key);
		const current = known !== undefined && known.until >= Date.now();
		if (known !== undefined && !current) this.#targets.delete(key);
		const service = current ? known.service : this.#services.get(key);
		this.#lastSource = { address, port, from, service, until: current ? known.until : Infinity };
		return this.#lastSource;
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

	#transmit(to: Endpoint, datagram: Datagram): void {
		if (!this.#closed) this.#transport.transmit(to, datagram);
	}

	/** Bytes of this room's own, or of an earlier datagram. */
	#transmitBytes(to: Endpoint, message: Uint8Array): void {
		this.#transmit(to, { message, offset: undefined, length: undefined, callback: ignore });
	}

	#sendBytes(service: DatagramService, message: Buffer, callback: SendCallback | undefined): void {
		this.send(service, { message, offset: undefined, length: undefined, callback });
	}

	#createService(to: Endpoint, shown: Endpoint): DatagramService {
		const { settings, cache, resend } = this.#options;
		const pending = new PendingDatagrams(resend);
		const attribute = (target: Endpoint, until: number) => {
			this.#targets.set(endpointText(target), { service, until });
			this.#lastSource = undefined;
			probes.close(target);
		};
		const driver = new MachineDriver("udp", to, settings, cache.of("udp", to), {
			query: (gateway, datagram) => this.#transmitBytes(gateway, datagram),
			probe: (target, datagram) => probes.send(target, datagram),
			bind: (target) => attribute(target, Infinity),
			unbind: (target) => attribute(target, Date.now() + FORMER_TARGET_MS),
			resend: () => {
				for (const bytes of pending.takeUnanswered()) this.#sendBytes(service, bytes, undefined);
			},
			notify: (event) => this.#transport.notify(to, event),
			progressed: () => {
				for (const { bytes, callback } of pending.takeHeld()) this.#sendBytes(service, bytes, callback);
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
		const service: DatagramService = { closed: false, driver, shown, pending, probes };
		return service;
	}

	/** Drops one service without a target, and expired attributions. */
	#evict(): void {
		for (const [key, service] of this.#services) {
			const { driver, probes, pending } = service;
			if (driver.machine.target !== undefined || probes.size > 0 || !pending.isEmpty) continue;
			driver.close();
			service.closed = true;
			this.#services.delete(key);
			this.#lastSource = undefined;
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
			if (payload !== undefined && to !== undefined) this.#transmitBytes(to, payload);
		}
		return true;
	}

	#isGateway(from: Endpoint): boolean {
		for (const { driver } of this.#services.values()) if (driver.service.address === from.address) return true;
		return false;
	}
}

const ignore = () => {};
