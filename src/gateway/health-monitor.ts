/**
 * The health monitor: evidence → health of addresses, and of services at backends → events and new tables.
 *
 * Owns: the state of health, and that each change of it is reported and published.
 * Must never: judge an observation; health/machine.ts does.
 */
import { type Config, redirectionsOf } from "../config/index.js";
import { addressesFor, type Target } from "../database/index.js";
import {
	ALL_UNKNOWN,
	type AssessedState,
	assess,
	backendHealth,
	changedSubjects,
	type Evidence,
	type HealthRules,
	type HealthState,
	type HealthTarget,
	healthOfTarget,
	networkCount,
	PORT_RULES,
	type ProbeResult,
	REPORT_RULES,
	type ReportWindow,
	RULES,
	readReports,
	recoveries,
	reportsText,
	reportVerdict,
	type SlowStart,
	serviceSubject,
	slowStart,
	type TargetHealth,
	targetHealth,
} from "../health/index.js";
import type { UnboundPort } from "../load/index.js";
import type { Check, MemberEvent } from "../member/role.js";
import { Places } from "./places.js";
import type { ProbePlace } from "./probe/prober.js";
import { timeOfDay } from "./time-of-day.js";

export interface HealthMonitorOptions {
	readonly config: Config;
	readonly emit: (event: MemberEvent) => void;
	/** What tables are compiled from has changed. */
	readonly changed: () => void;
}

/** What clients report of one target. */
export interface TargetReport {
	readonly backend: string;
	/** The service's key. */
	readonly service: string;
	/** As clients were redirected to it. */
	readonly port: number;
	/** A bit for each network. */
	readonly networks: bigint;
}

interface LastProbe extends ProbeResult {
	/** As `performance.now()`. */
	readonly at: number;
	/** Time of day of the first of the failures in a row. */
	readonly failingSince: string | undefined;
	readonly sent: number;
	readonly failed: number;
}

const NOTHING_YET: TargetHealth = {
	health: "unknown",
	since: Number.NEGATIVE_INFINITY,
	reason: "not known yet",
};

function lastOf({ passed, detail, ms, at, sent, failed }: LastProbe, now: number): NonNullable<Check["last"]> {
	return { passed, detail, ms, agoMs: now - at, sent, failed };
}

export class HealthMonitor {
	readonly #emit: (event: MemberEvent) => void;
	readonly #changed: () => void;
	#rules: HealthRules = RULES;
	/** By backend. */
	#addresses: ReadonlyMap<string, readonly string[]> = new Map();
	/** By service subject. */
	#places = new Places([]);
	/** By address. */
	#state: AssessedState = new Map();
	/** By service subject: the word of each backend about its sockets. */
	#ports: AssessedState = new Map();
	/** By service subject. */
	#probes: AssessedState = new Map();
	/** By service subject: the last result of a probe, and since when they fail. */
	readonly #lastProbes = new Map<string, LastProbe>();
	/** By service subject: what clients report. */
	#reports: AssessedState = new Map();
	#reported: ReportWindow = new Map();
	#quorum = 0;
	/** Of the last tables. */
	#ofTargets: HealthState = ALL_UNKNOWN;
	#recoveredAt: ReadonlyMap<string, number> = new Map();
	#stepTimer: NodeJS.Timeout | undefined;

	constructor({ config, emit, changed }: HealthMonitorOptions) {
		this.#emit = emit;
		this.#changed = changed;
		this.configure(config);
	}

	/** Another configuration: what is known of addresses that are no longer queried is forgotten. */
	configure({ backends, services, health }: Config): void {
		this.#rules = { ...RULES, ...health };
		this.#quorum = health.reports;
		this.#addresses = new Map(backends.map(({ name, addresses }) => [name, addresses]));
		this.#places = new Places(services);
		const queried = new Set(backends.flatMap((one) => (one.state === "inactive" ? [] : one.addresses)));
		this.#state = new Map([...this.#state].filter(([address]) => queried.has(address)));
		this.#ports = new Map([...this.#ports].filter(([subject]) => this.#places.has(subject)));
		const heeded = (subject: string) => this.#quorum > 0 && this.#places.get(subject)?.heedsReports === true;
		this.#reports = new Map([...this.#reports].filter(([subject]) => heeded(subject)));
		this.#reported = new Map([...this.#reported].filter(([subject]) => heeded(subject)));
		const probed = (subject: string) => (this.#places.get(subject)?.probe ?? null) !== null;
		this.#probes = new Map([...this.#probes].filter(([subject]) => probed(subject)));
		for (const subject of this.#lastProbes.keys()) if (!probed(subject)) this.#lastProbes.delete(subject);
	}

	close(): void {
		clearTimeout(this.#stepTimer);
	}

	observe(evidence: Evidence): void {
		const before = this.#state;
		this.#state = assess(before, [evidence], this.#rules);
		if (changedSubjects(before, this.#state).length === 0) return;
		// An address that becomes healthy when it is first heard changes no table.
		let moved = false;
		for (const [backend, addresses] of this.#addresses) {
			if (!addresses.includes(evidence.subject)) continue;
			const was = backendHealth(addresses, before);
			const now = backendHealth(addresses, this.#state);
			moved ||= before.has(evidence.subject);
			if (was.health === "unknown" && now.health === "healthy") continue;
			if (was.health === now.health && was.drains === now.drains) continue;
			this.#emit({ event: "health", backend, health: now.health, reason: now.reason, ...sessionsOf(now) });
		}
		if (moved) this.#changed();
	}

	/** A backend's word: which of its services have no socket there. Of all others it says that they have, or nothing. */
	observePorts(backend: string, unbound: readonly UnboundPort[], at: number): void {
		const named = new Set(unbound.map(({ service, port }) => serviceSubject(backend, service, port)));
		// Of others nothing is known, and nothing is news: a backend may be in thousands of services.
		const evidence = [...new Set([...named, ...this.#ports.keys()])].flatMap((subject): Evidence[] => {
			const place = this.#places.get(subject);
			if (place?.backend !== backend) return [];
			const missing = named.has(subject);
			const what = `at ${place.protocol} port ${place.port} of ${backend}`;
			const detail = missing ? `nothing listens ${what} since ${timeOfDay()}` : `a socket is ${what}`;
			// The kernel of a backend ends a dead program's TCP connections, and a living one may finish its own.
			return [{ subject, kind: "port", passed: !missing, at, drains: place.protocol === "tcp", detail }];
		});
		const before = this.#ports;
		this.#ports = assess(before, evidence, { ...this.#rules, ...PORT_RULES });
		this.#report(before, this.#ports);
	}

	/** A service at a backend was asked. */
	observeProbe(subject: string, result: ProbeResult, at: number): void {
		const place = this.#places.get(subject);
		if (place === undefined || place.probe === null) return;
		const { rise, fall } = place.probe;
		const last = this.#lastProbes.get(subject);
		const failingSince = result.passed ? undefined : (last?.failingSince ?? timeOfDay());
		const sent = (last?.sent ?? 0) + 1;
		const failed = (last?.failed ?? 0) + (result.passed ? 0 : 1);
		this.#lastProbes.set(subject, { ...result, at, failingSince, sent, failed });
		const { passed } = result;
		const where = result.detail === "no answer" ? "to" : "in";
		const detail = passed
			? `probes of ${place.title} are answered`
			: `${result.detail} ${where} ${fall} ${fall === 1 ? "probe" : "probes"} of ${place.title} since ${failingSince}`;
		const before = this.#probes;
		const rules = { ...this.#rules, rise, fall, shortestSilenceMs: 0 };
		this.#probes = assess(before, [{ subject, kind: "probe", passed, at, detail }], rules);
		this.#report(before, this.#probes);
		this.#judgeReports(at);
	}

	/** What clients have reported since the last call, which follows soon even if it is nothing. */
	observeReports(reports: readonly TargetReport[], at: number): void {
		const read = reports.flatMap(({ backend, service, port, networks }): [string, bigint][] => {
			// A service of several ports has one place for all.
			const subjects = [port, 0].map((one) => serviceSubject(backend, service, one));
			const subject = subjects.find((one) => this.#places.get(one)?.heedsReports);
			const isOut = subject === undefined || this.#reports.get(subject)?.health === "unhealthy";
			return isOut || this.#quorum === 0 ? [] : [[subject, networks]];
		});
		this.#reported = readReports(this.#reported, read, at);
		this.#judgeReports(at);
	}

	/** Clients never report that a service answers: after the hold-down it is tried again, and falls for twice as long if
	 * it is reported again. */
	#judgeReports(at: number): void {
		const open = new Map(this.#reported);
		const evidence: Evidence[] = [];
		for (const [subject, readings] of this.#reported) {
			const place = this.#places.get(subject);
			const last = place?.probe ? this.#lastProbes.get(subject) : undefined;
			const probe = last && { passed: last.passed, startedAt: last.at - last.ms };
			const verdict = reportVerdict(readings, this.#quorum, probe, at);
			if (verdict === "few" || verdict === "open") continue;
			open.delete(subject);
			if (verdict === "outweighed" || place === undefined) continue;
			const since = timeOfDay(Date.now() - (at - readings[0]!.at));
			const detail = `${reportsText(place.backend, place.title, networkCount(readings))}, since ${since}`;
			evidence.push({ subject, kind: "client-reports", passed: false, at, drains: place.protocol === "tcp", detail });
		}
		for (const [subject, { health, heldUntil }] of this.#reports) {
			if (health !== "unhealthy" || at < heldUntil) continue;
			const detail = "its hold-down after clients' reports is over, it is tried";
			evidence.push({ subject, kind: "client-reports", passed: true, at, detail });
		}
		this.#reported = open;
		const before = this.#reports;
		this.#reports = assess(before, evidence, { ...this.#rules, ...REPORT_RULES });
		this.#report(before, this.#reports);
	}

	/** Everything that is observed of backends, for an operator. */
	checks(): Check[] {
		const now = performance.now();
		const of = (state: AssessedState, subject: string) => {
			const { health, reason, since } = state.get(subject) ?? NOTHING_YET;
			return { health, reason, forMs: Number.isFinite(since) ? now - since : null };
		};
		const loads = [...this.#addresses].flatMap(([backend, addresses]) =>
			addresses.map(
				(address): Check => ({
					backend,
					service: null,
					check: "load",
					subject: address,
					last: null,
					...of(this.#state, address),
				}),
			),
		);
		const services = [...this.#places].flatMap(([subject, place]) => {
			const { backend, name, port, probe } = place;
			const common = { backend, service: name, subject: String(port) };
			const ports: Check[] = this.#ports.has(subject)
				? [{ ...common, check: "port", last: null, ...of(this.#ports, subject) }]
				: [];
			const last = this.#lastProbes.get(subject);
			const probes: Check[] =
				probe === null
					? []
					: [
							{
								...common,
								check: probe.type,
								last: last === undefined ? null : lastOf(last, now),
								...of(this.#probes, subject),
							},
						];
			return [...ports, ...probes, ...this.#reportChecks(subject, common, of)];
		});
		return [...loads, ...services];
	}

	/** Shown where clients have reported. */
	#reportChecks(
		subject: string,
		common: Pick<Check, "backend" | "service" | "subject">,
		of: (state: AssessedState, subject: string) => Pick<Check, "health" | "reason" | "forMs">,
	): Check[] {
		const check = { ...common, check: "reports", last: null } as const;
		const readings = this.#reported.get(subject);
		if (readings === undefined) return this.#reports.has(subject) ? [{ ...check, ...of(this.#reports, subject) }] : [];
		const { backend, title } = this.#places.get(subject)!;
		const reason = `${reportsText(backend, title, networkCount(readings))}; ${this.#quorum} are needed`;
		return [{ ...check, ...of(this.#reports, subject), reason }];
	}

	/** Events, and new tables, for services at backends whose health has changed. */
	#report(before: AssessedState, after: AssessedState): void {
		const changed = changedSubjects(before, after).filter(
			// What becomes healthy when it is first asked changes no table.
			(subject) =>
				after.get(subject)?.health !== "unknown" && (before.has(subject) || after.get(subject)?.health !== "healthy"),
		);
		for (const subject of changed) {
			const { backend, name } = this.#places.get(subject)!;
			const now = after.get(subject)!;
			const { health, reason } = now;
			this.#emit({ event: "health", backend, service: name, health, reason, ...sessionsOf(now) });
		}
		if (changed.length > 0) this.#changed();
	}

	/** By target key, for the compilation of tables. */
	ofTargets(targets: readonly Target[]): HealthState {
		const before = this.#ofTargets;
		this.#ofTargets =
			this.#state.size + this.#ports.size + this.#probes.size + this.#reports.size === 0
				? ALL_UNKNOWN
				: targetHealth(targets, this.#state, (backend) => this.#addresses.get(backend) ?? [], this.#views());
		this.#recoveredAt = recoveries(this.#recoveredAt, before, this.#ofTargets, performance.now());
		return this.#ofTargets;
	}

	/** Of the health that `ofTargets` returned last. Tables follow when its factors change. */
	slowStart(targets: readonly Target[]): SlowStart["factors"] {
		if (this.#recoveredAt.size === 0) return new Map();
		const subjects = new Map(targets.map((one) => [one.key, serviceSubject(one.backend, one.set, one.port)]));
		const slowStartMs = (key: string) => this.#places.get(subjects.get(key) ?? "")?.slowStartMs ?? 0;
		const { factors, nextMs } = slowStart(this.#recoveredAt, slowStartMs, performance.now());
		clearTimeout(this.#stepTimer);
		if (nextMs !== undefined) this.#stepTimer = setTimeout(() => this.#changed(), nextMs + 1).unref();
		return factors;
	}

	backend(name: string): TargetHealth {
		return backendHealth(this.#addresses.get(name) ?? [], this.#state);
	}

	target(target: HealthTarget): TargetHealth {
		return healthOfTarget(target, this.#state, this.#addresses.get(target.backend) ?? [], this.#views());
	}

	#views(): readonly HealthState[] {
		return [this.#probes, this.#ports, this.#reports];
	}

	/** What is to be asked: of active backends. */
	probePlaces({ services, backends }: Config): ProbePlace[] {
		const found = new Map<string, ProbePlace>();
		for (const service of services) {
			const { key, name, address, port, protocol, health } = service;
			if (health.probe === null) continue;
			for (const { choices } of redirectionsOf(service))
				for (const choice of choices) {
					const backend = backends.find((one) => one.name === choice.backend);
					const subject = serviceSubject(choice.backend, key, choice.port);
					if (backend === undefined || backend.state !== "active" || found.has(subject)) continue;
					const addresses = addressesFor(backend, service);
					if (addresses.length === 0) continue;
					const where = { address, port, protocol };
					found.set(subject, {
						subject,
						backend: backend.name,
						name,
						service: where,
						addresses,
						port: choice.port,
						probe: health.probe,
					});
				}
		}
		return [...found.values()];
	}
}

function sessionsOf({ health, drains }: TargetHealth) {
	return health === "unhealthy" ? { sessions: drains ? "stay" : "move" } : {};
}
