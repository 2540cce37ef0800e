/**
 * A member: one server of the cluster, whichever its role, from the configuration to a running engine.
 *
 *   down  config → store → compile → publish         at the start, at a reload, and when the host's facts change
 *   up    tables → sweep → counts → load → balance   every `sessions.check`
 *
 * Owns: the order of these, the epoch, and what is compared with what. What only a gateway or only a backend does to its
 * host stands behind `Role`.
 * Must never: touch a packet, or leave the host half set up: what was begun is undone when a later step fails.
 */
import type { Config, Service, State } from "../config/index.js";
import { readConfig } from "../config/index.js";
import {
	type Compiled,
	compile,
	type HostFacts,
	newTableIds,
	readSnapshot,
	type Snapshot,
	StaticStore,
	type TableIds,
	type Target,
	type TargetEpochs,
	targetLoads,
	targetsOf,
} from "../database/index.js";
import { type EngineOptions, host, NativeEngine } from "../engine/index.js";
import { Balancing } from "../gateway/balancing.js";
import { networkNamespace } from "../host/network.js";
import { pinsOf, unpin, unpinOtherLinks } from "../host/pins.js";
import type { LoadReport } from "../load/index.js";
import { type Loads, loadsMoved } from "../policy/index.js";
import { type EngineKind, enginesToTry, requireFramesTaken, whyEngine } from "./engines.js";
import { type Kept, KeptFile } from "./persisted-state.js";

/** What one role does to its host, and what it knows of it. */
export interface Role {
	readonly kind: "gateway" | "backend";
	/** The name that this server has in the configuration. */
	readonly name: string;
	/** Of ROLE, for the tables. */
	readonly roles: number;
	/** The interfaces whose packets the engine takes. Throws when one is missing. */
	interfaces(): Promise<readonly string[]>;
	/** Before the first tables: offloads, settings, tun device. Returns what a user-space engine needs of it. */
	prepare(config: Config, kind: EngineKind): Promise<Pick<EngineOptions, "workers" | "tun">>;
	/** After each publication: what the host has to hold back or carry for exactly these services. */
	apply(config: Config, snapshot: Snapshot): Promise<void>;
	/** This host's own service addresses. */
	own(config: Config): readonly string[];
	/** In the configuration; a gateway is always active. */
	state(config: Config): State;
	/** The way to each target; `changed` is called when it is another one than the last time it was asked. */
	facts(targets: readonly Target[], changed: () => void): Promise<ReadonlyMap<string, HostFacts>>;
	/** Packets are being taken: what a role does beside them begins. */
	begin(member: Member): void;
	/** This server's load, as last measured; undefined: not yet. */
	load(): LoadReport | undefined;
	/** Undoes what it did to the host. */
	close(): Promise<void>;
	/** Ends without undoing anything that packets need: the kernel's engine goes on, and the next daemon takes over. */
	leave(): Promise<void>;
}

export interface MemberEvent {
	event: "ready" | "reloaded" | "refused" | "warning" | "worker-ended" | "next-hop";
	[detail: string]: unknown;
}

/** Buckets looked at before the event loop has its turn again: about a millisecond of sweeping. */
const SWEEP_SLICE = 65_536;
/** However short the passes are: one that moves loads publishes whole tables. */
const BALANCE_MS = 100;
/** A wall clock that was set, not slewed, by more than this moves every header's time: publish anew. */
const CLOCK_STEP_NS = 500_000_000n;

export class Member {
	readonly startedAt = Date.now();
	readonly engine: NativeEngine;
	readonly role: Role;
	/** Workers that have ended by themselves: why. */
	ended: ReadonlyMap<number, string> = new Map();
	readonly interfaces: readonly string[];
	readonly kind: EngineKind;
	/** Why this engine. */
	readonly why: string;
	config: Config;
	snapshot: Snapshot;
	compiled: Compiled | undefined;
	epoch = 0;
	sweep: { live: number; finishedAt: number } | undefined;
	/** A gateway's. */
	readonly balancing: Balancing | undefined;
	#loads: Loads = new Map();
	#targets: { readonly of: Snapshot; readonly list: readonly Target[] } | undefined;
	#balanceUnderWay = false;
	#balancedAt = 0;
	#store: StaticStore;
	#ids: TableIds;
	/** Of an earlier daemon, until the first compilation. */
	#epochs: TargetEpochs | undefined;
	#keptFile: KeptFile;
	#emit: (event: MemberEvent) => void;
	#timer: NodeJS.Timeout | undefined;
	#cursor = 0;
	#live = 0;
	#closing = false;
	/** Publications follow one another; two at once could finish in the wrong order. */
	#last: Promise<unknown> = Promise.resolve();

	private constructor(parts: Parts, kind: EngineKind, why: string, engine: NativeEngine) {
		this.role = parts.role;
		this.config = parts.config;
		this.snapshot = parts.snapshot;
		this.interfaces = parts.interfaces;
		this.kind = kind;
		this.why = why;
		this.engine = engine;
		this.#store = parts.store;
		this.#emit = parts.emit;
		this.#keptFile = parts.keptFile;
		const kept = engine.kernel()?.adopted ? parts.kept : undefined;
		this.#ids = kept?.ids ?? newTableIds();
		this.#epochs = kept?.epochs;
		this.epoch = kept?.epoch ?? 0;
		if (this.role.kind === "gateway")
			this.balancing = new Balancing(this.config, this.#store, (problem) => this.#emit({ event: "warning", problem }));
	}

	/** Resolves when packets are being taken, by the first engine that works here. `makeRole` is called for each attempt: a
	 * role that has been closed is spent. */
	static async start(makeRole: () => Role, config: Config, emit: (event: MemberEvent) => void): Promise<Member> {
		const store = await StaticStore.open(config);
		const refusals: { kind: EngineKind; why: string }[] = [];
		try {
			const snapshot = await readSnapshot(store);
			const namespace = networkNamespace();
			for (let role = makeRole(); ; role = makeRole()) {
				const interfaces = await role.interfaces();
				const keptFile = new KeptFile(role.name, namespace);
				const pins = await pinsOf(role.name, namespace).catch(() => undefined);
				const kinds = enginesToTry(config, pins, interfaces);
				const kind = kinds[refusals.length] as EngineKind;
				const parts = { role, config, snapshot, interfaces, store, emit, keptFile, kept: keptFile.read(), pins };
				try {
					return await Member.#start(parts, kind, whyEngine(config, kind, refusals));
				} catch (error) {
					await role.close();
					if (refusals.length === kinds.length - 1) throw error;
					refusals.push({ kind, why: whyNot(error) });
				}
			}
		} catch (error) {
			await store.close();
			throw error;
		}
	}

	static async #start(parts: Parts, kind: EngineKind, why: string): Promise<Member> {
		const { role, config, snapshot, interfaces, emit } = parts;
		const ended = new Map<number, string>();
		const needs = await role.prepare(config, kind);
		const engine = new NativeEngine(
			kind === "user"
				? {
						...capacities(config),
						transmit: "sendmmsg",
						qdiscBypass: config.engine.qdiscBypass,
						...needs,
						onEnd: (worker, problem) => {
							ended.set(worker, problem);
							emit({ event: "worker-ended", worker, problem });
						},
					}
				: {
						kernel: {
							...capacities(config),
							interfaces,
							mode: kind,
							sent: role.kind === "backend",
							fresh: parts.kept === undefined,
							...(parts.pins === undefined ? {} : { pins: parts.pins }),
						},
					},
		);
		let member: Member | undefined;
		try {
			member = new Member(parts, kind, why, engine);
			member.ended = ended;
			// Before anybody has been heard: what is configured of uplinks counts from the first tables on.
			await member.balancing?.step(config, new Map());
			await member.#publish();
			await role.apply(config, snapshot);
			engine.start();
			// Only now: until here, the engine of an earlier daemon has served packets.
			if (kind === "user") {
				if (parts.pins !== undefined) unpin(parts.pins);
				parts.keptFile.remove();
			} else if (parts.pins !== undefined) unpinOtherLinks(parts.pins, parts.interfaces);
			if (kind === "native" && role.kind === "gateway") requireFramesTaken(member.#links());
			const unsent = engine.kernel()?.unsent;
			if (unsent) emit({ event: "warning", problem: `what this server sends keeps no session alive: ${unsent}` });
			const unwatched = engine.kernel()?.unwatched;
			if (unwatched)
				emit({ event: "warning", problem: `packets that a driver does not take are not counted: ${unwatched}` });
			member.balancing?.start();
			role.begin(member);
			member.#tick();
			return member;
		} catch (error) {
			await member?.balancing?.close();
			engine.stop();
			if (kind !== "user") parts.keptFile.remove(); // the sessions have gone with the engine
			throw error;
		}
	}

	/** Of the interfaces that packets come from and of those that targets are reached by. */
	#links(): number[] {
		const targets = this.compiled?.tables.targets.map((target) => target.ifindex) ?? [];
		return [...this.interfaces.map((name) => host().link(name).ifindex), ...targets.filter((ifindex) => ifindex !== 0)];
	}

	/** Reads the configuration again. A mistake in it is thrown, and nothing has changed. */
	async reload(): Promise<{ epoch: number; changed: string[] }> {
		const next = readConfig(this.config.file);
		const before = this.config;
		await this.#store.reload(next);
		this.config = next;
		this.snapshot = await readSnapshot(this.#store);
		this.balancing?.configure(next);
		await this.#publish();
		await this.role.apply(this.config, this.snapshot);
		const changed = differences(before, next);
		this.#emit({ event: "reloaded", epoch: this.epoch, changed });
		return { epoch: this.epoch, changed };
	}

	async close(): Promise<void> {
		await this.#halt();
		this.engine.stop();
		this.#keptFile.remove();
		await this.role.close();
		await this.#store.close();
	}

	/** Ends, and the kernel's engine goes on; the next daemon takes over. A user-space engine can't: it is closed. */
	async leave(): Promise<void> {
		if (this.kind === "user") return this.close();
		await this.#halt();
		await this.role.leave();
		await this.#store.close();
	}

	async #halt(): Promise<void> {
		this.#closing = true;
		clearTimeout(this.#timer);
		await this.balancing?.close();
		await this.#last.catch(() => {});
	}

	/** All targets of all redirections, each once. */
	targets(): readonly Target[] {
		if (this.#targets?.of !== this.snapshot) this.#targets = { of: this.snapshot, list: this.#listTargets() };
		return this.#targets.list;
	}

	#listTargets(): Target[] {
		const all = this.snapshot.services.flatMap((service) =>
			[service.redirection, ...service.rules.map((rule) => rule.redirection)].flatMap((redirection) =>
				targetsOf(this.snapshot, service, redirection),
			),
		);
		return [...new Map(all.map((target) => [target.key, target])).values()];
	}

	/** Sessions of this protocol's services, by flow or by source as each counts them (R10); of the last sweep. */
	sessionsOf(protocol: Service["protocol"]): number {
		const counts = this.engine.sessionCounts();
		return this.snapshot.services
			.filter((service) => service.protocol === protocol)
			.reduce((sum, { key, count }) => {
				const by = count === "source" ? counts.sources : counts.services;
				return sum + (by[this.#ids.services.get(key) ?? 0] ?? 0);
			}, 0);
	}

	/** The key of a target or service by its id, and back. */
	get ids() {
		return this.#ids;
	}

	#publish(): Promise<void> {
		const next = this.#last.catch(() => {}).then(() => this.#publishNow());
		this.#last = next;
		return next;
	}

	async #publishNow(): Promise<void> {
		const facts = await this.role.facts(this.targets(), () => {
			if (!this.#closing) this.#publish().catch((error) => this.#emit({ event: "warning", problem: String(error) }));
		});
		const compiled = compile({
			epoch: this.epoch + 1,
			roles: this.role.roles,
			cluster: this.config.cluster,
			snapshot: this.snapshot,
			facts,
			own: this.role.own(this.config),
			ownState: this.role.state(this.config),
			ids: this.#ids,
			previous: this.compiled ?? (this.#epochs && { epochs: this.#epochs, forwarding: new Map() }),
			wallOffsetNs: wallOffset(),
			loads: this.#loads,
			balance: this.balancing?.shares(),
		});
		if (this.kind !== "user")
			this.#keptFile.write({ epoch: compiled.tables.epoch, ids: this.#ids, epochs: compiled.epochs });
		for (const problem of this.engine.publish(compiled.tables)) this.#emit({ event: "warning", problem });
		const before = new Set(this.compiled?.unresolved);
		this.compiled = compiled;
		this.epoch = compiled.tables.epoch;
		if (this.role.kind === "gateway")
			for (const address of compiled.unresolved)
				if (!before.has(address)) this.#emit({ event: "next-hop", address, problem: "has not answered" });
	}

	/** One slice of aging; a pass over the whole table begins every `sessions.check`. */
	#tick(): void {
		if (this.#closing) return;
		if (this.#cursor === 0) {
			this.#live = 0;
			this.#watchClock();
		}
		const slice = this.engine.sweep(this.#cursor, SWEEP_SLICE);
		this.#cursor = slice.next;
		this.#live += slice.live;
		if (slice.next === 0) {
			this.sweep = { live: this.#live, finishedAt: Date.now() };
			this.#balance().catch((error) => this.#emit({ event: "warning", problem: String(error) }));
		}
		this.#timer = setTimeout(() => this.#tick(), slice.next === 0 ? this.config.sessions.checkMs : 0);
	}

	/** Publishes anew when somebody's load has moved far enough, a share, or a link; never while what moved last is still on its
	 * way: a pass may be shorter than a publication. */
	async #balance(): Promise<void> {
		const { balancing } = this;
		if (balancing === undefined || this.#balanceUnderWay || Date.now() - this.#balancedAt < BALANCE_MS) return;
		this.#balanceUnderWay = true;
		this.#balancedAt = Date.now();
		try {
			const counts = this.engine.sessionCounts().targetSessions;
			const moved = await balancing.step(this.config, this.#sessionsByBackend(counts));
			const loads = targetLoads(this.snapshot, this.#ids, () => counts, balancing.loads());
			if (this.#closing || (!moved && !loadsMoved(this.#loads, loads))) return;
			this.#loads = loads;
			await this.#publish();
		} finally {
			this.#balanceUnderWay = false;
		}
	}

	#sessionsByBackend(counts: Uint32Array): Map<string, number> {
		const sessions = new Map<string, number>();
		for (const target of this.targets())
			sessions.set(
				target.backend,
				(sessions.get(target.backend) ?? 0) + (counts[this.#ids.targets.get(target.key) ?? 0] ?? 0),
			);
		return sessions;
	}

	#watchClock(): void {
		const drift = wallOffset() - (this.compiled?.tables.wallOffsetNs ?? 0n);
		if (drift > CLOCK_STEP_NS || drift < -CLOCK_STEP_NS)
			this.#publish().catch((error) => this.#emit({ event: "warning", problem: String(error) }));
	}
}

/** What a start is made of. */
interface Parts {
	readonly role: Role;
	readonly config: Config;
	readonly snapshot: Snapshot;
	readonly interfaces: readonly string[];
	readonly store: StaticStore;
	readonly emit: (event: MemberEvent) => void;
	readonly keptFile: KeptFile;
	readonly kept: Kept | undefined;
	/** undefined: there is no BPF file system to pin in. */
	readonly pins: string | undefined;
}

function capacities({ sessions }: Config) {
	return { sessions4: sessions.capacity, sessions6: sessions.capacityIpv6 };
}

/** The engine's own sentence, without what was being done, as the end of one of ours. */
function whyNot(error: unknown): string {
	const { why, fields, message } = error as { why?: string; fields?: { why?: string }; message: string };
	return (fields?.why ?? why ?? message).replace(/\.$/, "");
}

/** Nanoseconds from the monotonic clock's zero to 1970's. */
function wallOffset(): bigint {
	return BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
}

/** What a reload changed, by name, for the log. */
function differences(before: Config, after: Config): string[] {
	const named = (config: Config) =>
		new Map<string, string>([
			["cluster", JSON.stringify(config.cluster)],
			["sessions", JSON.stringify(config.sessions)],
			["engine", JSON.stringify(config.engine)],
			...config.backends.map((one): [string, string] => [`backend ${one.name}`, JSON.stringify(one)]),
			...config.gateways.map((one): [string, string] => [`gateway ${one.name}`, JSON.stringify(one)]),
			...config.services.map((one): [string, string] => [`service ${one.name} ${one.key}`, JSON.stringify(one)]),
		]);
	const a = named(before);
	const b = named(after);
	return [...new Set([...a.keys(), ...b.keys()])].filter((name) => a.get(name) !== b.get(name)).sort();
}
