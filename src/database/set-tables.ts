// set-tables.ts - what the tables have of one set of targets: its targets in force, its redirections with their
// forwarding tables, and each target's alternative.
//
// Owns: rows and weights. A set that has not changed is not computed again: the caller keeps the result.
// Must never: depend on another set, beyond the ids that targets have.

import { type Redirection, redirectionsOf, type Service } from "../config/index.js";
import {
	type Candidate,
	DENY,
	nextBest,
	placement,
	preferences,
	SPREAD,
	strategyOf,
	type TableRedirection,
	tableSize,
	withIds,
} from "../policy/index.js";
import { type Target, targetsOf } from "./lookup.js";
import type { Snapshot } from "./records.js";
import { type ImposedStates, type MergedState, mergedStates, serving } from "./serving.js";

/** What loads and links have made of the configured weights. What is not named is as configured. */
export interface Shares {
	/** By backend: its weight times this, where a service's strategy needs factors. Above 0. */
	readonly factors: ReadonlyMap<string, number>;
	/** By address: its part of its backend's weight, relative to the backend's other addresses. Not all of them 0. */
	readonly addresses: ReadonlyMap<string, number>;
	/** Addresses whose uplink is down: as inactive as if they were configured so. */
	readonly down: ReadonlySet<string>;
	/** By target key: its weight times this, while it starts slowly. Above 0; default 1. */
	readonly slowStart?: ReadonlyMap<string, number> | undefined;
}

/** The targets of one set, with the states in force. */
export interface ServingSet {
	readonly first: Service;
	/** By key, each once. */
	readonly targets: ReadonlyMap<string, Target>;
	readonly merged: ReadonlyMap<string, MergedState>;
	/** By redirection of the first service. */
	readonly ofRedirection: ReadonlyMap<Redirection, readonly Target[]>;
	/** Redirections of several backends that are all used, as too few of them are healthy. */
	readonly panics: ReadonlySet<Redirection>;
}

export interface SetTables extends ServingSet {
	/** Each different one once. */
	readonly list: readonly TableRedirection[];
	/** By redirection of the first service: its place in the list. */
	readonly indices: ReadonlyMap<Redirection, number>;
	/** By all that a forwarding table follows from. */
	readonly forwarding: ReadonlyMap<string, Uint16Array>;
	/** By target key: the id of its alternative, 0 if it has none. */
	readonly alternatives: ReadonlyMap<string, number>;
}

export function servingSet(
	snapshot: Snapshot,
	first: Service,
	down: ReadonlySet<string> | undefined,
	health: ImposedStates,
): ServingSet {
	const ofRedirection = new Map<Redirection, readonly Target[]>();
	const panics = new Set<Redirection>();
	/** Each target once for each redirection that it is in. */
	const used: Target[] = [];
	for (const redirection of redirectionsOf(first)) {
		const configured = targetsOf(snapshot, first, redirection);
		const all = configured.some(({ address }) => down?.has(address))
			? configured.map((target) => (down?.has(target.address) ? { ...target, state: "inactive" as const } : target))
			: configured;
		const { targets, panic } = serving(all, health, first.health);
		ofRedirection.set(redirection, targets);
		used.push(...targets);
		if (panic) panics.add(redirection);
	}
	const targets = new Map(used.map((target) => [target.key, target]));
	return { first, targets, merged: mergedStates(used), ofRedirection, panics };
}

/** Makes the tables of one set after the other, for one seed and one assignment of ids. */
export class SetCompiler {
	#ids: ReadonlyMap<string, number>;
	#seed: string;
	#balance: Shares | undefined;
	#prefer = preferences();
	/** By keys and weights of the candidates: sets of the same backends have the same, with ids of their own. */
	#placements = new Map<string, Uint16Array>();

	constructor(ids: ReadonlyMap<string, number>, seed: string, balance: Shares | undefined) {
		this.#ids = ids;
		this.#seed = seed;
		this.#balance = balance;
	}

	/** `before`: the forwarding tables that the set had. */
	tables(set: ServingSet, before: ReadonlyMap<string, Uint16Array> | undefined): SetTables {
		const { first } = set;
		const list: TableRedirection[] = [];
		const indices = new Map<Redirection, number>();
		const forwarding = new Map<string, Uint16Array>();
		const known = new Map<string, number>();
		/** By target key: the redirections it is in. */
		const uses = new Map<string, Use[]>();
		for (const [redirection, targets] of set.ofRedirection) {
			const weights = weightsOf(targets, first, this.#balance);
			const members = targets.map((one, i) => [this.#ids.get(one.key), weights[i], one.state]);
			const identity = JSON.stringify([members, redirection.deny]);
			const same = known.get(identity);
			if (same !== undefined) {
				indices.set(redirection, same);
				continue;
			}
			const rows = this.#rows(targets, weights, before, forwarding);
			indices.set(redirection, list.length);
			known.set(identity, list.length);
			const deny = DENY[redirection.deny ?? "none"];
			list.push({ rows, spread: SPREAD[spreadOf(first)], choice: strategyOf(first.choose).choice, deny });
			const use = { rows, targets, byId: new Map(targets.map((target) => [this.#ids.get(target.key)!, target])) };
			for (const { key } of targets) {
				const ofTarget = uses.get(key);
				if (ofTarget === undefined) uses.set(key, [use]);
				else ofTarget.push(use);
			}
		}
		const alternatives = new Map<string, number>();
		for (const target of set.targets.values())
			alternatives.set(target.key, this.#alternative(target, uses.get(target.key) ?? []));
		return { ...set, list, indices, forwarding, alternatives };
	}

	#rows(
		targets: readonly Target[],
		weights: readonly number[],
		before: ReadonlyMap<string, Uint16Array> | undefined,
		forwarding: Map<string, Uint16Array>,
	): Uint16Array {
		// Only active targets get rows, but the size follows from all of them, at the weights configured (see tableSize).
		const size = tableSize(targets.map((target) => target.weight));
		const candidates = targets
			// Not by service: where spread is by source, a client has the same backend for two services of the same backends.
			.map((target, i) => ({ key: target.placement, id: this.#ids.get(target.key)!, weight: weights[i]! }))
			.filter((_, i) => targets[i]!.state === "active");
		const cause = JSON.stringify([size, this.#seed, candidates]);
		const rows = forwarding.get(cause) ?? before?.get(cause) ?? withIds(this.#places(candidates, size), candidates);
		forwarding.set(cause, rows);
		return rows;
	}

	#places(candidates: readonly Candidate[], size: number): Uint16Array {
		const cause = JSON.stringify([size, candidates.map(({ key, weight }) => [key, weight])]);
		const places = this.#placements.get(cause) ?? placement(candidates, size, this.#seed, this.#prefer);
		this.#placements.set(cause, places);
		return places;
	}

	/** R8: the target's next best, of the same family (the header has one flag for both addresses): another backend's
	 * if there is one, else another address of its own; 0 if it is alone. */
	#alternative(target: Target, uses: readonly Use[]): number {
		for (const ofSameBackend of [false, true]) {
			for (const { rows, targets, byId } of uses) {
				// Asked of one after the other, and mostly the first will do.
				const fits = (other: Target) =>
					other.key !== target.key &&
					other.family === target.family &&
					(other.backend === target.backend) === ofSameBackend;
				if (!targets.some((other) => other.state === "active" && fits(other))) continue;
				const found = nextBest(rows, target.placement, this.#seed, (id) => fits(byId.get(id)!), this.#prefer);
				if (found !== 0) return found;
			}
		}
		return 0;
	}
}

/** A session spans the ports and addresses of a service, so the choice among its targets does, too. */
export function spreadOf({ spread, port, portLast, addressLength }: Service): keyof typeof SPREAD {
	return spread === "flow" && (portLast > port || addressLength < 128) ? "client" : spread;
}

/** A redirection that a target is in. */
interface Use {
	readonly rows: Uint16Array;
	readonly targets: readonly Target[];
	readonly byId: ReadonlyMap<number, Target>;
}

/** Of the targets of one redirection: a backend's configured weight, times its factor, divided among its addresses as their
 * uplinks allow. An address that is down leaves its part to the others. */
function weightsOf(targets: readonly Target[], service: Service, balance: Shares | undefined): number[] {
	if (balance === undefined) return targets.map((target) => target.weight);
	// A backend's addresses that drain alone, by health, leave their part to the others as well.
	const share = (target: Target) => (target.state !== "active" ? 0 : (balance.addresses.get(target.address) ?? 1));
	const configured = new Map<string, number>();
	const shared = new Map<string, number>();
	const choice = (target: Target) => `${target.backend}/${target.port}`;
	for (const target of targets) {
		configured.set(choice(target), (configured.get(choice(target)) ?? 0) + target.weight);
		shared.set(choice(target), (shared.get(choice(target)) ?? 0) + share(target));
	}
	return targets.map((target) => {
		const total = shared.get(choice(target))!;
		const factor = strategyOf(service.choose).needsFactors ? (balance.factors.get(target.backend) ?? 1) : 1;
		if (total === 0) return target.weight;
		const started = balance.slowStart?.get(target.key) ?? 1;
		return (started * factor * configured.get(choice(target))! * share(target)) / total;
	});
}
