/**
 * The health monitor: evidence of the collector → health of addresses → events and new tables.
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
	type HealthState,
	type TargetHealth,
	targetHealth,
} from "../health/index.js";
import type { MemberEvent } from "../member/role.js";

export interface HealthMonitorOptions {
	readonly config: Config;
	readonly emit: (event: MemberEvent) => void;
	/** What tables are compiled from has changed. */
	readonly changed: () => void;
}

export class HealthMonitor {
	readonly #emit: (event: MemberEvent) => void;
	readonly #changed: () => void;
	/** By backend. */
	#addresses: ReadonlyMap<string, readonly string[]> = new Map();
	/** By address. */
	#state: AssessedState = new Map();

	constructor({ config, emit, changed }: HealthMonitorOptions) {
		this.#emit = emit;
		this.#changed = changed;
		this.configure(config);
	}

	/** Another configuration: what is known of addresses that are no longer queried is forgotten. */
	configure({ backends }: Config): void {
		this.#addresses = new Map(backends.map(({ name, addresses }) => [name, addresses]));
		const queried = new Set(backends.flatMap((one) => (one.state === "inactive" ? [] : one.addresses)));
		this.#state = new Map([...this.#state].filter(([address]) => queried.has(address)));
	}

	observe(evidence: Evidence): void {
		const before = this.#state;
		this.#state = assess(before, [evidence]);
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
			const sessions = now.health === "unhealthy" ? { sessions: now.drains ? "stay" : "move" } : {};
			this.#emit({ event: "health", backend, health: now.health, reason: now.reason, ...sessions });
		}
		if (moved) this.#changed();
	}

	/** By target key, for the compilation of tables. */
	ofTargets(targets: readonly Target[]): HealthState {
		if (this.#state.size === 0) return ALL_UNKNOWN;
		return targetHealth(targets, this.#state, (backend) => this.#addresses.get(backend) ?? []);
	}

	backend(name: string): TargetHealth {
		return backendHealth(this.#addresses.get(name) ?? [], this.#state);
	}

	address(backend: string, address: string): TargetHealth {
		return this.#state.get(address) ?? this.backend(backend);
	}
}
