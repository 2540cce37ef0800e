// lookup.ts - the redirection database's answer: service and source -> redirection -> targets (R2, R15).
//
// Owns: longest prefix and the choice among a backend's addresses, in their plainest form: the tables are compiled from
// the same functions, and the packet program's result is tested against them.

import {
	type Address,
	type Backend,
	type Family,
	holdsAddress,
	maskBytes,
	parseAddress,
	parsePrefix,
	parseServiceAddress,
	type Redirection,
	type Rule,
	redirectionsOf,
	type Service,
	type State,
	type Terms,
} from "../config/index.js";
import type { Snapshot } from "./records.js";

/** A backend's address and port for one service, on one set of terms. */
export interface Target {
	/** "udp/203.0.113.53/53>b1/10.77.3.11/5353 leased 60 s; return": all that identity depends on (ids.ts). Begins with
	 * the set's name. */
	readonly key: string;
	/** Name of its set (target-sets.ts): the key of the service that it is a target of, or of several that share it. */
	readonly set: string;
	readonly backend: string;
	readonly address: string;
	readonly port: number;
	readonly family: Family;
	readonly state: State;
	readonly terms: Terms;
	/** The backend's weight, shared evenly by its addresses. */
	readonly weight: number;
	/** What its rows follow from: backend and address, not the port, so that services of the same backends place a client
	 * alike. A second port at the same address has a number. */
	readonly placement: string;
}

export interface Answer {
	/** The rule that named the source; undefined: the service's own redirection. */
	readonly rule: Rule | undefined;
	readonly redirection: Redirection;
	/** In the order of their keys. */
	readonly targets: readonly Target[];
}

/** What the database answers for a packet of this source; undefined if the source is no address of the service's family. */
export function lookup(snapshot: Snapshot, service: Service, source: string): Answer | undefined {
	const address = parseAddress(source);
	if (address === undefined || address.family !== service.family) return undefined;
	let best: { rule: Rule; length: number } | undefined;
	for (const rule of service.rules) {
		const prefix = parsePrefix(rule.from);
		if (prefix === undefined || prefix.family !== service.family) continue;
		const inside = maskBytes(address.bytes, prefix.mappedLength).equals(prefix.bytes);
		if (inside && prefix.mappedLength > (best?.length ?? -1)) best = { rule, length: prefix.mappedLength };
	}
	const redirection = best?.rule.redirection ?? service.redirection;
	return { rule: best?.rule, redirection, targets: targetsOf(snapshot, service, redirection) };
}

/** The service that a packet to this address, port and protocol is for. */
export function findService(
	snapshot: Snapshot,
	address: string,
	port: number,
	protocol: Service["protocol"],
): Service | undefined {
	const sought = parseAddress(address);
	if (sought === undefined) return undefined;
	const holds = (service: Service) => {
		const at = parseServiceAddress(service.address);
		return at !== undefined && at.family === sought.family && holdsAddress(at, sought.bytes);
	};
	return snapshot.services
		.filter((s) => s.protocol === protocol && s.port <= port && port <= s.portLast && holds(s))
		.sort((a, b) => b.addressLength - a.addressLength || a.portLast - a.port - (b.portLast - b.port))[0];
}

/** All targets of a redirection, whatever their state, in the order of their keys. Computed once for the backends of a
 * snapshot: rules share redirections, services share targets, and tables, loads and firewall rules all begin here. */
export function targetsOf(snapshot: Snapshot, service: Service, redirection: Redirection): readonly Target[] {
	const set = snapshot.targetSets?.get(service.key);
	if (set !== undefined && set.first !== service) {
		const place = redirectionsOf(service).indexOf(redirection);
		return targetsOf(snapshot, set.first, redirectionsOf(set.first)[place]!);
	}
	const name = set?.name ?? service.key;
	const ofBackends = known.get(snapshot.backends) ?? new WeakMap<Redirection, Map<string, readonly Target[]>>();
	known.set(snapshot.backends, ofBackends);
	const ofRedirection = ofBackends.get(redirection) ?? new Map<string, readonly Target[]>();
	ofBackends.set(redirection, ofRedirection);
	const targets = ofRedirection.get(name) ?? computeTargets(snapshot, service, redirection, name);
	ofRedirection.set(name, targets);
	return targets;
}

/** By the backends of a snapshot, redirection, and name of the set. */
const known = new WeakMap<Snapshot["backends"], WeakMap<Redirection, Map<string, readonly Target[]>>>();

function computeTargets(snapshot: Snapshot, service: Service, redirection: Redirection, set: string): Target[] {
	const targets: Omit<Target, "placement">[] = [];
	const terms = termsText(redirection.terms);
	for (const choice of redirection.choices) {
		// A backend that has left the database is as good as gone.
		const backend = snapshot.backends.get(choice.backend);
		if (backend === undefined) continue;
		const addresses = reachableBy(parsedAddresses(backend), service);
		for (const address of addresses) {
			targets.push({
				key: `${set}>${choice.backend}/${address.text}/${choice.port} ${terms}`,
				set,
				backend: choice.backend,
				address: address.text,
				port: choice.port,
				family: address.family,
				// As if it drained, for this redirection alone.
				state: choice.weight === 0 && backend.state === "active" ? "draining" : backend.state,
				terms: redirection.terms,
				weight: choice.weight / addresses.length,
			});
		}
	}
	return placed(targets.sort((a, b) => (a.key < b.key ? -1 : 1)));
}

function placed(targets: readonly Omit<Target, "placement">[]): Target[] {
	const ports = new Map<string, number>();
	return targets.map((target) => {
		const place = `${target.backend}/${target.address}`;
		const before = ports.get(place) ?? 0;
		ports.set(place, before + 1);
		return { ...target, placement: before === 0 ? place : `${place}/${before}` };
	});
}

/** "gateway only", "once; return", "leased 60 s; forward-and-indicate": what a client is told, and how its capability is
 * answered. */
export function termsText({ clients, term, leaseS, answer }: Terms): string {
	if (!clients) return "gateway only";
	return `${term === "leased" ? `leased ${leaseS} s` : term}; ${answer}`;
}

/** A backend's addresses that a service's packets may be sent to. */
export function addressesFor(backend: Backend, service: Pick<Service, "via" | "family">): string[] {
	return reachableBy(parsedAddresses(backend), service).map(({ text }) => text);
}

/** R1: the addresses of the family that `via` says; else of the service's own; else of the other. */
function reachableBy(parsed: readonly Address[], service: Pick<Service, "via" | "family">): readonly Address[] {
	const of = (family: Family) => parsed.filter((address) => address.family === family);
	if (service.via !== null) return of(service.via);
	const own = of(service.family);
	return own.length > 0 ? own : parsed;
}

const addressesOfBackend = new WeakMap<Backend, readonly Address[]>();

function parsedAddresses(backend: Backend): readonly Address[] {
	const known = addressesOfBackend.get(backend);
	if (known !== undefined) return known;
	const parsed = backend.addresses.map((text) => parseAddress(text)).filter((address) => address !== undefined);
	addressesOfBackend.set(backend, parsed);
	return parsed;
}
