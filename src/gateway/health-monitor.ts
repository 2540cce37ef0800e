/**
 * The health monitor: evidence → health of addresses, and of services at backends → events and new tables.
 *
 * Owns: the state of health, and that each change of it is reported and published.
 * Must never: judge an observation; health/machine.ts does.
 */
import type { Config } from "../config/index.js";
import type { Target } from "../database/index.js";
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
	PORT_RULES,
	RULES,
	recoveries,
	type SlowStart,
	serviceSubject,
	slowStart,
	type TargetHealth,
	targetHealth,
} from "../health/index.js";
import type { UnboundPort } from "../load/index.js";
import type { MemberEvent } from "../member/role.js";

export interface HealthMonitorOptions {
	readonly config: Config;
	readonly emit: (event: MemberEvent) => void;
	/** What tables are compiled from has changed. */
	readonly changed: () => void;
}

/** A service at a backend. */
interface Place {
	readonly backend: string;
	/** For an operator: "dns udp/203.0.113.53/53". */
	readonly name: string;
	readonly service: string;
	readonly port: number;
	readonly protocol: "udp" | "tcp";
	readonly slowStartMs: number;
}

export class HealthMonitor {
	readonly #emit: (event: MemberEvent) => void;
	readonly #changed: () => void;
	#rules: HealthRules = RULES;
	/** By backend. */
	#addresses: ReadonlyMap<string, readonly string[]> = new Map();
	/** By service subject. */
	#places: ReadonlyMap<string, Place> = new Map();
	/** By address. */
	#state: AssessedState = new Map();
	/** By service subject: the word of each backend about its sockets. */
	#ports: AssessedState = new Map();
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
		this.#addresses = new Map(backends.map(({ name, addresses }) => [name, addresses]));
		this.#places = placesOf(services);
		const queried = new Set(backends.flatMap((one) => (one.state === "inactive" ? [] : one.addresses)));
		this.#state = new Map([...this.#state].filter(([address]) => queried.has(address)));
		this.#ports = new Map([...this.#ports].filter(([subject]) => this.#places.has(subject)));
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
		const evidence = [...this.#places].flatMap(([subject, place]): Evidence[] => {
			if (place.backend !== backend) return [];
			const missing = named.has(subject);
			if (!missing && !this.#ports.has(subject)) return [];
			const what = `at ${place.protocol} port ${place.port} of ${backend}`;
			const detail = missing ? `nothing listens ${what} since ${timeText()}` : `a socket is ${what}`;
			// The kernel of a backend ends a dead program's TCP connections, and a living one may finish its own.
			return [{ subject, kind: "port", passed: !missing, at, drains: place.protocol === "tcp", detail }];
		});
		const before = this.#ports;
		this.#ports = assess(before, evidence, { ...this.#rules, ...PORT_RULES });
		this.#report(before, this.#ports);
	}

	/** Events, and new tables, for services at backends whose health has changed. */
	#report(before: AssessedState, after: AssessedState): void {
		const changed = changedSubjects(before, after);
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
			this.#state.size + this.#ports.size === 0
				? ALL_UNKNOWN
				: targetHealth(targets, this.#state, (backend) => this.#addresses.get(backend) ?? [], [this.#ports]);
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
		return healthOfTarget(target, this.#state, this.#addresses.get(target.backend) ?? [], [this.#ports]);
	}
}

function placesOf(services: Config["services"]): ReadonlyMap<string, Place> {
	const places = new Map<string, Place>();
	for (const { key, name, protocol, redirection, rules, health } of services)
		for (const { choices } of [redirection, ...rules.map((rule) => rule.redirection)])
			for (const { backend, port } of choices)
				places.set(serviceSubject(backend, key, port), {
					backend,
					name: `${name} ${key}`,
					service: key,
					port,
					protocol,
					slowStartMs: health.slowStartMs,
				});
	return places;
}

function sessionsOf({ health, drains }: TargetHealth) {
	return health === "unhealthy" ? { sessions: drains ? "stay" : "move" } : {};
}

/** "12:01:07", of local time. */
function timeText(): string {
	return new Date().toTimeString().slice(0, 8);
}
