/**
 * What a gateway waits for before it is ready: packets that routing leads to it earlier would go to a backend that is
 * dead, or be dropped for want of a next hop.
 *
 * A pure file: no I/O and no clock.
 * Must never: wait for a backend that is out of service by configuration.
 */
import type { Backend } from "../config/index.js";
import type { Health } from "../health/index.js";

/** How long a backend may take to be heard: three queries, the last of which is over (gateway/collector.ts). */
export function firstDeadlineMs(reportMs: number): number {
	return Math.max(1500, 2.5 * reportMs);
}

export function pendingOf(
	backends: readonly Backend[],
	health: (backend: string) => Health,
	/** Target addresses without a next hop. */
	unresolved: readonly string[],
): string[] {
	const served = backends.filter(({ state }) => state !== "inactive");
	return [
		...served.filter(({ name }) => health(name) === "unknown").map(({ name }) => `the first load report of ${name}`),
		...unresolved
			.filter((address) => served.some(({ addresses }) => addresses.includes(address)))
			.map((address) => `the next hop to ${address}`),
	];
}
