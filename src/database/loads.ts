// loads.ts - the loads of those targets that are chosen by load: their backends' total loads where these are known, else the
// sessions that this gateway has with them.
//
// Owns: whose load counts against which weight. Must never: count sessions itself, or see a service that does not
// choose by load: then there is nothing to publish.

import { redirectionsOf } from "../config/index.js";
import { type Carrying, type Loads, relativeLoads, strategyOf } from "../policy/index.js";
import type { TableIds } from "./ids.js";
import { targetsOf } from "./lookup.js";
import { firstServices, type Snapshot } from "./records.js";

/** `total`: by backend, undefined: no backend has reported. `sessions` gives live sessions by target id; it is not asked
 * if no service chooses by load, or if loads are known. */
export function targetLoads(
	snapshot: Snapshot,
	ids: TableIds,
	sessions: () => Uint32Array,
	total?: ReadonlyMap<string, number>,
): Loads {
	const services = firstServices(snapshot).filter((service) => strategyOf(service.choose).needsLoads);
	if (services.length === 0) return new Map();
	const counts = total === undefined ? sessions() : undefined;
	const targets = new Map<string, Carrying>();
	for (const service of services) {
		for (const redirection of redirectionsOf(service)) {
			// A backend's addresses share its weight, and its total load is on all of them.
			const weights = new Map<string, number>();
			const all = targetsOf(snapshot, service, redirection);
			for (const { backend, weight } of all) weights.set(backend, (weights.get(backend) ?? 0) + weight);
			for (const { key, set, backend, state, weight } of all) {
				// A draining target gets no new session, and must not set the scale of those that do. A target that several
				// redirections name is one server all the same: the first weight counts, which is the service's own.
				if (state !== "active" || targets.has(key)) continue;
				const one = { key, set };
				targets.set(
					key,
					counts === undefined
						? { ...one, weight: weights.get(backend)!, carried: total?.get(backend) ?? 0 }
						: { ...one, weight, carried: counts[ids.targets.get(key) ?? 0] ?? 0 },
				);
			}
		}
	}
	return relativeLoads([...targets.values()]);
}
