// tables.ts - from the redirection database to a whole set of tables, ready to be published.
//
// Read downwards: sets of targets with their ids, epochs, redirections with their forwarding tables, services and rules,
// targets.
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
	parseServiceAddress,
	type Redirection,
	redirectionsOf,
	type Service,
	type State,
	type Terms,
} from "../config/index.js";
import { ShuntError } from "../errors.js";
import {
	ANSWER,
	type Loads,
	MAX_INDEX,
	ROLE,
	serviceTableFields,
	TARGET_STATE,
	type TableDirect,
	type TableRedirection,
	type TableRule,
	type TableService,
	type TableSet,
	type TableTarget,
} from "../policy/index.js";
import { FLAG } from "../wire/index.js";
import { directEndpoints } from "./endpoints.js";
import { nextEpochs, type TargetEpochs } from "./epochs.js";
import type { TableIds } from "./ids.js";
import type { Snapshot } from "./records.js";
import type { ImposedStates } from "./serving.js";
import { type ServingSet, SetCompiler, type SetTables, type Shares, servingSet } from "./set-tables.js";
import type { TargetSet } from "./target-sets.js";

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
	/** Frames to other MAC addresses are ignored; default: none is. */
	readonly stations?: TableSet["stations"];
	/** This host's own addresses. */
	readonly own: readonly string[];
	/** Addresses that the tunnel is accepted from; default: any. */
	readonly members?: readonly string[] | undefined;
	/** This host's own state as a backend; default active. */
	readonly ownState?: State | undefined;
	readonly ids: TableIds;
	/** The last compilation of this host; undefined at the first. */
	readonly previous?: Pick<Compiled, "epochs" | "sets" | "conditions"> | undefined;
	readonly wallOffsetNs: bigint;
	/** By target key; a target without an entry has 0. Read where a service chooses by load. */
	readonly loads?: Loads | undefined;
	readonly balance?: Shares | undefined;
	/** By target key; what health imposes beside the configured states. */
	readonly health?: ImposedStates | undefined;
}

export interface Compiled {
	readonly tables: TableSet;
	/** For the next compilation: the targets' epochs, and sets of targets that need not be computed again. */
	readonly epochs: TargetEpochs;
	/** By name (target-sets.ts). */
	readonly sets: ReadonlyMap<string, SetTables & { readonly backends: Snapshot["backends"] }>;
	/** Under which the sets were computed. */
	readonly conditions: string;
	/** Sets that were computed anew. */
	readonly recompiled: number;
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
	const seed = forwardingSeed(cluster.seed);

	// 1. Sets of targets; those that have not changed are the previous compilation's.
	const setOf = (service: Service): TargetSet =>
		snapshot.targetSets?.get(service.key) ?? { name: service.key, first: service };
	const conditions = conditionsOf(input, seed);
	const before = input.previous?.conditions === conditions ? input.previous.sets : undefined;
	const serving = new Map<string, ServingSet | SetTables>();
	for (const service of snapshot.services) {
		const { name, first } = setOf(service);
		if (serving.has(name)) continue;
		const known = before?.get(name);
		const same = known?.first === first && known.backends === snapshot.backends;
		serving.set(name, same ? known : servingSet(snapshot, first, input.balance?.down, input.health ?? NO_STATES));
		yield;
	}
	const serviceIds = ids.services.assign(snapshot.services.map((service) => service.key));
	const targetIds = ids.targets.assign(keysOf(serving.values()));
	yield;

	// 2. Epochs.
	const states = new Map<number, State>();
	for (const { merged } of serving.values())
		for (const [key, { worst }] of merged) states.set(targetIds.get(key)!, worst);
	const epochs = nextEpochs(input.previous?.epochs, states);
	yield;

	// 3. Redirections of each set, each different one once.
	const compiler = new SetCompiler(targetIds, seed, input.balance);
	const sets = new Map<string, SetTables & { readonly backends: Snapshot["backends"] }>();
	const bases = new Map<string, number>();
	const redirections: TableRedirection[] = [];
	let recompiled = 0;
	for (const [name, set] of serving) {
		let tables = before?.get(name);
		if (tables !== set) {
			const forwarding = input.previous?.sets.get(name)?.forwarding;
			tables = { ...compiler.tables(set, forwarding), backends: snapshot.backends };
			recompiled++;
			yield;
		}
		sets.set(name, tables);
		bases.set(name, redirections.length);
		redirections.push(...tables.list);
	}
	const count = redirections.length;
	if (count > MAX_INDEX + 1) throw new ShuntError("SHUNT_REDIRECTIONS_EXHAUSTED", { count, limit: MAX_INDEX + 1 });

	// 4. Services and rules.
	const services: TableService[] = [];
	const rules: TableRule[] = [];
	const panics: Panic[] = [];
	for (const service of snapshot.services) {
		const { name, first } = setOf(service);
		const set = sets.get(name)!;
		const firsts = redirectionsOf(first);
		const base = bases.get(name)!;
		const entries = yield* entriesOf(
			service,
			serviceIds.get(service.key)!,
			firsts.map((one) => base + set.indices.get(one)!),
		);
		services.push(entries.service);
		for (const rule of entries.rules) rules.push(rule);
		if (set.panics.size > 0) {
			const own = redirectionsOf(service);
			panics.push(...panicsOf(service, (one) => set.panics.has(firsts[own.indexOf(one)]!)));
		}
		if (services.length % STEP === 0) yield;
	}

	const direct = input.roles & ROLE.backend ? directOf(snapshot, input.own, serviceIds) : [];

	// 5. Targets.
	const unresolved = new Set<string>();
	const addresses = new Map<string, Buffer>();
	const bytes = (text: string) => {
		const before = addresses.get(text) ?? bytesOf(text);
		addresses.set(text, before);
		return before;
	};
	const targetTable: TableTarget[] = [];
	for (const { targets, merged, alternatives } of sets.values()) {
		for (const target of targets.values()) {
			if (targetTable.length % STEP === STEP - 1) yield;
			const facts = input.facts.get(target.address);
			if (facts === undefined || facts.nextHop === null) unresolved.add(target.address);
			const id = targetIds.get(target.key)!;
			targetTable.push({
				id,
				address: bytes(target.address),
				source: facts === undefined ? Buffer.alloc(16) : bytes(facts.source),
				nextHop: facts?.nextHop ?? null,
				ownMac: facts?.ownMac ?? Buffer.alloc(6),
				port: target.port,
				family: target.family,
				epoch: epochs.get(id)!.epoch,
				state: TARGET_STATE[merged.get(target.key)!.published],
				mtu: facts?.mtu ?? 0,
				ifindex: facts?.ifindex ?? 0,
				alternative: alternatives.get(target.key)!,
				headerFlags: headerFlags(target.terms),
				leaseS: target.terms.clients ? target.terms.leaseS : 0,
				answer: ANSWER_BY[target.terms.answer],
				load: input.loads?.get(target.key) ?? 0,
			});
		}
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
			members: (input.members ?? []).map(bytesOf),
			...(input.stations === undefined ? {} : { stations: input.stations }),
			services,
			direct,
			rules,
			redirections,
			targets: targetTable,
		},
		epochs,
		sets,
		conditions,
		recompiled,
		unresolved: [...unresolved].sort(),
		panics,
	};
}

interface Entries {
	readonly service: TableService;
	readonly rules: readonly TableRule[];
}

/** Of each service, as long as its id and its redirections have these numbers. */
const known = new WeakMap<Service, Entries & { readonly numbers: string }>();

/** `indices`: of the service's redirections. */
function* entriesOf(service: Service, id: number, indices: readonly number[]): Generator<void, Entries> {
	const numbers = `${id} ${indices.join()}`;
	const before = known.get(service);
	if (before?.numbers === numbers) return before;
	const indexOf = new Map(redirectionsOf(service).map((one, i) => [one, indices[i]!]));
	const rules: TableRule[] = [];
	for (const rule of service.rules) {
		const prefix = parsePrefix(rule.from)!;
		const redirection = indexOf.get(rule.redirection)!;
		rules.push({ service: id, prefix: prefix.bytes, length: prefix.mappedLength, redirection });
		if (rules.length % STEP === 0) yield;
	}
	const entry: TableService = {
		id,
		...serviceTableFields(service),
		address: parseServiceAddress(service.address)!.bytes,
		protocol: PROTOCOL_NUMBER[service.protocol],
		redirection: indexOf.get(service.redirection)!,
		countSources: service.count === "source",
	};
	const entries = { numbers, service: entry, rules };
	if (Object.isFrozen(service)) known.set(service, entries);
	return entries;
}

const NO_STATES: ImposedStates = new Map();

/** What all sets follow from besides their service and the backends, as text. */
function conditionsOf({ balance, health, ids }: CompileInput, seed: string): string {
	const shares = balance && [
		[...balance.factors],
		[...balance.addresses],
		[...balance.down],
		[...(balance.slowStart ?? [])],
	];
	return JSON.stringify([seed, ids.serial, shares, [...(health ?? [])]]);
}

function* keysOf(sets: Iterable<ServingSet>): Generator<string> {
	for (const { targets } of sets) yield* targets.keys();
}

function panicsOf(service: Service, panics: (redirection: Redirection) => boolean): Panic[] {
	const own = panics(service.redirection) ? [{ service: service.key, rule: null }] : [];
	const rules = service.rules.filter(({ redirection }) => redirection !== service.redirection && panics(redirection));
	return [...own, ...rules.map(({ from }) => ({ service: service.key, rule: from }))];
}

/** Rules or targets between two steps. */
const STEP = 1000;

/** Where redirected clients reach this backend's services. */
function directOf(snapshot: Snapshot, own: readonly string[], ids: ReadonlyMap<string, number>): TableDirect[] {
	return directEndpoints(snapshot, own).map(({ service, address, port, portLast, family }) => ({
		service: ids.get(service.key)!,
		address: bytesOf(address),
		port,
		portLast,
		family,
	}));
}

const ANSWER_BY = {
	forward: ANSWER.forward,
	"forward-and-indicate": ANSWER.forwardAndIndicate,
	indicate: ANSWER.indicate,
	return: ANSWER.return,
} as const satisfies Record<CapabilityAnswer, number>;

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
