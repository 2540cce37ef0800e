// sessions.ts - the session table as the control plane reads it: slices of aging, counts, rows, filters.

export interface SweepResult {
	/** The bucket to go on from; 0: this pass over the table is complete. */
	readonly next: number;
	/** Of this slice: records left, freed because idle too long, freed because the flow had two records. */
	readonly live: number;
	readonly expired: number;
	readonly duplicates: number;
}

/** Of the last complete pass of sweeps, by service id or by target id, 65536 entries each. */
export interface SessionCounts {
	/** Records. */
	readonly services: Uint32Array;
	readonly targets: Uint32Array;
	/** By service id: different senders of a service whose sessions are counted by sender (`countSources`), 0 for others. An
	 * estimate (HyperLogLog): its standard error is 1.6 %, and less for small numbers. */
	readonly sources: Uint32Array;
	/** By target id: its different pairs of such a service and a sender, likewise. */
	readonly targetSources: Uint32Array;
	/** By target id: artificial sessions (R10): of services counted by flow their records, of the others targetSources. */
	readonly targetSessions: Uint32Array;
}

/** What one slice of a removal came to. */
export interface RemoveResult {
	/** The bucket to go on from; 0: the whole table has been walked. */
	readonly next: number;
	readonly removed: number;
}

export interface SessionTable {
	/** IPv4's and IPv6's together, on the one scale that sweep() and sessions() use. */
	readonly buckets: number;
	/** Slots for records. */
	readonly records4: number;
	readonly records6: number;
	/** Of both families together: sessions that fit before one is evicted. */
	readonly capacity: number;
}

/** Fields that are not there match everything. */
export interface SessionFilter {
	readonly service?: number;
	readonly target?: number;
	/** Any of these (and that one); nothing matches an empty list. */
	readonly targets?: readonly number[];
	readonly source?: Buffer;
	readonly sourcePort?: number;
	readonly idleAtLeastMs?: number;
}

export interface SessionRow {
	readonly source: Buffer;
	readonly sourcePort: number;
	/** A service's id. */
	readonly service: number;
	/** A target's id; 65535: this host (a backend's own record). */
	readonly target: number;
	readonly family: 4 | 6;
	/** More than one packet came. */
	readonly proven: boolean;
	/** Of TCP, as the client's packets tell. */
	readonly state: "half-open" | "established" | "closing";
	readonly idleMs: number;
}
