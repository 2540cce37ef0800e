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

export class Receiver {
	/** Own sessions by target id. */
	readonly sessions: Int32Array;
	rows: Uint16Array = new Uint16Array(0);
	/** By target id. */
	readonly loads: Uint16Array;
	published = 0;
	rowsMoved = 0;
	balance: Balance | undefined;
	readonly #options: Options;
	readonly #servers: Servers;
	readonly #reports: (ReceivedReport | undefined)[];
	readonly #queriedSince: number[];
	readonly #keys: readonly string[];
	readonly #size: number;
	readonly #strategy: Strategy;
	#publishedLoads: Loads = new Map();
	#cause = "";

	constructor(options: Options, servers: Servers) {
		this.#options = options;
		this.#servers = servers;
		this.sessions = new Int32Array(servers.sessions.length);
		this.loads = new Uint16Array(servers.sessions.length);
		this.#reports = servers.names.map(() => undefined);
		this.#queriedSince = servers.names.map(() => 0);
		this.#keys = servers.names.flatMap((name, b) => servers.addresses[b]!.map((address) => `${name}/${address}/53`));
		this.#strategy = strategyOf(options.choose);
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
		this.publish();
	}

	publish(): void {
		this.published++;
		for (const [i, key] of this.#keys.entries()) this.loads[i + 1] = this.#publishedLoads.get(key) ?? 0;
		const candidates = this.#candidates();
		const cause = JSON.stringify(candidates);
		if (cause === this.#cause) return;
		this.#cause = cause;
		const before = this.rows;
		this.rows = forwardingTable(candidates, this.#size, FORWARDING_SEED);
		for (let i = 0; i < before.length; i++) if (before[i] !== this.rows[i]) this.rowsMoved++;
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
			active: servers.active[b] === 1,
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

	/** As database/tables.ts: the backend's weight times its factor, divided among its addresses by their shares. */
	#candidates(): Candidate[] {
		const { shares, factors, down } = this.balance ?? { shares: new Map(), factors: new Map(), down: new Set() };
		const servers = this.#servers;
		return servers.names.flatMap((name, b) => {
			if (servers.active[b] === 0) return [];
			const addresses = servers.addresses[b]!;
			const of = (address: string): number => (down.has(address) ? 0 : (shares.get(address) ?? 1));
			const all = addresses.reduce((sum, address) => sum + of(address), 0);
			const factor = this.#strategy.needsFactors ? (factors.get(name)?.factor ?? 1) : 1;
			return addresses.flatMap((address, i) => {
				if (down.has(address)) return [];
				const id = servers.targetOf(b, i);
				const weight =
					all === 0 ? servers.weight[b]! / addresses.length : (factor * servers.weight[b]! * of(address)) / all;
				return weight > 0 ? [{ key: this.#keys[id - 1]!, id, weight }] : [];
			});
		});
	}
}
