/**
 * Slow start: a target that is healthy again gets its share of new sessions in steps, so that a server with cold caches,
 * or one that is about to fall again, does not get all of them at once.
 *
 * Each step is a new forwarding table in which some rows change, so there are few.
 *
 * Must never: slow down a target that became healthy when it was first heard.
 */
import type { HealthState } from "./health.js";

const STEPS = 5;

/** What the weight is multiplied by: above 0, and 1 when the time has passed. */
export function slowStartFactor(sinceMs: number, slowStartMs: number): number {
	if (sinceMs >= slowStartMs) return 1;
	return (Math.floor((Math.max(0, sinceMs) / slowStartMs) * STEPS) + 1) / (STEPS + 1);
}

/** When factors differ from those of now, in milliseconds from now. */
function nextStepMs(sinceMs: number, slowStartMs: number): number {
	const step = slowStartMs / STEPS;
	return step * (Math.floor(Math.max(0, sinceMs) / step) + 1) - sinceMs;
}

export interface SlowStart {
	/** By target key; only factors below 1. */
	readonly factors: ReadonlyMap<string, number>;
	/** Milliseconds until they differ; undefined: never. */
	readonly nextMs: number | undefined;
}

/** `recoveredAt`: by target key, as `now`. */
export function slowStart(
	recoveredAt: ReadonlyMap<string, number>,
	slowStartMs: (target: string) => number,
	now: number,
): SlowStart {
	const factors = new Map<string, number>();
	let nextMs: number | undefined;
	for (const [key, at] of recoveredAt) {
		const whole = slowStartMs(key);
		if (now - at >= whole) continue;
		factors.set(key, slowStartFactor(now - at, whole));
		nextMs = Math.min(nextMs ?? Number.POSITIVE_INFINITY, nextStepMs(now - at, whole));
	}
	return { factors, nextMs };
}

/** Targets that have become healthy after they were unhealthy, with those from before that still are. */
export function recoveries(
	was: ReadonlyMap<string, number>,
	before: HealthState,
	after: HealthState,
	now: number,
): ReadonlyMap<string, number> {
	const next = new Map<string, number>();
	for (const [key, { health }] of after) {
		if (health !== "healthy") continue;
		if (before.get(key)?.health === "unhealthy") next.set(key, now);
		else if (was.has(key)) next.set(key, was.get(key)!);
	}
	return next;
}
