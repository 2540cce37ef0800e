// tables.ts - from the redirection database to a whole set of tables, ready to be published.
//
// Read downwards: identities, epochs, redirections with their forwarding tables, services and rules, targets.
// The same configuration gives the same choices on every gateway (R19): ids may differ between hosts, rows name
// the same targets. Loads may differ: which of its two rows a new flow gets is then each gateway's own.
// Must never: change what it is given (save the allocators, which remember), or ask the host for anything; host facts
// are passed in.

import { createHash } from "node:crypto";
import {
	type CapabilityAnswer,
	type Config,
	PROTOCOL_NUMBER,
	parseAddress,
	parsePrefix,
	type Redirection,
	type Service,
	type State,
	type Terms,
} from "../config/index.js";
import { ShuntError } from "../errors.js";
import {
	ANSWER,
	type Candidate,
	type Loads,
	MAX_INDEX,
	nextBest,
	placement,
	preferences,
	ROLE,
	SPREAD,
	serviceTableFields,
	strategyOf,
	TARGET_STATE,
	type TableDirect,
	type TableRedirection,
	type TableRule,
	type TableService,
	type TableSet,
	type TableTarget,
	tableSize,
	withIds,
} from "../policy/index.js";
import { FLAG } from "../wire/index.js";
import { directEndpoints } from "./endpoints.js";
import { nextEpochs, type TargetEpochs } from "./epochs.js";
import type { TableIds } from "./ids.js";
import { redirectionsOf, type Target, targetsOf } from "./lookup.js";
import type { Snapshot } from "./records.js";
import { type ImposedStates, mergedStates, serving } from "./serving.js";

/** How this host reaches one target address. */
export interface HostFacts {
	/** Outer source address: this host's own on that link. */
	readonly source: string;
	/** 6 bytes; null: not resolved yet. */
	readonly nextHop: Buffer | null;
	readonly ownMac: Buffer;
	readonly ifindex: number;
	readonly mtu: number;
}

export interface CompileInput {
	/** Of this set of tables. */
	readonly epoch: number;
	/** ROLE, or-ed. */
	readonly roles: number;
	readonly cluster: Config["cluster"];
	readonly snapshot: Snapshot;
	/** By target address, in canonical spelling. */
	readonly facts: ReadonlyMap<string, HostFacts>;
	/** This host's own addresses. */
	readonly own: readonly string[];
	/** This host's own state as a backend; default active. */
	readonly ownState?: State | undefined;
	readonly ids: TableIds;
	/** The last compilation of this host; undefined at the first. */
	readonly previous?: Pick<Compiled, "epochs" | "forwarding"> | undefined;
	readonly wallOffsetNs: bigint;
	/** By target key; a target without an entry has 0. Read where a service chooses by load. */
	readonly loads?: Loads | undefined;
	readonly balance?: Shares | undefined;
	/** By target key; what health imposes beside the configured states. */
	readonly health?: ImposedStates | undefined;
}

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

export interface Compiled {
	readonly tables: TableSet;
	/** For the next compilation: the targets' epochs, and forwarding tables that need not be computed again. */
	readonly epochs: TargetEpochs;
	readonly forwarding: ReadonlyMap<string, Uint16Array>;
	/** Target addresses without a next hop: they keep their rows, because all gateways choose alike, and their packets are
	 * dropped under a reason of their own. */
	readonly unresolved: readonly string[];
	/** Redirections of several backends that are all used, as too few of them are healthy. */
	readonly panics: readonly Panic[];
}

export interface Panic {
	/** The service's key. */
	readonly service: string;
	/** The rule's prefix; null: the service's own redirection. */
	readonly rule: string | null;
}

export function compile(input: CompileInput): Compiled {
	for (const steps = compileSteps(input); ; ) {
		const step = steps.next();
		if (step.done) return step.value;
	}
}

/** The same in steps of a few milliseconds at most, between which an event loop may do other work. What is given must not
 * change meanwhile. */
export function* compileSteps(input: CompileInput): Generator<void, Compiled> {
	const { snapshot, cluster, ids } = input;

	// 1. Identities.
	const down = input.balance?.down;
	const health: ImposedStates = input.health ?? new Map();
	const uses: { readonly service: Service; readonly targets: ReadonlyMap<Redirection, readonly Target[]> }[] = [];
	/** Each target once for each redirection that it is in. */
	const used: Target[] = [];
	const panics: Panic[] = [];
	for (const service of snapshot.services) {
		const ofService = new Map<Redirection, readonly Target[]>();
		for (const redirection of redirectionsOf(service)) {
			const configured = targetsOf(snapshot, service, redirection);
			const all = configured.some(({ address }) => down?.has(address))
				? configured.map((target) => (down?.has(target.address) ? { ...target, state: "inactive" as const } : target))
				: configured;
			const { targets, panic } = serving(all, health, service.health);
			ofService.set(redirection, targets);
			used.push(...targets);
			if (!panic) continue;
			if (redirection === service.redirection) panics.push({ service: service.key, rule: null });
			for (const rule of service.rules)
				if (rule.redirection === redirection) panics.push({ service: service.key, rule: rule.from });
		}
		uses.push({ service, targets: ofService });
		yield;
	}
	const targets = new Map(used.map((target) => [target.key, target]));
	const merged = mergedStates(used);
	const serviceIds = ids.services.assign(snapshot.services.map((service) => service.key));
	const targetIds = ids.targets.assign(targets.keys());

	yield;

	// 2. Epochs.
	const states = new Map(
		[...targets.values()].map((target) => [targetIds.get(target.key)!, merged.get(target.key)!.worst]),
	);
	const epochs = nextEpochs(input.previous?.epochs, states);

	// 3. Redirections, each different one once.
	const seed = forwardingSeed(cluster.seed);
	const redirections = new Redirections(targetIds, seed, input.previous?.forwarding, input.balance);
	const services: TableService[] = [];
	const rules: TableRule[] = [];
	for (const { service, targets: ofService } of uses) {
		const indices = new Map<Redirection, number>();
		for (const [redirection, all] of ofService) indices.set(redirection, redirections.index(service, all));
		const id = serviceIds.get(service.key)!;
		services.push({
			id,
			...serviceTableFields(service),
			address: bytesOf(service.address),
			protocol: PROTOCOL_NUMBER[service.protocol],
			redirection: indices.get(service.redirection)!,
			countSources: service.count === "source",
		});
		for (const [i, rule] of service.rules.entries()) {
			const prefix = parsePrefix(rule.from)!;
			const redirection = indices.get(rule.redirection)!;
			rules.push({ service: id, prefix: prefix.bytes, length: prefix.mappedLength, redirection });
			if (i % STEP === STEP - 1) yield;
		}
		yield;
	}

	const direct = input.roles & ROLE.backend ? directOf(snapshot, input.own, serviceIds) : [];

	// 4. Targets.
	const unresolved = new Set<string>();
	const targetTable: TableTarget[] = [];
	for (const target of targets.values()) {
		if (targetTable.length % STEP === STEP - 1) yield;
		const facts = input.facts.get(target.address);
		if (facts === undefined || facts.nextHop === null) unresolved.add(target.address);
		const id = targetIds.get(target.key)!;
		targetTable.push({
			id,
			address: bytesOf(target.address),
			source: facts === undefined ? Buffer.alloc(16) : bytesOf(facts.source),
			nextHop: facts?.nextHop ?? null,
			ownMac: facts?.ownMac ?? Buffer.alloc(6),
			port: target.port,
			family: target.family,
			epoch: epochs.get(id)!.epoch,
			state: TARGET_STATE[merged.get(target.key)!.published],
			mtu: facts?.mtu ?? 0,
			ifindex: facts?.ifindex ?? 0,
			alternative: redirections.alternative(target),
			headerFlags: headerFlags(target.terms),
			leaseS: target.terms.clients ? target.terms.leaseS : 0,
			answer: ANSWER_BY[target.terms.answer],
			load: input.loads?.get(target.key) ?? 0,
		});
	}

	return {
		tables: {
			epoch: input.epoch,
			roles: input.roles,
			seed: flowSeed(cluster.seed),
			wallOffsetNs: input.wallOffsetNs,
			windowS: Math.round(cluster.windowMs / 1000),
			tunnelPort: cluster.tunnelPort,
			controlPort: cluster.controlPort,
			limits: cluster.indications,
			ownState: TARGET_STATE[input.ownState ?? "active"],
			signKey: cluster.signKey,
			maxHops: cluster.maxHops,
			keys: cluster.keys.map((key) => ({ id: key.id, secret: Buffer.from(key.secret, "hex") })),
			own: input.own.map(bytesOf),
			services,
			direct,
			rules,
			redirections: redirections.list,
			targets: targetTable,
		},
		epochs,
		forwarding: redirections.forwarding,
		unresolved: [...unresolved].sort(),
		panics,
	};
}

/** Rules or targets between two steps. */
const STEP = 1000;

/** Where redirected clients reach this backend's services. */
function directOf(snapshot: Snapshot, own: readonly string[], ids: ReadonlyMap<string, number>): TableDirect[] {
	return directEndpoints(snapshot, own).map(({ service, address, port, family }) => ({
		service: ids.get(service.key)!,
		address: bytesOf(address),
		port,
		family,
	}));
}

const ANSWER_BY = {
	forward: ANSWER.forward,
	"forward-and-indicate": ANSWER.forwardAndIndicate,
	indicate: ANSWER.indicate,
	return: ANSWER.return,
} as const satisfies Record<CapabilityAnswer, number>;

/** The redirections of one set, and the alternative of each target. */
class Redirections {
	readonly list: TableRedirection[] = [];
	/** By all that a forwarding table follows from. */
	readonly forwarding = new Map<string, Uint16Array>();
	#before: ReadonlyMap<string, Uint16Array> | undefined;
	#indices = new Map<string, number>();
	/** By target key: the redirections it is in, and all their targets by id. */
	#uses = new Map<string, { rows: Uint16Array; targets: readonly Target[]; byId: ReadonlyMap<number, Target> }[]>();
	#ids: ReadonlyMap<string, number>;
	#seed: string;
	#balance: Shares | undefined;
	#prefer = preferences();
	/** By keys and weights of the candidates: services of the same backends have the same, with ids of their own. */
	#placements = new Map<string, Uint16Array>();

	constructor(
		ids: ReadonlyMap<string, number>,
		seed: string,
		before: ReadonlyMap<string, Uint16Array> | undefined,
		balance: Shares | undefined,
	) {
		this.#balance = balance;
		this.#before = before;
		this.#ids = ids;
		this.#seed = seed;
	}

	index(service: Service, targets: readonly Target[]): number {
		const spread = SPREAD[service.spread];
		const { choice } = strategyOf(service.choose);
		const weights = weightsOf(targets, service, this.#balance);
		const members = targets.map((target, i) => [this.#ids.get(target.key), weights[i], target.state]);
		const identity = JSON.stringify([spread, choice, members]);
		const known = this.#indices.get(identity);
		if (known !== undefined) return known;

		// Only active targets get rows, but the size follows from all of them, at the weights configured (see tableSize).
		const size = tableSize(targets.map((target) => target.weight));
		const candidates = targets
			// Not by service: where spread is by source, a client has the same backend for two services of the same backends.
			.map((target, i) => ({ key: rowKey(target), id: this.#ids.get(target.key)!, weight: weights[i]! }))
			.filter((_, i) => targets[i]!.state === "active");
		const cause = JSON.stringify([size, this.#seed, candidates]);
		const rows = this.forwarding.get(cause) ?? this.#before?.get(cause) ?? this.#rows(candidates, size);
		this.forwarding.set(cause, rows);
		const index = this.list.length;
		if (index > MAX_INDEX)
			throw new ShuntError("SHUNT_REDIRECTIONS_EXHAUSTED", { count: index + 1, limit: MAX_INDEX + 1 });
		this.list.push({ rows, spread, choice });
		this.#indices.set(identity, index);
		const byId = new Map(targets.map((target) => [this.#ids.get(target.key)!, target]));
		for (const target of targets) {
			const uses = this.#uses.get(target.key) ?? [];
			uses.push({ rows, targets, byId });
			this.#uses.set(target.key, uses);
		}
		return index;
	}

	#rows(candidates: readonly Candidate[], size: number): Uint16Array {
		const cause = JSON.stringify([size, candidates.map(({ key, weight }) => [key, weight])]);
		const places = this.#placements.get(cause) ?? placement(candidates, size, this.#seed, this.#prefer);
		this.#placements.set(cause, places);
		return withIds(places, candidates);
	}

	/** R8: the target's next best, of the same family (the header has one flag for both addresses): another backend's
	 * if there is one, else another address of its own; 0 if it is alone. */
	alternative(target: Target): number {
		for (const ofSameBackend of [false, true]) {
			for (const { rows, targets, byId } of this.#uses.get(target.key) ?? []) {
				// Asked of one after the other, and mostly the first will do: loads have the tables compiled every second.
				const fits = (other: Target) =>
					other.key !== target.key &&
					other.family === target.family &&
					(other.backend === target.backend) === ofSameBackend;
				if (!targets.some((other) => other.state === "active" && fits(other))) continue;
				const found = nextBest(rows, rowKey(target), this.#seed, (id) => fits(byId.get(id)!), this.#prefer);
				if (found !== 0) return found;
			}
		}
		return 0;
	}
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

function rowKey(target: Target): string {
	return `${target.backend}/${target.address}/${target.port}`;
}

/** The header's flags (R4-R7). Terms mean something only to a client that is expected to redirect itself. */
function headerFlags(terms: Terms): number {
	return terms.clients ? FLAG.redirect | FLAG[terms.term] : 0;
}

/** Two secrets from one text, so that knowing where rows lie says nothing about the hash of flows. */
function forwardingSeed(seed: string): string {
	return createHash("sha256").update(`shunt forwarding table\0${seed}`).digest("hex");
}

function flowSeed(seed: string): [bigint, bigint] {
	const digest = createHash("sha256").update(`shunt flow hash\0${seed}`).digest();
	return [digest.readBigUInt64LE(0), digest.readBigUInt64LE(8)];
}

function bytesOf(text: string): Buffer {
	const address = parseAddress(text);
	if (address === undefined) throw new ShuntError("SHUNT_ADDRESS_INVALID", { text });
	return address.bytes;
}
