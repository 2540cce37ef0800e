/**
 * The gateway's role.
 *
 *   checkHost  no backend of the configuration is this host
 *   prepare    receive offloads off
 *   hostFacts  the next hop to each target
 *   apply      firewall rules (this kernel drops what the engine takes), service addresses on lo
 *   swept      balancing: reports and sessions → loads, weights, shares → tables
 *
 * Must never: leave a trace at a clean end. What a crash leaves (addresses on lo, offloads) is in the undo log for the
 * next start.
 */
import type { Config, Gateway, Uplink } from "../config/index.js";
import type { Compiled, HostFacts, Panic, Snapshot, Target } from "../database/index.js";
import { type EngineOptions, host } from "../engine/index.js";
import { ALL_UNKNOWN } from "../health/index.js";
import { ServiceAddresses } from "../host/addresses.js";
import { Firewall } from "../host/firewall.js";
import { interfaceAddresses, requireInterface } from "../host/interfaces.js";
import { NextHops } from "../host/next-hops.js";
import { type EngineMode, Offloads } from "../host/offloads.js";
import { UndoLog } from "../host/undo-log.js";
import type { LoadReport } from "../load/index.js";
import type { Drift } from "../member/drift.js";
import { requireRedirectTargets } from "../member/engines.js";
import { LoadMeter } from "../member/load-meter.js";
import type { Pending } from "../member/readiness.js";
import type { BackendView, MemberEvent, MemberView, Role, TableInputs } from "../member/role.js";
import { workersFor } from "../member/workers.js";
import { ROLE } from "../policy/index.js";
import { Balancing } from "./balancing.js";
import { gatewayRules } from "./firewall-rules.js";
import { refuseOwnBackend } from "./own-backend.js";
import { firstDeadlineMs, pendingOf } from "./pending.js";

export class GatewayRole implements Role {
	readonly kind = "gateway";
	readonly observesEgress = false;
	readonly #self: Gateway;
	readonly #undoLog: UndoLog;
	readonly #offloads: Offloads;
	readonly #addresses: ServiceAddresses;
	readonly #nextHops = new NextHops();
	readonly #firewall: Firewall;
	readonly #emit: (event: MemberEvent) => void;
	readonly #warn: (problem: string) => void;
	#member: MemberView | undefined;
	#balancing: Balancing | undefined;
	#loadMeter: LoadMeter | undefined;
	#startedAt = Number.POSITIVE_INFINITY;

	constructor(
		config: Config,
		readonly name: string,
		emit: (event: MemberEvent) => void,
	) {
		this.#self = config.gateways.find((one) => one.name === name) as Gateway;
		this.#emit = emit;
		this.#warn = (problem) => emit({ event: "warning", problem });
		this.#undoLog = new UndoLog(name);
		this.#offloads = new Offloads(this.#undoLog);
		this.#addresses = new ServiceAddresses("lo", this.#undoLog);
		this.#firewall = new Firewall(name, this.#warn);
	}

	get backends(): BackendView | undefined {
		return this.#balancing;
	}

	async checkHost({ backends }: Config): Promise<void> {
		const addresses = (await interfaceAddresses()).map(({ address }) => address);
		refuseOwnBackend(backends, addresses);
	}

	async interfaces(): Promise<readonly string[]> {
		this.#self.interfaces.forEach(requireInterface);
		return this.#self.interfaces;
	}

	async prepare(config: Config, mode: EngineMode): Promise<Pick<EngineOptions, "workers">> {
		for (const name of this.#self.interfaces) this.#offloads.turnOff(name, mode);
		return { workers: workersFor(this.#self.interfaces, config) };
	}

	async attach(member: MemberView): Promise<void> {
		this.#member = member;
		this.#balancing = new Balancing(member, this.#emit, () => this.#sources());
		await this.#balancing.prepare();
	}

	async apply(config: Config, { services }: Snapshot): Promise<void> {
		await this.#firewall.set(gatewayRules(services, this.#self.interfaces, config.cluster.controlPort));
		await this.#addresses.set([...new Set(services.map((service) => service.address))]);
	}

	tableInputs(): TableInputs {
		const health = this.#balancing?.targetHealth() ?? ALL_UNKNOWN;
		return {
			roles: ROLE.gateway,
			own: [],
			ownState: "active",
			loads: this.#balancing?.loads,
			balance: this.#balancing?.shares(),
			health,
		};
	}

	hostFacts(targets: readonly Target[], changed: () => void): Promise<ReadonlyMap<string, HostFacts>> {
		const addresses = [...new Set(targets.map((target) => target.address))].sort();
		return this.#nextHops.resolve(addresses, changed, this.#sources());
	}

	published({ unresolved, panics }: Compiled, previous: Compiled | undefined): void {
		const name = ({ service, rule }: Panic) => (rule === null ? service : `${service} from ${rule}`);
		const were = new Set(previous?.panics.map(name));
		const are = new Set(panics.map(name));
		for (const redirection of are)
			if (!were.has(redirection)) this.#emit({ event: "panic", redirection, begins: true });
		for (const redirection of were)
			if (!are.has(redirection)) this.#emit({ event: "panic", redirection, begins: false });
		const before = new Set(previous?.unresolved);
		for (const address of unresolved)
			if (!before.has(address)) this.#emit({ event: "next-hop", address, problem: "has not answered" });
	}

	start(): void {
		const member = this.#member!;
		if (member.mode === "native") requireRedirectTargets(usedInterfaces(member));
		this.#balancing?.start();
		this.#startedAt = performance.now();
		this.#loadMeter = new LoadMeter(
			this.name,
			() => ({
				load: member.config.load,
				capacity: member.engine.sessionTable().capacity,
				uplinks: this.#self.interfaces.map(
					(name): Uplink => ({ addresses: [name], interface: name, speedBps: 0, cost: 1, cap: 1 }),
				),
				udpSessions: member.sessionsOf("udp"),
				tcpForwarded: member.sessionsOf("tcp"),
				tcpEndpoints: [],
			}),
			this.#warn,
		);
		this.#loadMeter.start();
	}

	drift(): readonly Drift[] {
		return this.#balancing?.drift() ?? [];
	}

	pending(): Pending {
		const { config, compiled } = this.#member!;
		const health = (backend: string) => this.#balancing?.health(backend).health ?? "unknown";
		return {
			what: pendingOf(config.backends, health, compiled?.unresolved ?? []),
			deadlineOver: performance.now() - this.#startedAt >= firstDeadlineMs(config.load.reportMs),
		};
	}

	async swept(): Promise<void> {
		await this.#addresses.watch(this.#warn);
		await this.#balancing?.afterSweep();
	}

	configure(config: Config): void {
		this.#balancing?.configure(config);
	}

	/** It serves no client itself. */
	mptcp(): null {
		return null;
	}

	advice(): readonly string[] {
		return [];
	}

	load(): LoadReport | undefined {
		return this.#loadMeter?.report;
	}

	async leave(): Promise<void> {}

	async close(): Promise<void> {
		await this.#endLoops();
		await this.#addresses.close();
		await this.#firewall.close();
		this.#offloads.restore();
	}

	abandon(): Promise<void> {
		this.#undoLog.keepInherited();
		return this.close();
	}

	async detach(): Promise<void> {
		await this.#endLoops();
		await this.#firewall.close();
	}

	/** As configured now. */
	#sources(): readonly string[] {
		return (this.#member?.config.gateways.find(({ name }) => name === this.name) ?? this.#self).addresses;
	}

	async #endLoops(): Promise<void> {
		await this.#balancing?.close();
		this.#loadMeter?.close();
		this.#nextHops.close();
	}
}

/** Indexes of the interfaces that packets come from and of those that targets are reached by. */
function usedInterfaces({ interfaces, compiled }: MemberView): number[] {
	const egress = compiled?.tables.targets.map((target) => target.ifindex).filter((ifindex) => ifindex !== 0) ?? [];
	return [...interfaces.map((name) => host().link(name).ifindex), ...egress];
}
