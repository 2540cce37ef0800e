/**
 * The gateway's role: what a gateway does to its host, and what it knows of it.
 *
 *   prepare   receive offloads off, service addresses on lo
 *   facts     the way to each target
 *   apply     the guard: this kernel drops what the engine takes
 *
 * Must never: leave a trace at a clean end. What a crash leaves (addresses on lo, offloads) the next start knows by the
 * journal.
 */
import { cpus } from "node:os";
import type { Config, Gateway, State, Uplink } from "../config/index.js";
import type { HostFacts, Snapshot, Target } from "../database/index.js";
import type { EngineOptions, WorkerOptions } from "../engine/index.js";
import { Addresses } from "../host/addresses.js";
import { Guard } from "../host/guard.js";
import { Journal } from "../host/journal.js";
import { networkNamespace, requireLink } from "../host/network.js";
import { Ways } from "../host/next-hops.js";
import { Offloads } from "../host/offloads.js";
import type { LoadReport } from "../load/index.js";
import type { EngineKind } from "../member/engines.js";
import { Measure } from "../member/measure.js";
import type { Member, MemberEvent, Role } from "../member/member.js";
import { ROLE } from "../policy/index.js";
import { holdBack } from "./hold-back.js";

export class GatewayRole implements Role {
	readonly kind = "gateway";
	readonly roles = ROLE.gateway;
	readonly #self: Gateway;
	readonly #offloads: Offloads;
	readonly #addresses: Addresses;
	readonly #ways = new Ways();
	readonly #guard: Guard;
	readonly #tell: (problem: string) => void;
	#measure: Measure | undefined;

	constructor(
		config: Config,
		readonly name: string,
		tell: (event: MemberEvent) => void,
	) {
		this.#self = config.gateways.find((one) => one.name === name) as Gateway;
		const journal = journalOf(name);
		this.#offloads = new Offloads(journal);
		this.#addresses = new Addresses("lo", journal);
		this.#tell = (problem) => tell({ event: "warning", problem });
		this.#guard = new Guard(name, this.#tell);
	}

	async interfaces(): Promise<readonly string[]> {
		this.#self.interfaces.forEach(requireLink);
		return this.#self.interfaces;
	}

	async prepare(config: Config, kind: EngineKind): Promise<Pick<EngineOptions, "workers">> {
		for (const name of this.#self.interfaces) this.#offloads.turnOff(name, kind);
		return { workers: workersOn(this.#self.interfaces, config) };
	}

	async apply(config: Config, snapshot: Snapshot): Promise<void> {
		await this.#guard.set(holdBack(snapshot.services, this.#self.interfaces, config.cluster.controlPort));
		await this.#addresses.set([...new Set(snapshot.services.map((service) => service.address))]);
	}

	own(): readonly string[] {
		return [];
	}

	state(): State {
		return "active";
	}

	facts(targets: readonly Target[], changed: () => void): Promise<ReadonlyMap<string, HostFacts>> {
		return this.#ways.to([...new Set(targets.map((target) => target.address))].sort(), changed);
	}

	begin(member: Member): void {
		this.#measure = new Measure(
			this.name,
			() => ({
				load: member.config.load,
				capacity: member.engine.sessionTable().capacity,
				uplinks: this.#self.interfaces.map(
					(name): Uplink => ({ addresses: [name], interface: name, speedBps: 0, cost: 1, cap: 1 }),
				),
				udpSessions: member.sessionsOf("udp"),
				tcpPassing: member.sessionsOf("tcp"),
				tcpEndpoints: [],
			}),
			this.#tell,
		);
		this.#measure.start();
	}

	load(): LoadReport | undefined {
		return this.#measure?.report;
	}

	async close(): Promise<void> {
		this.#measure?.close();
		this.#ways.close();
		await this.#addresses.close();
		await this.#guard.close();
		this.#offloads.restore();
	}

	async leave(): Promise<void> {
		this.#measure?.close();
		this.#ways.close();
		await this.#guard.close();
	}
}

/** Of the daemon of this name, in this network namespace. */
export function journalOf(name: string): Journal {
	return new Journal(name, networkNamespace());
}

/** Workers for these interfaces, as many on each as configured; several on one share its flows by fanout. */
export function workersOn(interfaces: readonly string[], config: Config): WorkerOptions[] {
	const { workers, busyPollUs } = config.engine;
	const processors = cpus().length;
	return interfaces.flatMap((name, group) =>
		Array.from({ length: workers }, (_, i) => ({
			interface: name,
			busyPollUs,
			...(workers > 1 ? { fanout: (process.pid + group) & 0xffff, cpu: i % processors } : {}),
		})),
	);
}
