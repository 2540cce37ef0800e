// loads.ts - the loads of those targets that are chosen by load, from the sessions that this gateway has with them.
//
// Owns: whose sessions count against which weight. Must never: count sessions itself, or see a service that does not
// choose by load: then there is nothing to publish.

import { type Carrying, type Loads, relativeLoads } from "../policy/index.js";
import type { TableIds } from "./ids.js";
import { targetsOf } from "./lookup.js";
import type { Snapshot } from "./records.js";

/** `sessions` gives live sessions by target id; it is not asked if no service chooses by load. */
export function sessionLoads(snapshot: Snapshot, ids: TableIds, sessions: () => Uint32Array): Loads {
	const services = snapshot.services.filter((service) => service.choose === "least-load");
	if (services.length === 0) return new Map();
	const counts = sessions();
	const targets = new Map<string, Carrying>();
	for (const service of services) {
		for (const redirection of [service.redirection, ...service.rules.map((rule) => rule.redirection)]) {
			for (const { key, state, weight } of targetsOf(snapshot, service, redirection)) {
				// Who is draining gets no new session, and must not set the scale of those who do. A target that several
				// redirections name is one server all the same: the first weight counts, which is the service's own.
				if (state !== "active" || targets.has(key)) continue;
				targets.set(key, { key, service: service.key, weight, carried: counts[ids.targets.get(key) ?? 0] ?? 0 });
			}
		}
	}
	return relativeLoads([...targets.values()]);
}
