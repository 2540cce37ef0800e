/**
 * Health: whether a backend serves, from evidence.
 *
 *   load reports, port unreachable, farewells → evidence → machine.ts → health → publisher → tables
 *
 * A pure room: no I/O and no clock. The room that does the I/O collects evidence and passes it in; `now` is an
 * argument. The publisher reads the result through `Role.tableInputs().health`.
 *
 * Owns: what evidence is, what health is, and what follows from the health of addresses for targets and backends.
 * Must never: take a target out of service for lack of evidence; unknown is not unhealthy.
 */

export type Health = "healthy" | "unhealthy" | "unknown";

/** One observation about one address of a backend. */
export interface Evidence {
	/** The address, in canonical spelling. */
	readonly subject: string;
	/** packet-error: the host refused the query (ICMP port unreachable). farewell: the backend announced its end. */
	readonly kind: "load-report" | "packet-error" | "farewell";
	/** The subject serves, or the part of it that was observed works. */
	readonly passed: boolean;
	/** When it was observed: milliseconds of a monotonic clock, as `now`. */
	readonly at: number;
	/** The data plane of the subject outlives its daemon: if the daemon is gone, sessions stay. */
	readonly survives?: boolean;
	/** For an operator, of a failure: "no load report since 12:01:07". */
	readonly detail: string;
}

export interface TargetHealth {
	readonly health: Health;
	/** When it became so: milliseconds of a monotonic clock. */
	readonly since: number;
	/** For an operator: "no load report since 12:01:07, 3 polls unanswered". */
	readonly reason: string;
	/** Of an unhealthy one: its sessions still work, and stay. It gets no new ones. */
	readonly drains?: boolean;
}

/** By address or by target key. A subject that is not in it is unknown. */
export type HealthState = ReadonlyMap<string, TargetHealth>;

export const ALL_UNKNOWN: HealthState = new Map();

const UNKNOWN: TargetHealth = { health: "unknown", since: Number.NEGATIVE_INFINITY, reason: "no load report yet" };

export function healthOf(state: HealthState, subject: string): Health {
	return state.get(subject)?.health ?? "unknown";
}

/** A backend's health from that of its addresses: one that works is enough. An address that was never heard says
 * nothing. */
export function backendHealth(addresses: readonly string[], state: HealthState): TargetHealth {
	const known = addresses.flatMap((address) => state.get(address) ?? []).filter(({ health }) => health !== "unknown");
	const healthy = known.find(({ health }) => health === "healthy");
	if (healthy !== undefined || known.length === 0) return healthy ?? UNKNOWN;
	// Sessions stay where they still work: on any address that is not silent.
	return known.find(({ drains }) => drains === true) ?? known[0]!;
}

/** The health of each target: its address's, or, where that was never heard, its backend's. */
export function targetHealth(
	targets: Iterable<{ readonly key: string; readonly backend: string; readonly address: string }>,
	state: HealthState,
	addressesOf: (backend: string) => readonly string[],
): HealthState {
	const found = new Map<string, TargetHealth>();
	for (const { key, backend, address } of targets) {
		const own = state.get(address);
		const one = own === undefined || own.health === "unknown" ? backendHealth(addressesOf(backend), state) : own;
		if (one.health !== "unknown") found.set(key, one);
	}
	return found;
}

/** The administrative state that an unhealthy target is published with, by target key. */
export function imposedStates(state: HealthState): ReadonlyMap<string, "draining" | "inactive"> {
	return new Map(
		[...state].flatMap(([key, { health, drains }]): [string, "draining" | "inactive"][] =>
			health === "unhealthy" ? [[key, drains ? "draining" : "inactive"]] : [],
		),
	);
}
