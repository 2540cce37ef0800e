// endpoints.ts - where a backend's services listen at its own addresses: redirected clients send there.
//
// Owns: which service an endpoint belongs to when two listen at it. The tables' `direct` records and the firewall rules of a
// backend follow from it. Must never: look at a state; a draining backend still serves redirected clients.

import type { Family, Service } from "../config/index.js";
import { targetsOf } from "./lookup.js";
import type { Snapshot } from "./records.js";
import { redirectionsOf } from "./redirections.js";

export interface DirectEndpoint {
	readonly service: Service;
	readonly address: string;
	readonly port: number;
	/** Of the address. */
	readonly family: Family;
}

/** Two services may listen at one endpoint, and a packet does not say which was meant: one of the address's own family
 * has it before one that the tunnel alone brings there, and of several the first. */
export function directEndpoints(snapshot: Snapshot, own: readonly string[]): DirectEndpoint[] {
	const uses = snapshot.services.flatMap((service) =>
		redirectionsOf(service).map((redirection) => ({
			service,
			targets: targetsOf(snapshot, service, redirection).filter(({ address }) => own.includes(address)),
		})),
	);
	const found = new Map<string, DirectEndpoint>();
	for (const native of [true, false])
		for (const { service, targets } of uses)
			for (const { address, port, family } of targets) {
				const place = `${service.protocol}/${address}/${port}`;
				if ((family === service.family) !== native || found.has(place)) continue;
				found.set(place, { service, address, port, family });
			}
	return [...found.values()];
}
