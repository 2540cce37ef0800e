// receiver.ts - a gateway of a run: it hears reports, balances, compiles tables, and chooses. All that decides is the shipped
// policy; what is here is what the daemon has around it (src/gateway/balancing.ts, member.ts, src/database/tables.ts).
//
// Owns: its own sessions, what it has heard, its balance and its tables.
// Must never: know what a backend has not told it.

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

interface Heard {
	readonly receivedAt: number;
	readonly total: number;
	/** Own sessions at the first step after it came, smoothed as the report is. */
	sessions: number | undefined;
	readonly before: { readonly receivedAt: number; readonly sessions: number } | undefined;
	readonly links: Report["links"];
}

export class Receiver {
	/** By target id: its own. */
	readonly sessions: Int32Array;
	rows: Uint16Array = new Uint16Array(0);
	/** By target id. */
	readonly loads: Uint16Array;
	published = 0;
	rowsMoved = 0;
	balance: Balance | undefined;
	readonly #options: Options;
	readonly #servers: Servers;
	readonly #heard: (Heard | undefined)[];
	readonly #askedSince: number[];
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
		this.#heard = servers.names.map(() => undefined);
		this.#askedSince = servers.names.map(() => 0);
		this.#keys = servers.names.flatMap((name, b) => servers.addresses[b]!.map((address) => `${name}/${address}/53`));
		this.#strategy = strategyOf(options.choose);
		this.#size = tableSize(
			servers.names.flatMap((_, b) => servers.addresses[b]!.map(() => servers.weight[b]! / servers.perBackend)),
		);
	}

	/** Of a report that is on its way, only the latest counts. */
	hear(backend: number, report: Report, nowMs: number): void {
		const last = this.#heard[backend];
		const before =
			last?.sessions === undefined ? last?.before : { receivedAt: last.receivedAt, sessions: last.sessions };
		this.#heard[backend] = { receivedAt: nowMs, total: report.total, links: report.links, sessions: undefined, before };
	}

	/** It left, and is asked no more; when it is back nothing of before is known. */
	forget(backend: number, nowMs: number): void {
		this.#heard[backend] = undefined;
		this.#askedSince[backend] = nowMs;
	}

	/** One step of the loop. */
	step(nowMs: number): void {
		const { load } = this.#options;
		const before = this.balance;
		const next = balance(before, {
			now: nowMs,
			staleMs: load.staleMs,
			periodMs: load.reportMs,
			weighted: this.#strategy.needsFactors,
			backends: this.#servers.names.map((name, b) => this.#backendNow(name, b)),
			asked: this.#asked(),
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

	/** As native/datapath/lookup/choose.h: the row that the first hash names or, by load, the less loaded of two rows. 0: nobody. */
	choose(first: number, second: number): number {
		const { rows } = this;
		const target = rows[Math.floor((first * rows.length) / 4_294_967_296)] ?? 0;
		if (this.#strategy.choice !== CHOICE.lessLoaded) return target;
		const other = rows[Math.floor((second * rows.length) / 4_294_967_296)] ?? 0;
		return this.loads[other]! < this.loads[target]! ? other : target;
	}

	#own(backend: number): number {
		let sessions = 0;
		for (let link = 0; link < this.#servers.perBackend; link++)
			sessions += this.sessions[this.#servers.targetOf(backend, link)]!;
		return this.#options.load.udp * sessions;
	}

	#backendNow(name: string, b: number): BackendNow {
		const servers = this.#servers;
		const sessions = this.#own(b);
		const heard = this.#heard[b];
		if (heard !== undefined)
			heard.sessions ??= smoothed(
				heard.before?.sessions,
				sessions,
				heard.receivedAt - (heard.before?.receivedAt ?? 0),
				this.#options.load.smoothMs,
			);
		const report =
			heard === undefined
				? undefined
				: { receivedAt: heard.receivedAt, total: heard.total, sessions: heard.sessions ?? sessions };
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
				reported: heard?.links[i],
			})),
		};
	}

	#asked(): Map<string, { since: number; answered: number | undefined }> {
		return new Map(
			this.#servers.addresses.flatMap((addresses, b) => {
				const heard = this.#heard[b];
				return addresses.map((address, i): [string, { since: number; answered: number | undefined }] => [
					address,
					{ since: this.#askedSince[b]!, answered: heard?.links[i]?.up === false ? undefined : heard?.receivedAt },
				]);
			}),
		);
	}

	/** As database/loads.ts: total loads where any is known, else own sessions. */
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
								? { key, service: "s", weight: servers.weight[b]!, carried: this.balance!.loads.get(name)!.load ?? 0 }
								: {
										key,
										service: "s",
										weight: servers.weight[b]! / servers.perBackend,
										carried: this.sessions[target]!,
									};
						}),
			),
		);
	}

	/** As database/tables.ts: the backend's weight times its factor, shared by its addresses as its links allow. */
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
