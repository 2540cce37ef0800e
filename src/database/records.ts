// records.ts - what stands in the redirection database, and under which keys.
//
//   service/<protocol>/<address>/<port>   a service with its redirection and rules
//   backend/<name>                        a backend with its addresses and state
//   load/<server>                         the server's last load report (R13), under a lease: a stale one goes, and then the
//                                         load is unknown, never idle
//
// Keys that begin otherwise belong to later versions and are passed over.
// Must never: hold a secret; keys and seeds stay in the configuration.

import type { Backend, Config, Service } from "../config/index.js";
import type { LoadReport } from "../load/index.js";
import type { TableIds } from "./ids.js";
import type { Entry, Json, Listing, Store } from "./store.js";
import type { TargetSets } from "./target-sets.js";

export const SERVICE = "service/";
export const BACKEND = "backend/";
export const LOAD = "load/";

/** All of the database at one revision. */
export interface Snapshot {
	readonly revision: number;
	/** By key. */
	readonly services: readonly Service[];
	readonly backends: ReadonlyMap<string, Backend>;
	readonly loads: ReadonlyMap<string, LoadReport>;
	/** Services that share targets; absent: none does. */
	readonly targetSets?: TargetSets;
}

/** The records that a configuration amounts to. */
export function recordsOf(config: Config): Map<string, Json> {
	const records = new Map<string, Json>();
	for (const backend of config.backends) records.set(BACKEND + backend.name, backend as unknown as Json);
	for (const service of config.services) records.set(SERVICE + service.key, service as unknown as Json);
	return records;
}

/** Of a store in memory without copies: its values are frozen. `before`: what has not changed remains the same object. */
export async function readSnapshot(
	store: Store & { listShared?(prefix: string): Listing },
	before?: Snapshot,
): Promise<Snapshot> {
	const { entries, revision } = store.listShared?.("") ?? (await store.list(""));
	const snapshot = snapshotOf(entries, revision);
	return before !== undefined && equalEntries(before.backends, snapshot.backends)
		? { ...snapshot, backends: before.backends }
		: snapshot;
}

/** Equal entries in the same order. */
function equalEntries<V>(a: ReadonlyMap<string, V>, b: ReadonlyMap<string, V>): boolean {
	if (a.size !== b.size) return false;
	const others = b.entries();
	for (const [key, value] of a) {
		const [otherKey, otherValue] = others.next().value as [string, V];
		if (key !== otherKey || value !== otherValue) return false;
	}
	return true;
}

export function snapshotOf(entries: readonly Entry[], revision: number): Snapshot {
	const services: Service[] = [];
	const backends = new Map<string, Backend>();
	const loads = new Map<string, LoadReport>();
	for (const { key, value } of entries) {
		if (key.startsWith(SERVICE)) services.push(value as unknown as Service);
		else if (key.startsWith(BACKEND)) backends.set(key.slice(BACKEND.length), value as unknown as Backend);
		else if (key.startsWith(LOAD)) loads.set(key.slice(LOAD.length), value as unknown as LoadReport);
	}
	services.sort((a, b) => (a.key < b.key ? -1 : 1));
	return { revision, services, backends, loads };
}

/** The reports that stand in the database now. */
export async function readLoads(store: Store): Promise<ReadonlyMap<string, LoadReport>> {
	return snapshotOf((await store.list(LOAD)).entries, 0).loads;
}

/** The same without a store, for `check`, `explain` and tests. */
export function snapshotOfConfig(config: Config): Snapshot {
	const entries = [...recordsOf(config)].map(([key, value]) => ({ key, value, revision: 1 }));
	return snapshotOf(entries, 1);
}

/** The same with services that share their targets, where there are too many for each to have its own. */
export function withSharedTargets(snapshot: Snapshot, ids: TableIds): Snapshot {
	const targetSets = ids.sets.assign(snapshot.services, ({ key }) => ids.services.get(key) !== undefined);
	return { ...snapshot, targetSets };
}

/** Of services that share their targets one, of the others each. */
export function firstServices({ services, targetSets }: Snapshot): readonly Service[] {
	if (targetSets === undefined || targetSets.size === 0) return services;
	return services.filter((service) => (targetSets.get(service.key)?.first ?? service) === service);
}
