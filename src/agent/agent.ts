// agent.ts - the host agent: services, their machines, and the BPF programs on this host's interfaces.
//
// Owns: its life: attach, look, beat, end. Must never: leave a hook behind at a clean end.

import { Cache, type Endpoint, type MachineEvent, type Prefix, type Settings } from "../client/index.js";
import { AgentPrograms } from "../engine/agent-programs.js";
import { host } from "../engine/host.js";
import { inject } from "../engine/inject.js";
import { ShuntError } from "../errors.js";
import { Service, type ServiceName } from "./service.js";
import { finished } from "./syn.js";

export interface AgentOptions {
	readonly interfaces: readonly string[];
	readonly services: readonly ServiceName[];
	readonly targets?: readonly Prefix[];
	readonly controlPort?: number;
	/** The address to ask from; absent: the host's choice. Only packets from there are redirected. */
	readonly source?: string;
	readonly cache?: Cache;
	readonly settings?: Partial<Settings>;
	onEvent(service: string, event: MachineEvent): void;
	/** The programs can no longer be asked. */
	onEnd?(why: unknown): void;
}

export interface ServiceCounts {
	readonly service: string;
	readonly state: string;
	readonly target: Endpoint | undefined;
	readonly counters: Readonly<Record<string, number>>;
}

const LOOK_MS = 25;
const BEAT_MS = 500;

export class Agent {
	readonly cache: Cache;
	readonly #programs: AgentPrograms;
	readonly #services: Service[];
	readonly #timers: NodeJS.Timeout[];
	#ended = false;
	#reading: Promise<void>;

	constructor(options: AgentOptions) {
		const links = options.interfaces.map((name) => interfaceNumber(name));
		this.cache = options.cache ?? new Cache();
		this.#programs = new AgentPrograms(options.interfaces);
		const settings: Partial<Settings> = {
			...options.settings,
			...(options.targets === undefined ? {} : { targets: options.targets }),
			...(options.controlPort === undefined ? {} : { controlPort: options.controlPort }),
		};
		this.#services = options.services.map((of, index) => {
			const service: Service = new Service(this.#programs, index, of, {
				settings,
				source: options.source,
				cache: this.cache,
				ifindexTo: (address) => reachedBy(address, links),
				send: (syn, ifindex) => sendAgain(syn, ifindex),
				tell: (event) => options.onEvent(service.name, event),
			});
			return service;
		});
		this.#timers = [
			setInterval(() => this.#try(options, () => this.#look()), LOOK_MS),
			setInterval(() => this.#try(options, () => this.#programs.beat()), BEAT_MS),
		];
		this.#reading = this.#read(options);
	}

	counts(): ServiceCounts[] {
		return this.#services.map((one) => {
			const { toGateway: packetsToGateway, toTarget: packetsToTarget, fromTarget, errors, refused } = one.counts;
			// The machine counts looks at the counters, where the programs count packets.
			const { toGateway: _, toTarget: __, ...machine } = one.machine.counters;
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
					...machine,
					onceLeft: one.onceLeft,
				},
			};
		});
	}

	/** Every hook is gone when the promise is kept. */
	async close(): Promise<void> {
		this.#ended = true;
		for (const timer of this.#timers) clearInterval(timer);
		for (const service of this.#services) service.close();
		await this.#reading;
		this.#programs.close();
	}

	#look(): void {
		for (const service of this.#services) service.look();
	}

	async #read(options: AgentOptions): Promise<void> {
		try {
			while (!this.#ended) {
				for (const event of await this.#programs.read(200)) {
					if (!this.#ended) this.#services[event.index]?.event(event);
				}
			}
		} catch (why) {
			if (!this.#ended) options.onEnd?.(why);
		}
	}

	#try(options: AgentOptions, what: () => void): void {
		try {
			what();
		} catch (why) {
			options.onEnd?.(why);
		}
	}
}

function interfaceNumber(name: string): number {
	try {
		return host().link(name).ifindex;
	} catch (cause) {
		throw new ShuntError("SHUNT_INTERFACE_MISSING", { interface: name }, { cause });
	}
}

/** Past no queueing discipline: the programs at the way out shall see it. What is lost, TCP sends again. */
function sendAgain(syn: Buffer, ifindex: number): void {
	const frame = finished(syn);
	if (frame === undefined) return;
	try {
		const { name } = host().link(ifindex);
		inject({ interface: name, frames: [frame], count: 1, qdiscBypass: false }).catch(() => {});
	} catch {
		// The interface is gone.
	}
}

/** Only by an interface whose way in knows whose answers these are. */
function reachedBy(address: Uint8Array, links: readonly number[]): number | undefined {
	try {
		const { ifindex } = host().route(Buffer.from(address));
		return links.includes(ifindex) ? ifindex : undefined;
	} catch {
		return undefined;
	}
}
