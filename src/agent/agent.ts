// agent.ts - the host agent: services, their machines, and the BPF programs on this host's interfaces.
//
// Owns: the agent's lifecycle: attach, poll, heartbeat, close. Must never: leave a hook behind at a clean end.

import { setTimeout as delay } from "node:timers/promises";
import { type Endpoint, type Notification, type Prefix, RedirectionCache, type Settings } from "../client/index.js";
import { AgentPrograms } from "../engine/agent-programs.js";
import { host } from "../engine/host.js";
import { inject } from "../engine/inject.js";
import { requireKernel } from "../engine/kernel-features.js";
import { ShuntError } from "../errors.js";
import { AgentService, type ServiceName } from "./agent-service.js";
import { withTcpChecksum } from "./tcp-checksum.js";

export interface AgentOptions {
	readonly interfaces: readonly string[];
	readonly services: readonly ServiceName[];
	readonly targets?: readonly Prefix[];
	readonly controlPort?: number;
	/** The address to query from; absent: the host's choice. Only packets from this address are redirected. */
	readonly source?: string;
	readonly cache?: RedirectionCache;
	readonly settings?: Partial<Settings>;
	/** `source`: of the flow that the event is about, where it is about one only (term once). */
	onEvent(service: string, event: Notification, source?: Endpoint): void;
	/** The programs can no longer be read or written. */
	onEnd?(why: unknown): void;
}

export interface ServiceCounts {
	readonly service: string;
	readonly state: string;
	readonly target: Endpoint | undefined;
	readonly counters: Readonly<Record<string, number>>;
}

const POLL_MS = 25;
/** The programs use bindings for three seconds after the last heartbeat. */
const HEARTBEAT_MS = 500;
const DRAIN_POLL_MS = 100;
/** A redirected QUIC or DTLS connection that has sent nothing for so long has ended, as far as the agent can see. */
const UDP_QUIET_MS = 3000;

export class Agent {
	readonly cache: RedirectionCache;
	readonly #programs: AgentPrograms;
	readonly #services: AgentService[];
	readonly #timers: NodeJS.Timeout[];
	#closed = false;
	#reading: Promise<void>;

	constructor(options: AgentOptions) {
		const ifindexes = options.interfaces.map((name) => interfaceIndex(name));
		this.cache = options.cache ?? new RedirectionCache();
		requireKernel("agent");
		this.#programs = new AgentPrograms(options.interfaces);
		const settings: Partial<Settings> = {
			...options.settings,
			...(options.targets === undefined ? {} : { targets: options.targets }),
			...(options.controlPort === undefined ? {} : { controlPort: options.controlPort }),
		};
		this.#services = options.services.map((of, index) => {
			const service: AgentService = new AgentService(this.#programs, index, of, {
				settings,
				source: options.source,
				cache: this.cache,
				ifindexTo: (address) => ifindexTo(address, ifindexes),
				sendSyn: (syn, ifindex) => sendSyn(syn, ifindex),
				notify: (event, source) => options.onEvent(service.name, event, source),
			});
			return service;
		});
		this.#timers = [
			setInterval(() => this.#try(options, () => this.#poll()), POLL_MS),
			setInterval(() => this.#try(options, () => this.#programs.beat()), HEARTBEAT_MS),
		];
		this.#reading = this.#read(options);
	}

	counts(): ServiceCounts[] {
		return this.#services.map((one) => {
			const {
				toGateway: packetsToGateway,
				toTarget: packetsToTarget,
				fromTarget,
				errors,
				refused,
				handshakes,
			} = one.counts;
			// The machine counts polls, the programs count packets: their counters replace the machine's.
			const { toGateway: _, toTarget: __, ...machine } = one.counters;
			return {
				service: one.name,
				state: one.machine.state(Date.now()),
				target: one.machine.target,
				counters: {
					packetsToGateway,
					packetsToTarget,
					fromTarget,
					errors,
					refused,
					handshakes,
					...machine,
					...one.once,
				},
			};
		});
	}

	/** Redirects no new flow, and waits until the redirected connections have ended, or `signal` is aborted. Returns how many
	 * are left. `waiting` receives their number, whenever it is another one. */
	async drain(signal: AbortSignal, waiting: (connections: number) => void): Promise<number> {
		this.#stopPolling();
		for (const service of this.#services) service.release();
		let open = 0;
		for (;;) {
			const before = open;
			open = await this.#openConnections();
			if (open !== before) waiting(open);
			if (open === 0 || signal.aborted) return open;
			await delay(DRAIN_POLL_MS, undefined, { signal }).catch(() => {});
		}
	}

	/** Redirected connections that applications still have. */
	async #openConnections(): Promise<number> {
		const flows = this.#programs.redirected();
		const tcp = flows.filter(({ protocol }) => protocol === "tcp");
		const sockets = await host().tcpSessions(tcp.map(({ address, port }) => ({ address: Buffer.from(address), port })));
		const udp = flows.filter(({ protocol, quietMs }) => protocol === "udp" && quietMs < UDP_QUIET_MS);
		const bound = await host().boundSockets("udp", [...new Set(udp.map(({ port }) => port))]);
		const ports = new Set(bound.map(({ port }) => port));
		return sockets.filter((count) => count > 0).length + udp.filter(({ port }) => ports.has(port)).length;
	}

	/** When the promise resolves, every hook is detached. */
	async close(): Promise<void> {
		this.#closed = true;
		this.#stopPolling();
		for (const service of this.#services) service.close();
		await this.#reading;
		this.#programs.close();
	}

	#stopPolling(): void {
		for (const timer of this.#timers) clearInterval(timer);
	}

	#poll(): void {
		for (const service of this.#services) service.poll();
	}

	async #read(options: AgentOptions): Promise<void> {
		try {
			while (!this.#closed) {
				for (const event of await this.#programs.read(200)) {
					if (!this.#closed) this.#services[event.index]?.onEvent(event);
				}
			}
		} catch (why) {
			if (!this.#closed) options.onEnd?.(why);
		}
	}

	#try(options: AgentOptions, action: () => void): void {
		try {
			action();
		} catch (why) {
			options.onEnd?.(why);
		}
	}
}

function interfaceIndex(name: string): number {
	try {
		return host().link(name).ifindex;
	} catch (cause) {
		throw new ShuntError("SHUNT_INTERFACE_MISSING", { interface: name }, { cause });
	}
}

/** Through the queueing discipline, so that the egress program handles it. If it is lost, TCP retransmits. */
function sendSyn(syn: Buffer, ifindex: number): void {
	const frame = withTcpChecksum(syn);
	if (frame === undefined) return;
	try {
		const { name } = host().link(ifindex);
		inject({ interface: name, frames: [frame], count: 1, qdiscBypass: false }).catch(() => {});
	} catch {
		// The interface does not exist any more.
	}
}

/** Only an interface with the ingress program, which translates the answers back. */
function ifindexTo(address: Uint8Array, ifindexes: readonly number[]): number | undefined {
	try {
		const { ifindex } = host().route(Buffer.from(address));
		return ifindexes.includes(ifindex) ? ifindex : undefined;
	} catch {
		return undefined;
	}
}
