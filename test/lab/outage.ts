// outage.ts - what a failure of a backend costs its clients: how long it takes until tables and answers are without it, what
// is lost on the way, and whose sessions move.
//
// Owns: these figures, and where they are written: SHUNT_MEASURES names a file that gets a line of JSON for each failure
// (bench/README.md). Must never: judge them; a test does.

import { appendFileSync } from "node:fs";
import { backendsOf, type DnsReport } from "./load.js";

export interface Outage {
	readonly engine: string;
	readonly failure: string;
	/** From the failure to the tables without the backend, and to the last question that is lost; null: none is. */
	readonly tablesMs: number;
	readonly lastLostMs: number | null;
	readonly lost: number;
	/** Sessions that the backend had, and those of them that others answer afterwards. */
	readonly sessions: number;
	readonly moved: number;
	/** Sessions of the other backends that moved: there should be none. */
	readonly othersMoved: number;
}

/** Milliseconds since 1970, as finely as a load has them. */
export function now(): number {
	return performance.timeOrigin + performance.now();
}

/** `at`: when it failed, by `now()`; the marks are of the load: the first question after the failure, and the first after the
 * tables without the backend. */
export function outageOf(
	report: DnsReport,
	of: { engine: string; failure: string; backend: string; at: number; tablesMs: number; before: number; after: number },
): Outage {
	const flows = report.flows.map((flow) => ({
		was: backendsOf(flow, 0, of.before).join(),
		is: backendsOf(flow, of.after).join(),
	}));
	const own = flows.filter(({ was }) => was === of.backend);
	const others = flows.filter(({ was }) => was !== of.backend);
	const moved = (list: typeof flows) => list.filter(({ was, is }) => was !== is).length;
	const outage: Outage = {
		engine: of.engine,
		failure: of.failure,
		tablesMs: Math.round(of.tablesMs),
		lastLostMs: report.lastLostAt === null ? null : Math.round(report.lastLostAt - of.at),
		lost: report.lost.length,
		sessions: own.length,
		moved: moved(own),
		othersMoved: moved(others),
	};
	const file = process.env.SHUNT_MEASURES;
	if (file !== undefined) appendFileSync(file, `${JSON.stringify(outage)}\n`);
	return outage;
}
