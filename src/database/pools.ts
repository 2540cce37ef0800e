// pools.ts - which backends' loads can be compared: those among which some redirection divides clients, directly or through
// others that it shares with another redirection.
//
// Must never: look at a load.

import type { Backend, Service } from "../config/index.js";
import { redirectionsOf } from "./lookup.js";

/** By backend: the name of one member of its pool. */
export function poolsOf(services: readonly Service[], backends: readonly Backend[]): ReadonlyMap<string, string> {
	const leader = new Map(backends.map(({ name }): [string, string] => [name, name]));
	const find = (name: string): string => {
		const above = leader.get(name) ?? name;
		if (above === name) return name;
		const top = find(above);
		leader.set(name, top);
		return top;
	};
	for (const service of services)
		for (const { choices } of redirectionsOf(service))
			for (const { backend } of choices.slice(1)) leader.set(find(backend), find(choices[0]!.backend));
	return new Map(backends.map(({ name }) => [name, find(name)]));
}
