// pools.ts - which backends' loads can be compared: those among which some redirection divides clients, directly or through
// others that it shares with another redirection.
//
// Must never: look at a load.

import { type Backend, redirectionsOf, type Service } from "../config/index.js";

const known = new WeakMap<readonly Service[], { readonly of: readonly Backend[]; readonly pools: Pools }>();

/** By backend: the name of one member of its pool. */
type Pools = ReadonlyMap<string, string>;

/** Of a configuration computed once: a gateway asks at every step of its balancing. */
export function poolsOf(services: readonly Service[], backends: readonly Backend[]): Pools {
	const before = known.get(services);
	if (before?.of === backends) return before.pools;
	const pools = computePools(services, backends);
	if (Object.isFrozen(services)) known.set(services, { of: backends, pools });
	return pools;
}

function computePools(services: readonly Service[], backends: readonly Backend[]): Pools {
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
