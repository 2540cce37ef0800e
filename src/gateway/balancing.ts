/**
 * Balancing: a gateway's loop from what backends report to the inputs of table compilation.
 *
 *   collector → redirection database → reports ┐
 *   sweep → this gateway's own sessions        ├→ policy/balance.ts → loads, factors, shares, down → tables
 *   collector → which addresses answer         ┘
 *   collector, path errors, probes, clients' reports → evidence → health-monitor.ts → tables
 *
 * Owns: the state that the next step starts from, and when tables must follow it.
 * Must never: weigh anything; what follows from reports is policy's.
 */
import type { Config } from "../config/index.js";
import { poolsOf, readLoads, type Shares, type Store, type Target, targetLoads } from "../database/index.js";
import type { HealthState, TargetHealth } from "../health/index.js";
import { routeTo } from "../host/routes.js";
import type { LoadReport } from "../load/index.js";
import { type Drift, DriftEvents } from "../member/drift.js";
import type { BackendView, Check, MemberEvent, MemberView } from "../member/role.js";
import { VERSION } from "../member/version.js";
import {
	type Balance,
	type BalancedUplink,
	type Believed,
	balance,
	balanceMoved,
	type Loads,
	loadsMoved,
	smoothed,
	strategyOf,
} from "../policy/index.js";
import { Collector, type CollectorOptions } from "./collector.js";
import { DriftMonitor } from "./drift.js";
import { HealthMonitor } from "./health-monitor.js";
import { PathErrors } from "./path-errors.js";
import { Prober } from "./probe/prober.js";
import { ReportReader } from "./report-reader.js";

/** Between two steps, however short the passes of the sweep are: a step that moves loads publishes whole tables. */
const MIN_INTERVAL_MS = 100;

export class Balancing implements BackendView {
	/** By target key; for compile(). */
	loads: Loads = new Map();
	readonly #member: MemberView;
	readonly #store: Store;
	readonly #collector: Collector;
	readonly #health: HealthMonitor;
	readonly #prober: Prober;
	readonly #pathErrors: PathErrors;
	readonly #clientReports: ReportReader;
	readonly #emit: (event: MemberEvent) => void;
	readonly #warn: (problem: string) => void;
	readonly #drift = new DriftMonitor();
	readonly #driftEvents: DriftEvents;
	/** By backend: those with which no packet can pass. */
	readonly #unusable = new Map<string, TargetHealth>();
	/** undefined: before the first step. */
	#balance: Balance | undefined;
	/** By backend, as last read from the database. */
	#reports: ReadonlyMap<string, LoadReport> = new Map();
	/** This gateway's sessions by backend, smoothed as of the last report. A session younger than the smoothing's time
	 * constant is not fully in the report; the rest of it is added. */
	#sessionsAtReport = new Map<string, { readonly receivedAt: number; readonly sessions: number }>();
	/** This gateway's sessions by backend, now. */
	#sessions: ReadonlyMap<string, number> = new Map();
	#stepping = false;
	#steppedAt = 0;
	#closed = false;
	/** Tables must follow health, and are about to. */
	#healthChanged = false;

	/** `sources`: addresses that this gateway sends the tunnel from. */
	constructor(member: MemberView, emit: (event: MemberEvent) => void, sources: () => readonly string[]) {
		this.#member = member;
		this.#store = member.store;
		this.#emit = emit;
		this.#warn = (problem) => emit({ event: "warning", problem });
		const { store } = member;
		const config = this.#queried(member.config);
		this.#health = new HealthMonitor({ config, emit, changed: () => this.#publishHealth() });
		const onEvidence = this.#health.observe.bind(this.#health);
		const onUnbound = this.#health.observePorts.bind(this.#health);
		this.#driftEvents = new DriftEvents(emit);
		const onReport = ({ server, override, identity }: LoadReport, offsetMs: number) => {
			member.followOverride(server, override);
			this.#updateDrift(server, () => this.#drift.answered(server, offsetMs, identity));
		};
		const onRefusal: CollectorOptions["onRefusal"] = (backend, why, offsetMs) =>
			this.#updateDrift(backend, () => this.#drift.refused(backend, why, offsetMs));
		this.#collector = new Collector({ config, store, warn: this.#warn, onEvidence, onReport, onRefusal, onUnbound });
		this.#prober = new Prober({
			interfaces: member.interfaces,
			sources,
			cluster: () => member.config.cluster,
			onResult: ({ subject }, result, at) => this.#health.observeProbe(subject, result, at),
			warn: this.#warn,
		});
		this.#pathErrors = new PathErrors({
			ports: () => ({ tunnel: member.config.cluster.tunnelPort, load: member.config.load.port }),
			sourceTo: (destination) => routeTo(destination)?.source,
			onError: (address, why) => this.#collector.doubt(address, why),
			warn: this.#warn,
		});
		this.#clientReports = new ReportReader({ member, onReports: this.#health.observeReports.bind(this.#health) });
	}

	/** The step before the first tables: what is configured of uplinks counts before any report. */
	async prepare(): Promise<void> {
		await this.#step(this.#member.config, new Map());
	}

	/** Begins to query backends. */
	start(): void {
		this.#collector.start();
		this.#pathErrors.start();
		this.#clientReports.start();
		this.#prober.set(this.#health.probePlaces(this.#member.config));
	}

	configure(inForce: Config): void {
		const config = this.#queried(inForce);
		this.#collector.configure(config);
		this.#health.configure(config);
		this.#prober.set(this.#health.probePlaces(inForce));
	}

	/** A backend that an override has taken out of service is queried on: its report tells when the override ends. */
	#queried(config: Config): Config {
		return { ...config, backends: this.#member.fileConfig.backends };
	}

	close(): Promise<void> {
		this.#closed = true;
		this.#health.close();
		this.#prober.close();
		this.#pathErrors.close();
		this.#clientReports.close();
		return this.#collector.close();
	}

	/** A step after a pass of the sweep; publishes when a load, weight or uplink state has changed beyond its threshold.
	 * Skipped while the previous step is publishing: a pass may be shorter than a publication. */
	async afterSweep(): Promise<void> {
		if (this.#stepping || Date.now() - this.#steppedAt < MIN_INTERVAL_MS) return;
		this.#stepping = true;
		this.#steppedAt = Date.now();
		try {
			const member = this.#member;
			const sessions = member.engine.sessionCounts().targetSessions;
			const moved = await this.#step(member.config, sessionsByBackend(member, sessions));
			const loads = targetLoads(member.snapshot, member.ids, () => sessions, this.#totalLoads());
			if (this.#closed || (!moved && !loadsMoved(this.loads, loads))) return;
			this.loads = loads;
			await member.publish();
		} finally {
			this.#stepping = false;
		}
	}

	/** For compile(); undefined: before the first step. */
	shares(): Shares | undefined {
		if (this.#balance === undefined) return undefined;
		const factors = new Map([...this.#balance.factors].map(([name, { factor }]) => [name, factor]));
		const slowStart = this.#health.slowStart(this.#member.targets());
		return { factors, addresses: this.#balance.shares, down: this.#balance.down, slowStart };
	}

	report(backend: string): LoadReport | undefined {
		return this.#reports.get(backend);
	}

	reportAgeMs(backend: string): number | undefined {
		const heard = this.#collector.heard.get(backend);
		return heard === undefined ? undefined : performance.now() - heard.receivedAt;
	}

	believed(backend: string): Believed | undefined {
		return this.#balance?.loads.get(backend);
	}

	factor(backend: string): number {
		return this.#balance?.factors.get(backend)?.factor ?? 1;
	}

	share(address: string): number | null {
		if (this.#balance === undefined) return null;
		return this.isDown(address) ? 0 : (this.#balance.shares.get(address) ?? null);
	}

	isDown(address: string): boolean {
		return this.#balance?.down.has(address) ?? false;
	}

	/** By target key; for compile(). */
	targetHealth(): HealthState {
		const targets = this.#member.targets();
		const health = this.#health.ofTargets(targets);
		if (this.#unusable.size === 0) return health;
		const unusable = targets.flatMap(({ key, backend }): [string, TargetHealth][] => {
			const one = this.#unusable.get(backend);
			return one === undefined ? [] : [[key, one]];
		});
		return new Map([...health, ...unusable]);
	}

	health(backend: string): TargetHealth {
		return this.#unusable.get(backend) ?? this.#health.backend(backend);
	}

	checks(): readonly Check[] {
		return this.#health.checks();
	}

	ofTarget(target: Target): TargetHealth {
		return this.#unusable.get(target.backend) ?? this.#health.target(target);
	}

	drift(): Drift[] {
		return this.#drift.of(this.#member.fileConfig, VERSION);
	}

	/** A backend with which no packet can pass is unhealthy, whatever else it answers. */
	#updateDrift(backend: string, learn: () => void): void {
		learn();
		const drift = this.#drift.ofBackend(backend, this.#member.fileConfig, VERSION);
		this.#driftEvents.update(backend, drift);
		const reason = drift.find(({ unusable }) => unusable)?.text;
		if (this.#unusable.get(backend)?.reason === reason) return;
		const { health: before } = this.health(backend);
		const since = this.#unusable.get(backend)?.since ?? performance.now();
		if (reason === undefined) this.#unusable.delete(backend);
		else this.#unusable.set(backend, { health: "unhealthy", since, reason, drains: false });
		const now = this.health(backend);
		if (before === now.health) return;
		const sessions = now.health === "unhealthy" ? { sessions: "move" } : {};
		this.#emit({ event: "health", backend, health: now.health, reason: now.reason, ...sessions });
		this.#publishHealth();
	}

	/** At once, not at the end of the sweep: until then packets go to a backend that is gone. Once for all evidence of a
	 * moment: backends that fall together are judged together. */
	#publishHealth(): void {
		if (this.#healthChanged) return;
		this.#healthChanged = true;
		setImmediate(() => {
			this.#healthChanged = false;
			if (!this.#closed) this.#member.publish().catch((error) => this.#warn(String(error)));
		});
	}

	/** `sessions`: this gateway's own, by backend, at the last sweep. True: the tables must follow. */
	async #step(config: Config, sessions: ReadonlyMap<string, number>): Promise<boolean> {
		this.#reports = await readLoads(this.#store);
		this.#sessions = sessions;
		const pools = poolsOf(config.services, config.backends);
		const next = balance(this.#balance, {
			now: performance.now(),
			staleMs: config.load.staleMs,
			periodMs: config.load.reportMs,
			weighted: config.services.some(({ choose }) => strategyOf(choose).needsFactors),
			backends: config.backends.map((backend) => ({
				name: backend.name,
				pool: pools.get(backend.name) ?? backend.name,
				capacity: backend.capacity,
				active: backend.state === "active" && this.health(backend.name).health !== "unhealthy",
				sessions: this.#weightedSessions(config, backend.name),
				report: this.#lastReport(config, backend.name),
				uplinks: backend.uplinks.map(({ addresses, cost, cap }): BalancedUplink => {
					const reported = this.#reports
						.get(backend.name)
						?.uplinks.find((uplink) => uplink.addresses.includes(addresses[0]!));
					if (reported === undefined) return { addresses, cost, cap };
					const { up, speedBps, rxBps, txBps } = reported;
					return { addresses, cost, cap, reported: { up, speedBps, usedBps: Math.max(rxBps, txBps) } };
				}),
			})),
			queries: new Map(
				[...this.#collector.queriedSince].map(([address, since]) => {
					const answers = [...this.#collector.heard.values()].map((one) => one.addresses.get(address));
					return [address, { since, answered: answers.find((one) => one !== undefined) }];
				}),
			),
		});
		const moved = balanceMoved(this.#balance, next);
		this.#balance = next;
		return moved;
	}

	/** By backend; undefined: no backend's load is known. */
	#totalLoads(): ReadonlyMap<string, number> | undefined {
		const known = [...(this.#balance?.loads ?? [])].flatMap(([name, { load }]): [string, number][] =>
			load === undefined ? [] : [[name, load]],
		);
		return known.length === 0 ? undefined : new Map(known);
	}

	/** A backend's last report, with this gateway's sessions that are in it. */
	#lastReport(config: Config, backend: string) {
		const report = this.#reports.get(backend);
		const heard = this.#collector.heard.get(backend);
		if (report === undefined || heard === undefined) return undefined;
		const { receivedAt } = heard;
		let before = this.#sessionsAtReport.get(backend);
		if (before?.receivedAt !== receivedAt) {
			const elapsed = before === undefined ? 0 : receivedAt - before.receivedAt;
			const now = this.#weightedSessions(config, backend);
			before = { receivedAt, sessions: smoothed(before?.sessions, now, elapsed, config.load.smoothMs) };
			this.#sessionsAtReport.set(backend, before);
		}
		return { receivedAt, total: report.total, sessions: before.sessions };
	}

	/** As the load counts sessions. How many are of TCP services is not known here, so all have the weight of UDP
	 * sessions. */
	#weightedSessions(config: Config, backend: string): number {
		return config.load.udp * (this.#sessions.get(backend) ?? 0);
	}
}

/** `byTarget`: sessions by target id. */
function sessionsByBackend(member: MemberView, byTarget: Uint32Array): Map<string, number> {
	const sessions = new Map<string, number>();
	for (const { key, backend } of member.targets())
		sessions.set(backend, (sessions.get(backend) ?? 0) + (byTarget[member.ids.targets.get(key) ?? 0] ?? 0));
	return sessions;
}
