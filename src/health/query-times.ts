/**
 * When a load query has failed, and which addresses are queried more often than others: the same for a gateway and for
 * the simulator.
 *
 * Owns: these times. Must never: read a clock, or judge what a failed query means; machine.ts does.
 */

/** An answer may take this long at least, however short the period of the queries is. */
const SHORTEST_MISS_MS = 500;
/** A timer that fires a little early must not make a query wait for one more tick. */
const TIMER_SLACK = 0.9;
/** Misses after which an address is queried no more often than others. */
const GIVEN_UP = 4;

/** How long an answer may take. `reportMs`: the period of the queries. */
export function missAfterMs(reportMs: number): number {
	return Math.max(SHORTEST_MISS_MS, reportMs / 2) * TIMER_SLACK;
}

/** Whether an address is queried twice as often. `misses`: unanswered queries in a row. */
export function isSuspect(misses: number): boolean {
	return misses > 0 && misses < GIVEN_UP;
}
