// tunnel-sources.ts - the addresses that a backend accepts the tunnel from: those of all members.
//
// A header's tag covers header and flow, not the payload, so what has been seen on the wire could come again with another
// payload. Behind this list it must come with a member's source address, which a network can filter at its edge.
//
// Owns: when the list is complete: each gateway names an address of each family that the tunnel uses.
// Must never: give an incomplete list: a member that it lacks would lose all its packets.

import type { Backend, Cluster, Family, Gateway } from "./model.js";
import type { ProblemList } from "./problems.js";

interface Members {
	readonly cluster: Pick<Cluster, "tunnelFrom">;
	readonly gateways: readonly Gateway[];
	readonly backends: readonly Backend[];
}

/** Empty: any address may send. */
export function tunnelSources(members: Members): readonly string[] {
	const { cluster, gateways, backends } = members;
	if (cluster.tunnelFrom === "any" || gateways.length === 0) return [];
	if (gateways.some((gateway) => missingFamily(gateway, backends) !== undefined)) return [];
	return [...gateways, ...backends].flatMap(({ addresses }) => addresses);
}

/** Warns of each gateway for whose sake any address may send. */
export function checkTunnelSources({ cluster, gateways, backends }: Members, problems: ProblemList): void {
	if (cluster.tunnelFrom === "any") return;
	for (const gateway of gateways) {
		const family = missingFamily(gateway, backends);
		if (family === undefined) continue;
		const what = gateway.addresses.length === 0 ? "no address" : `no IPv${family} address`;
		problems.warn(
			["gateways", gateway.name, "address"],
			`${gateway.name} has ${what}, so backends accept the tunnel from any source; write the addresses that it sends from, or cluster.tunnelFrom: any`,
		);
	}
}

/** A family of the backends' addresses that the gateway has no address of. */
function missingFamily({ addresses }: Gateway, backends: readonly Backend[]): Family | undefined {
	const used = new Set(backends.flatMap((backend) => backend.addresses.map(familyOf)));
	const own = new Set(addresses.map(familyOf));
	return ([4, 6] as const).find((family) => used.has(family) && !own.has(family));
}

function familyOf(address: string): Family {
	return address.includes(":") ? 6 : 4;
}
