// redirections.ts - a service's redirections, each once.
//
// Owns: that list, which a service of 100,000 rules has computed once. Must never: keep it of a service that may change.

import type { Redirection, Service } from "./model.js";

const known = new WeakMap<Service, readonly Redirection[]>();

/** The service's own redirection, then those of its rules. */
export function redirectionsOf(service: Service): readonly Redirection[] {
	const found = known.get(service);
	if (found !== undefined) return found;
	const all = [...new Set([service.redirection, ...service.rules.map((rule) => rule.redirection)])];
	if (Object.isFrozen(service)) known.set(service, all);
	return all;
}
