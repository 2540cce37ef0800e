/**
 * Health: whether a backend serves, from evidence.
 *
 *   load reports, ICMP errors, farewells, sockets, probes, clients' reports → evidence → machine.ts → health → publisher → tables
 *
 * A pure room: no I/O and no clock. The room that does the I/O collects evidence and passes it in; `now` is an
 * argument. The publisher reads the result through `Role.tableInputs().health`.
 *
 * Owns: what evidence is, what health is, and what follows from the health of addresses for targets and backends.
 * Must never: take a target out of service for lack of evidence; unknown is not unhealthy.
 */

export type Health = "healthy" | "unhealthy" | "unknown";

/** One observation about one address of a backend, or about a service there. */
export interface Evidence {
	/** An address in canonical spelling, or a service at a backend (`serviceSubject`). */
	readonly subject: string;
	/** packet-error: the host refused the query (ICMP port unreachable). unreachable: a router says that no packet gets
	 * there, and a query was not answered. farewell: the backend announced its end. port: its daemon says whether the
	 * service has a socket there. probe: the service was asked. client-reports: enough networks' clients got no answer. */
	readonly kind: "load-report" | "packet-error" | "unreachable" | "farewell" | "port" | "probe" | "client-reports";
	/** The subject serves, or the part of it that was observed works. */
	readonly passed: boolean;
	/** When it was observed: milliseconds of a monotonic clock, as `now`. */
	readonly at: number;
	/** The data plane of the subject outlives its daemon: if the daemon is gone, sessions stay. */
	readonly survives?: boolean;
	/** Of a failure: sessions still work, and stay. */
	readonly drains?: boolean;
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

/** A service at a backend, as the subject of evidence. `port`: its port there. */
export function serviceSubject(backend: string, service: string, port: number): string {
	return `${backend} ${service} ${port}`;
}

export interface HealthTarget {
	readonly key: string;
	readonly backend: string;
	readonly address: string;
	/** The service's key; a name of another form if services share the target. Then only the backend's health counts. */
	readonly set: string;
	readonly port: number;
}

/** The health of each target: the worst of its service's at the backend and its address's; or, where that was never
 * heard, its backend's. `services`: by service subject. */
export function targetHealth(
	targets: Iterable<HealthTarget>,
	state: HealthState,
	addressesOf: (backend: string) => readonly string[],
	services: readonly HealthState[] = [],
): HealthState {
	const found = new Map<string, TargetHealth>();
	for (const target of targets) {
		const one = healthOfTarget(target, state, addressesOf(target.backend), services);
		if (one.health !== "unknown") found.set(target.key, one);
	}
	return found;
}

export function healthOfTarget(
	{ backend, address, set, port }: HealthTarget,
	state: HealthState,
	addresses: readonly string[],
	services: readonly HealthState[],
): TargetHealth {
	const own = state.get(address);
	const host = own === undefined || own.health === "unknown" ? backendHealth(addresses, state) : own;
	const subject = serviceSubject(backend, set, port);
	return worst([...services.flatMap((one) => one.get(subject) ?? []), host]);
}

const RANK = { unhealthy: 2, unknown: 1, healthy: 0 } as const satisfies Record<Health, number>;

/** Of several views of one target. Nothing is known of the whole only if nothing is known of any. */
function worst(views: readonly TargetHealth[]): TargetHealth {
	const rank = ({ health, drains }: TargetHealth) => RANK[health] + (health === "unhealthy" && !drains ? 1 : 0);
	const known = views.filter(({ health }) => health !== "unknown");
	return known.sort((a, b) => rank(b) - rank(a))[0] ?? views[0]!;
}

/** The administrative state that an unhealthy target is published with, by target key. */
export function imposedStates(state: HealthState): ReadonlyMap<string, "draining" | "inactive"> {
	return new Map(
		[...state].flatMap(([key, { health, drains }]): [string, "draining" | "inactive"][] =>
			health === "unhealthy" ? [[key, drains ? "draining" : "inactive"]] : [],
		),
	);
}
