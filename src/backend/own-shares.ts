/**
 * The shares of this backend's own addresses, by its own load reports: as gateways compute them from the same reports
 * (R12).
 *
 * Must never: hear whether an address is reachable; gateways find that out.
 */
import type { Backend, Config } from "../config/index.js";
import type { LoadReport } from "../load/index.js";
import { type Balance, balance } from "../policy/index.js";

export class OwnShares {
	#balance: Balance | undefined;

	/** By address: 0 to 1; 0: its link is down, or full. */
	update(
		self: Backend,
		load: Config["load"],
		report: LoadReport | undefined,
		now: number,
	): ReadonlyMap<string, number> {
		const reported = report && { receivedAt: now, total: report.total, sessions: 0 };
		const uplinks = self.uplinks.map(({ addresses, cost, cap }) => {
			const link = report?.uplinks.find((one) => one.addresses.includes(addresses[0]!));
			if (link === undefined) return { addresses, cost, cap };
			const { up, speedBps, rxBps, txBps } = link;
			return { addresses, cost, cap, reported: { up, speedBps, usedBps: Math.max(rxBps, txBps) } };
		});
		const { name, capacity } = self;
		this.#balance = balance(this.#balance, {
			now,
			staleMs: load.staleMs,
			periodMs: load.reportMs,
			weighted: false,
			backends: [{ name, pool: name, capacity, active: true, sessions: 0, report: reported, uplinks }],
			queries: new Map(),
		});
		return this.#balance.shares;
	}
}
