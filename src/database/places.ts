// places.ts - where a backend's services listen at its own addresses: redirected clients send there.
//
// Owns: whose place it is when two services listen at one. The tables' direct places and what a backend's kernel holds back
// are made from this. Must never: look at a state; a draining backend still serves who comes directly.

import type { Family, Service } from "../config/index.js";
import { targetsOf } from "./lookup.js";
import type { Snapshot } from "./records.js";

export interface Place {
	readonly service: Service;
	readonly address: string;
	readonly port: number;
	/** Of the address. */
	readonly family: Family;
}

/** Two services may listen at one place, and what comes there does not say which was meant: one of the address's own family
 * has it before one that the tunnel alone brings there, and of several the first. */
export function placesOf(snapshot: Snapshot, own: readonly string[]): Place[] {
	const uses = snapshot.services.flatMap((service) =>
		[service.redirection, ...service.rules.map((rule) => rule.redirection)].map((redirection) => ({
			service,
			targets: targetsOf(snapshot, service, redirection).filter(({ address }) => own.includes(address)),
		})),
	);
	const found = new Map<string, Place>();
	for (const native of [true, false])
		for (const { service, targets } of uses)
			for (const { address, port, family } of targets) {
				const place = `${service.protocol}/${address}/${port}`;
				if ((family === service.family) !== native || found.has(place)) continue;
				found.set(place, { service, address, port, family });
			}
	return [...found.values()];
}
