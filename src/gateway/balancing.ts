/**
 * Balancing: a gateway's loop from what it hears of its backends to what its tables are compiled from.
 *
 *   collector → redirection database → reports ┐
 *   sweep → this gateway's own sessions        ├→ policy/balance.ts → loads, factors, shares, downs → tables
 *   collector → which addresses answer         ┘
 *
 * Owns: the state that the loop goes on from. Must never: weigh anything; what is done with what is heard is policy's.
 */
import type { Config } from "../config/index.js";
import { poolsOf, readLoads, type Shares, type Store } from "../database/index.js";
import type { LoadReport } from "../load/index.js";
import { type Balance, type BalancedUplink, balance, balanceMoved, smoothed, strategyOf } from "../policy/index.js";
import { Collector } from "./collector.js";

export class Balancing {
	/** undefined: before the first step. */
	balance: Balance | undefined;
	/** As last read from the database. */
	reports: ReadonlyMap<string, LoadReport> = new Map();
	readonly #store: Store;
	readonly #collector: Collector;
	/** This gateway's sessions by backend: what the last report's smoothing has made of them, and now. A session that came within
	 * its time constant is not yet in the report, and all of it is to be added. */
	#sessionsThen = new Map<string, { readonly receivedAt: number; readonly sessions: number }>();
	#sessions: ReadonlyMap<string, number> = new Map();

	constructor(config: Config, store: Store, tell: (problem: string) => void) {
		this.#store = store;
		this.#collector = new Collector({ config, store, tell });
	}

	/** Begins to ask. */
	start(): void {
		this.#collector.start();
	}

	configure(config: Config): void {
		this.#collector.configure(config);
	}

	close(): Promise<void> {
		return this.#collector.close();
	}

	/** Milliseconds since the server's last report; undefined: there has been none. */
	age(server: string): number | undefined {
		const heard = this.#collector.heard.get(server);
		return heard === undefined ? undefined : performance.now() - heard.receivedAt;
	}

	/** One step. `sessions`: this gateway's own, by backend, as of the last sweep. True: the tables must follow. */
	async step(config: Config, sessions: ReadonlyMap<string, number>): Promise<boolean> {
		this.reports = await readLoads(this.#store);
		this.#sessions = sessions;
		const pools = poolsOf(config.services, config.backends);
		const next = balance(this.balance, {
			now: performance.now(),
			staleMs: config.load.staleMs,
			periodMs: config.load.reportMs,
			weighted: config.services.some(({ choose }) => strategyOf(choose).needsFactors),
			backends: config.backends.map((backend) => ({
				name: backend.name,
				pool: pools.get(backend.name) ?? backend.name,
				capacity: backend.capacity,
				active: backend.state === "active",
				sessions: this.#weighed(config, backend.name),
				report: this.#heard(config, backend.name),
				uplinks: backend.uplinks.map((uplink): BalancedUplink => {
					const reported = this.reports
						.get(backend.name)
						?.uplinks.find(({ addresses }) => addresses.includes(uplink.addresses[0]!));
					const { addresses, cost, cap } = uplink;
					if (reported === undefined) return { addresses, cost, cap };
					const { up, speedBps, rxBps, txBps } = reported;
					return { addresses, cost, cap, reported: { up, speedBps, usedBps: Math.max(rxBps, txBps) } };
				}),
			})),
			asked: new Map(
				[...this.#collector.asked].map(([address, since]) => {
					const answers = [...this.#collector.heard.values()].map((one) => one.addresses.get(address));
					return [address, { since, answered: answers.find((one) => one !== undefined) }];
				}),
			),
		});
		const moved = balanceMoved(this.balance, next);
		this.balance = next;
		return moved;
	}

	/** For compile(). */
	shares(): Shares | undefined {
		if (this.balance === undefined) return undefined;
		const factors = new Map([...this.balance.factors].map(([name, { factor }]) => [name, factor]));
		return { factors, addresses: this.balance.shares, down: this.balance.down };
	}

	/** By backend; undefined: nothing is known of anybody. */
	loads(): ReadonlyMap<string, number> | undefined {
		const known = [...(this.balance?.loads ?? [])].flatMap(([name, { load }]): [string, number][] =>
			load === undefined ? [] : [[name, load]],
		);
		return known.length === 0 ? undefined : new Map(known);
	}

	#heard(config: Config, name: string) {
		const report = this.reports.get(name);
		const heard = this.#collector.heard.get(name);
		if (report === undefined || heard === undefined) return undefined;
		const { receivedAt } = heard;
		let then = this.#sessionsThen.get(name);
		if (then?.receivedAt !== receivedAt) {
			const elapsed = then === undefined ? 0 : receivedAt - then.receivedAt;
			const sessions = smoothed(then?.sessions, this.#weighed(config, name), elapsed, config.load.smoothMs);
			then = { receivedAt, sessions };
			this.#sessionsThen.set(name, then);
		}
		return { receivedAt, total: report.total, sessions: then.sessions };
	}

	/** As the load counts them: a gateway can't tell here how many of them are of TCP services, so all weigh what UDP's do. */
	#weighed(config: Config, name: string): number {
		return config.load.udp * (this.#sessions.get(name) ?? 0);
	}
}
