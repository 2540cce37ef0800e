// endpoints.ts - where a backend's services listen at its own addresses: redirected clients send there.
//
// Owns: which service an endpoint belongs to when two listen at it. The tables' `direct` records and the firewall rules of a
// backend follow from it. Must never: look at a state; a draining backend still serves redirected clients.

import { type Family, MAX_RANGES, redirectionsOf, type Service } from "../config/index.js";
import { targetsOf } from "./lookup.js";
import type { Snapshot } from "./records.js";

export interface DirectEndpoint {
	readonly service: Service;
	readonly address: string;
	readonly port: number;
	/** The last of several ports; else `port`. */
	readonly portLast: number;
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
	const ranges = new Map<string, number>();
	for (const native of [true, false])
		for (const { service, targets } of uses)
			for (const { address, port, family, terms } of targets) {
				const several = port === 0;
				// Other traffic of the host has ports in a range, too: it is the service's where clients are redirected.
				if (several && (!terms.clients || service.ports === "any")) continue;
				const place = `${service.protocol}/${address}/${several ? service.ports : port}`;
				if ((family === service.family) !== native || found.has(place)) continue;
				if (several) {
					const at = `${service.protocol}/${address}`;
					const count = (ranges.get(at) ?? 0) + 1;
					if (count > MAX_RANGES) continue;
					ranges.set(at, count);
				}
				const ports = several ? { port: service.port, portLast: service.portLast } : { port, portLast: port };
				found.set(place, { service, address, ...ports, family });
			}
	return [...found.values()];
}
