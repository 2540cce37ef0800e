/**
 * Health: whether a target serves, from evidence.
 *
 *   probes, load reports, sockets, links, packet errors, client reports → evidence → health → publisher → tables
 *
 * A pure room: no I/O and no clock. Whatever collects evidence (an executor of probes, the load collector, the host's
 * links) stands in the room that does that I/O and passes it in; `now` is an argument. The publisher reads the result
 * through `Role.tableInputs().health`. No evidence is collected yet: every target is unknown, and an unknown target is
 * served as before.
 *
 * Owns: what evidence is, what health is, and which addresses it takes out of service.
 * Must never: take a target out of service for lack of evidence; unknown is not unhealthy.
 */

export type Health = "healthy" | "unhealthy" | "unknown";

/** One observation about one target. */
export interface Evidence {
	/** The target's key in the redirection database. */
	readonly target: string;
	readonly kind: "probe" | "load-report" | "socket" | "link" | "packet-error" | "client-report";
	/** The target served, or the part of it that was observed works. */
	readonly passed: boolean;
	/** When it was observed: milliseconds of a monotonic clock, as `now`. */
	readonly at: number;
	/** For an operator: "no answer within 1 s". */
	readonly detail: string;
}

export interface TargetHealth {
	readonly health: Health;
	/** When it became so: milliseconds of a monotonic clock. */
	readonly since: number;
	/** For an operator: "no answer to 3 probes". */
	readonly reason: string;
}

/** By target key. A target that is not in it is unknown. */
export type HealthState = ReadonlyMap<string, TargetHealth>;

export const ALL_UNKNOWN: HealthState = new Map();

/** One step: the state that follows from the previous one and from what was observed since. Same input, same output. */
export type Assess = (before: HealthState, evidence: readonly Evidence[], now: number) => HealthState;

export function healthOf(state: HealthState, target: string): Health {
	return state.get(target)?.health ?? "unknown";
}

/** The addresses of which every target is unhealthy: none of them gets a packet any more. */
export function unhealthyAddresses(
	targets: Iterable<{ readonly key: string; readonly address: string }>,
	state: HealthState,
): ReadonlySet<string> {
	const unhealthy = new Set<string>();
	const others = new Set<string>();
	for (const { key, address } of targets) (healthOf(state, key) === "unhealthy" ? unhealthy : others).add(address);
	return new Set([...unhealthy].filter((address) => !others.has(address)));
}
