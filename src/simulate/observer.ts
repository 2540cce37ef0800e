// observer.ts - what a gateway of a run observes of its backends: queries, answers and silence. What follows from them is
// decided by the shipped state machine, slow start and panic threshold; this file has the part of the daemon around them
// (src/gateway/collector.ts, src/gateway/health-monitor.ts).
//
// Owns: the unanswered queries of each backend, and its health at this gateway.
// Must never: use a fact of a backend that is not in an answer, or in the lack of one.

import type { State } from "../config/index.js";
import { type ImposedStates, serving } from "../database/index.js";
import {
	ALL_UNKNOWN,
	type AssessedState,
	assess,
	backendHealth,
	changedSubjects,
	type Evidence,
	type HealthRules,
	type HealthState,
	imposedStates,
	isSuspect,
	missAfterMs,
	RULES,
	recoveries,
	slowStart,
	targetHealth,
} from "../health/index.js";
import { type Options, STEP_MS } from "./model.js";
import type { Servers } from "./servers.js";

/** A target as far as health decides about it. */
export interface ObservedTarget {
	readonly key: string;
	readonly id: number;
	readonly backend: string;
	readonly address: string;
	readonly state: State;
}

export class Observer {
	/** A redirection of fewer healthy backends than the threshold uses all of them. */
	panic = false;
	readonly #options: Options;
	readonly #servers: Servers;
	readonly #rules: HealthRules;
	readonly #targets: readonly { key: string; backend: string; address: string; set: string; port: number }[];
	readonly #halfPeriod: number;
	readonly #missSteps: number;
	/** By backend: the step of the query before the present one, if it was not answered; -1: it was. */
	readonly #askedAt: Int32Array;
	readonly #misses: Uint8Array;
	#state: AssessedState = new Map();
	#health: HealthState = ALL_UNKNOWN;
	#imposed: ImposedStates = new Map();
	#recoveredAt: ReadonlyMap<string, number> = new Map();
	#changed = false;
	#nextStepAt = Number.POSITIVE_INFINITY;

	constructor(options: Options, servers: Servers, keys: readonly string[]) {
		this.#options = options;
		this.#servers = servers;
		this.#rules = { ...RULES, ...options.health };
		const { reportMs } = options.load;
		this.#halfPeriod = Math.max(1, Math.round(reportMs / 2 / STEP_MS));
		this.#missSteps = Math.ceil(missAfterMs(reportMs) / STEP_MS);
		this.#askedAt = new Int32Array(servers.names.length).fill(-1);
		this.#misses = new Uint8Array(servers.names.length);
		this.#targets = servers.names.flatMap((backend, b) =>
			servers.addresses[b]!.map((address, i) => ({
				key: keys[servers.targetOf(b, i) - 1]!,
				backend,
				address,
				set: "s",
				port: 53,
			})),
		);
	}

	/** Queries that are due at this step, each backend at its own phase of the period; those before that are overdue have
	 * failed. Calls `extra` for a query between those that every backend gets. */
	query(step: number, phases: readonly number[], extra: (backend: number) => void): void {
		for (const [b, phase] of phases.entries()) {
			const since = step - phase;
			if (since < 0 || since % this.#halfPeriod !== 0 || this.#servers.active[b] === 0) continue;
			const asked = this.#askedAt[b]!;
			if (asked >= 0 && step - asked >= this.#missSteps) this.#missed(b, step * STEP_MS);
			const whole = since % (2 * this.#halfPeriod) === 0;
			if (!whole && !isSuspect(this.#misses[b]!)) continue;
			this.#askedAt[b] = step;
			if (!whole) extra(b);
		}
	}

	/** A backend has answered. */
	answered(backend: number, nowMs: number): void {
		this.#askedAt[backend] = -1;
		this.#misses[backend] = 0;
		this.#observe(backend, true, nowMs);
	}

	/** Health has changed since the last call, or a step of a slow start is due: tables must follow. */
	mustPublish(nowMs: number): boolean {
		const must = this.#changed || nowMs >= this.#nextStepAt;
		this.#changed = false;
		return must;
	}

	isUnhealthy(backend: number): boolean {
		return backendHealth(this.#servers.addresses[backend]!, this.#state).health === "unhealthy";
	}

	/** The targets in force, and what their weights are multiplied by. */
	serving<T extends ObservedTarget>(
		targets: readonly T[],
		nowMs: number,
	): { readonly targets: readonly T[]; readonly factors: ReadonlyMap<string, number> } {
		const { slowStartMs, panic: threshold } = this.#options.health;
		const of = serving(targets, this.#imposed, { fail: "open", panic: threshold });
		this.panic = of.panic;
		const { factors, nextMs } = slowStart(this.#recoveredAt, () => slowStartMs, nowMs);
		this.#nextStepAt = nextMs === undefined ? Number.POSITIVE_INFINITY : nowMs + nextMs;
		return { targets: of.targets, factors };
	}

	#missed(backend: number, nowMs: number): void {
		this.#askedAt[backend] = -1;
		this.#misses[backend] = Math.min(255, this.#misses[backend]! + 1);
		this.#observe(backend, false, nowMs);
	}

	/** A backend is silent at all its addresses, or at none. */
	#observe(backend: number, passed: boolean, at: number): void {
		const evidence = this.#servers.addresses[backend]!.map(
			(subject): Evidence => ({ subject, kind: "load-report", passed, at, detail: "" }),
		);
		const before = this.#state;
		this.#state = assess(before, evidence, this.#rules);
		const changed = changedSubjects(before, this.#state);
		if (!changed.some((subject) => before.has(subject))) return;
		this.#changed = true;
		const addresses = (name: string) => this.#servers.addresses[this.#servers.names.indexOf(name)] ?? [];
		const health = targetHealth(this.#targets, this.#state, addresses);
		this.#recoveredAt = recoveries(this.#recoveredAt, this.#health, health, at);
		this.#health = health;
		this.#imposed = imposedStates(health);
	}
}
