// loads.ts - from what each target carries to the loads that the packet program compares (R18).
//
// A load is what is carried (the backend's total load, or where that is not known this gateway's sessions) over the weight,
// scaled so that the most loaded target of a service has FULL_LOAD. It has no unit: it says nothing about how busy a server
// is, only which of a service's targets is busier for its weight. Loads of different services can't be compared, and need
// not be, because both rows that a flow is given are its own service's.
//
// Owns: that scale, and when loads have moved far enough to be published.
// Must never: look at a clock or keep anything; the same counts give the same loads.

import { FULL_LOAD } from "./table-set.js";

/**
 * By so much of the full scale some load must have moved before tables are published for it. Choosing by two rows is not
 * much worse for loads that are 3 % wrong, and without such a threshold every session that comes or goes would be a new
 * set of tables.
 */
export const LOAD_STEP = FULL_LOAD / 32;

export interface Carrying {
	/** The target's key. */
	readonly key: string;
	/** Name of its set: targets are compared within one. */
	readonly set: string;
	/** Above 0. */
	readonly weight: number;
	/** Total load, or live sessions of this gateway; the same of all targets of a set. */
	readonly carried: number;
}

/** By target key: 0 (nothing) to FULL_LOAD (the most loaded of its service). */
export type Loads = ReadonlyMap<string, number>;

export function relativeLoads(targets: readonly Carrying[]): Loads {
	const most = new Map<string, number>();
	for (const { set, carried, weight } of targets) most.set(set, Math.max(most.get(set) ?? 0, carried / weight));
	return new Map(
		targets.map(({ key, set, carried, weight }) => {
			const full = most.get(set)!;
			return [key, full === 0 ? 0 : Math.round((FULL_LOAD * carried) / weight / full)];
		}),
	);
}

/** Has any load moved far enough? A target that is new had 0; one that is gone does not count. */
export function loadsMoved(before: Loads, after: Loads): boolean {
	for (const [key, load] of after) if (Math.abs(load - (before.get(key) ?? 0)) > LOAD_STEP) return true;
	return false;
}
