// receiver.ts - a gateway of a run: it receives reports, balances, compiles tables and chooses targets. All decisions
// are the shipped policy's; this file has the part of the daemon around it (src/gateway/balancing.ts, src/member/publisher.ts,
// src/database/tables.ts).
//
// Owns: its own sessions, the reports received, its balance and its tables.
// Must never: use a fact of a backend that is not in a report.

import {
	type BackendNow,
	type Balance,
	balance,
	balanceMoved,
	type Candidate,
	CHOICE,
	forwardingTable,
	type Loads,
	loadsMoved,
	relativeLoads,
	type Strategy,
	smoothed,
	strategyOf,
	tableSize,
} from "../policy/index.js";
import type { Options } from "./model.js";
import { type ObservedTarget, Observer } from "./observer.js";
import type { Report, Servers } from "./servers.js";

const FORWARDING_SEED = "simulated";

interface ReceivedReport {
	readonly receivedAt: number;
	readonly total: number;
	/** Own sessions at the first step after the report, smoothed like the report. */
	sessions: number | undefined;
	readonly before: { readonly receivedAt: number; readonly sessions: number } | undefined;
	readonly links: Report["links"];
}

interface Weighted extends ObservedTarget {
	readonly weight: number;
}

/** What another set of tables has changed. */
export interface Published {
	/** Targets that have gone down: their sessions choose anew. */
	readonly gone: readonly number[];
	/** Targets that were down and are not. */
	readonly back: readonly number[];
	/** Rows that name another target, and those of them whose targets kept their weights. */
	readonly rows: number;
	readonly elsewhere: number;
}

export class Receiver {
	/** Own sessions by target id. */
	readonly sessions: Int32Array;
	rows: Uint16Array = new Uint16Array(0);
	/** By target id. */
	readonly loads: Uint16Array;
	published = 0;
	rowsMoved = 0;
	balance: Balance | undefined;
	/** undefined: no backend dies in this run. */
	readonly observer: Observer | undefined;
	readonly #options: Options;
	readonly #servers: Servers;
	readonly #reports: (ReceivedReport | undefined)[];
	readonly #queriedSince: number[];
	readonly #keys: readonly string[];
	readonly #size: number;
	readonly #strategy: Strategy;
	#publishedLoads: Loads = new Map();
	#cause = "";
	/** By target id: the weight in the rows, 0 for those without. */
	#weights: Float64Array;
	/** Targets that are down by their health. */
	#down: ReadonlySet<number> = new Set();

	constructor(options: Options, servers: Servers) {
		this.#options = options;
		this.#servers = servers;
		this.sessions = new Int32Array(servers.sessions.length);
		this.loads = new Uint16Array(servers.sessions.length);
		this.#reports = servers.names.map(() => undefined);
		this.#queriedSince = servers.names.map(() => 0);
		this.#keys = servers.names.flatMap((name, b) => servers.addresses[b]!.map((address) => `${name}/${address}/53`));
		this.#strategy = strategyOf(options.choose);
		this.observer = options.outages.length === 0 ? undefined : new Observer(options, servers, this.#keys);
		this.#weights = new Float64Array(servers.sessions.length);
		this.#size = tableSize(
			servers.names.flatMap((_, b) => servers.addresses[b]!.map(() => servers.weight[b]! / servers.perBackend)),
		);
	}

	/** A report has arrived. */
	receive(backend: number, report: Report, nowMs: number): void {
		const last = this.#reports[backend];
		const before =
			last?.sessions === undefined ? last?.before : { receivedAt: last.receivedAt, sessions: last.sessions };
		this.#reports[backend] = {
			receivedAt: nowMs,
			total: report.total,
			links: report.links,
			sessions: undefined,
			before,
		};
		this.observer?.answered(backend, nowMs);
	}

	/** A backend has left or joined again: its earlier reports do not count. */
	forget(backend: number, nowMs: number): void {
		this.#reports[backend] = undefined;
		this.#queriedSince[backend] = nowMs;
	}

	/** One iteration of the gateway's loop. */
	step(nowMs: number): void {
		const { load } = this.#options;
		const before = this.balance;
		const next = balance(before, {
			now: nowMs,
			staleMs: load.staleMs,
			periodMs: load.reportMs,
			weighted: this.#strategy.needsFactors,
			backends: this.#servers.names.map((name, b) => this.#backendNow(name, b)),
			queries: this.#queries(),
		});
		this.balance = next;
		const loads = this.#strategy.needsLoads ? this.#targetLoads() : new Map<string, number>();
		if (!balanceMoved(before, next) && !loadsMoved(this.#publishedLoads, loads)) return;
		this.#publishedLoads = loads;
		this.publish(nowMs);
	}

	publish(nowMs: number): Published {
		this.published++;
		for (const [i, key] of this.#keys.entries()) this.loads[i + 1] = this.#publishedLoads.get(key) ?? 0;
		const { candidates, down } = this.#candidates(nowMs);
		const gone = [...down].filter((id) => !this.#down.has(id));
		const back = [...this.#down].filter((id) => !down.has(id));
		this.#down = down;
		const cause = JSON.stringify(candidates);
		if (cause === this.#cause) return { gone, back, rows: 0, elsewhere: 0 };
		this.#cause = cause;
		const [before, weights] = [this.rows, this.#weights];
		this.rows = forwardingTable(candidates, this.#size, FORWARDING_SEED);
		this.#weights = new Float64Array(weights.length);
		for (const { id, weight } of candidates) this.#weights[id] = weight;
		const kept = (id: number) => weights[id] === this.#weights[id];
		let [rows, elsewhere] = [0, 0];
		for (let i = 0; i < before.length; i++) {
			if (before[i] === this.rows[i]) continue;
			rows++;
			if (kept(before[i]!) && kept(this.rows[i]!)) elsewhere++;
		}
		this.rowsMoved += rows;
		return { gone, back, rows, elsewhere };
	}

	/**
	 * As native/datapath/lookup/choose.h: the first hash's row or, by load, the less loaded of two rows. 0: no target.
	 */
	choose(first: number, second: number): number {
		const { rows } = this;
		const target = rows[Math.floor((first * rows.length) / 4_294_967_296)] ?? 0;
		if (this.#strategy.choice !== CHOICE.lessLoaded) return target;
		const other = rows[Math.floor((second * rows.length) / 4_294_967_296)] ?? 0;
		return this.loads[other]! < this.loads[target]! ? other : target;
	}

	/** It is out of service by its health. */
	isOut(backend: number): boolean {
		return this.#down.has(this.#servers.targetOf(backend, 0));
	}

	#ownSessions(backend: number): number {
		let sessions = 0;
		for (let link = 0; link < this.#servers.perBackend; link++)
			sessions += this.sessions[this.#servers.targetOf(backend, link)]!;
		return this.#options.load.udp * sessions;
	}

	#backendNow(name: string, b: number): BackendNow {
		const servers = this.#servers;
		const sessions = this.#ownSessions(b);
		const received = this.#reports[b];
		if (received !== undefined)
			received.sessions ??= smoothed(
				received.before?.sessions,
				sessions,
				received.receivedAt - (received.before?.receivedAt ?? 0),
				this.#options.load.smoothMs,
			);
		const report =
			received === undefined
				? undefined
				: { receivedAt: received.receivedAt, total: received.total, sessions: received.sessions ?? sessions };
		return {
			name,
			pool: "all",
			capacity: servers.capacity[b]!,
			active: servers.active[b] === 1 && this.observer?.isUnhealthy(b) !== true,
			sessions,
			report,
			uplinks: servers.addresses[b]!.map((address, i) => ({
				addresses: [address],
				cost: this.#options.links[i]?.cost ?? 1,
				cap: this.#options.links[i]?.cap ?? 0.95,
				reported: received?.links[i],
			})),
		};
	}

	#queries(): Map<string, { since: number; answered: number | undefined }> {
		return new Map(
			this.#servers.addresses.flatMap((addresses, b) => {
				const received = this.#reports[b];
				return addresses.map((address, i): [string, { since: number; answered: number | undefined }] => [
					address,
					{
						since: this.#queriedSince[b]!,
						answered: received?.links[i]?.up === false ? undefined : received?.receivedAt,
					},
				]);
			}),
		);
	}

	/** As database/loads.ts: total loads if any is known, else own sessions. */
	#targetLoads(): Loads {
		const known = [...this.balance!.loads.values()].some(({ load }) => load !== undefined);
		const servers = this.#servers;
		return relativeLoads(
			servers.names.flatMap((name, b) =>
				servers.active[b] === 0
					? []
					: servers.addresses[b]!.map((_, i) => {
							const target = servers.targetOf(b, i);
							const key = this.#keys[target - 1]!;
							return known
								? { key, set: "s", weight: servers.weight[b]!, carried: this.balance!.loads.get(name)!.load ?? 0 }
								: {
										key,
										set: "s",
										weight: servers.weight[b]! / servers.perBackend,
										carried: this.sessions[target]!,
									};
						}),
			),
		);
	}

	/** As database/set-tables.ts: the backend's weight times its factors, divided among its addresses by their shares. */
	#candidates(nowMs: number): { readonly candidates: Candidate[]; readonly down: ReadonlySet<number> } {
		const { shares, factors, down } = this.balance ?? { shares: new Map(), factors: new Map(), down: new Set() };
		const servers = this.#servers;
		const all = servers.names.flatMap((backend, b): Weighted[] => {
			const addresses = servers.addresses[b]!;
			const of = (address: string): number => (down.has(address) ? 0 : (shares.get(address) ?? 1));
			const sum = addresses.reduce((before, address) => before + of(address), 0);
			const factor = this.#strategy.needsFactors ? (factors.get(backend)?.factor ?? 1) : 1;
			return addresses.map((address, i) => {
				const id = servers.targetOf(b, i);
				const weight =
					sum === 0 ? servers.weight[b]! / addresses.length : (factor * servers.weight[b]! * of(address)) / sum;
				const active = servers.active[b] === 1 && !down.has(address);
				return { key: this.#keys[id - 1]!, id, backend, address, weight, state: active ? "active" : "inactive" };
			});
		});
		const found = this.observer?.serving(all, nowMs) ?? { targets: all, factors: new Map<string, number>() };
		return {
			candidates: found.targets
				.filter(({ state, weight }) => state === "active" && weight > 0)
				.map(({ key, id, weight }) => ({ key, id, weight: (found.factors.get(key) ?? 1) * weight })),
			down: new Set(
				found.targets.flatMap(({ id, state }, i) => (state !== "active" && all[i]!.state === "active" ? [id] : [])),
			),
		};
	}
}
