/**
 * A member: one server of the cluster, whichever its role, from the configuration to a running engine.
 *
 *   down  config → store → compile → publish        at the start, at a reload, and when the host's facts change
 *   up    tables → sweep → counts                    every `sessions.check`
 *
 * Owns: the order of these, the epoch, and what is compared with what. What only a gateway or only a backend does to its
 * host stands behind `Role`.
 * Must never: touch a packet, or leave the host half set up: what was begun is undone when a later step fails.
 */
import type { Config } from "../config/index.js";
import { readConfig } from "../config/index.js";
import {
	type Compiled,
	compile,
	type HostFacts,
	newTableIds,
	readSnapshot,
	type Snapshot,
	StaticStore,
	type Target,
	targetsOf,
} from "../database/index.js";
import { type EngineOptions, NativeEngine } from "../engine/index.js";

/** What one role does to its host, and what it knows of it. */
export interface Role {
	readonly kind: "gateway" | "backend";
	/** The name that this server has in the configuration. */
	readonly name: string;
	/** Of ROLE, for the tables. */
	readonly roles: number;
	/** Before the first tables: interfaces, addresses, tun device. Returns what the engine needs of it. */
	prepare(config: Config, snapshot: Snapshot): Promise<Pick<EngineOptions, "workers" | "tun">>;
	/** After each publication: what the host has to hold back or carry for exactly these services. */
	apply(config: Config, snapshot: Snapshot): Promise<void>;
	/** This host's own service addresses. */
	own(config: Config): readonly string[];
	/** The way to each target; `changed` is called when it is another one than the last time it was asked. */
	facts(targets: readonly Target[], changed: () => void): Promise<ReadonlyMap<string, HostFacts>>;
	close(): Promise<void>;
}

export interface MemberEvent {
	event: "ready" | "reloaded" | "refused" | "warning" | "worker-ended" | "next-hop";
	[detail: string]: unknown;
}

/** Buckets looked at before the event loop has its turn again: about a millisecond of sweeping. */
const SWEEP_SLICE = 65_536;
/** A wall clock that was set, not slewed, by more than this moves every header's time: publish anew. */
const CLOCK_STEP_NS = 500_000_000n;

export class Member {
	readonly startedAt = Date.now();
	readonly engine: NativeEngine;
	readonly role: Role;
	/** Workers that have ended by themselves: why. */
	readonly ended = new Map<number, string>();
	readonly workers: EngineOptions["workers"];
	config: Config;
	snapshot: Snapshot;
	compiled: Compiled | undefined;
	epoch = 0;
	sweep: { live: number; finishedAt: number } | undefined;
	#store: StaticStore;
	#ids = newTableIds();
	#emit: (event: MemberEvent) => void;
	#timer: NodeJS.Timeout | undefined;
	#cursor = 0;
	#live = 0;
	#closing = false;
	/** Publications follow one another; two at once could finish in the wrong order. */
	#last: Promise<unknown> = Promise.resolve();

	private constructor(
		role: Role,
		config: Config,
		store: StaticStore,
		snapshot: Snapshot,
		engine: NativeEngine,
		workers: EngineOptions["workers"],
		emit: (event: MemberEvent) => void,
	) {
		this.role = role;
		this.config = config;
		this.snapshot = snapshot;
		this.engine = engine;
		this.workers = workers;
		this.#store = store;
		this.#emit = emit;
	}

	/** Resolves when packets are being taken. */
	static async start(role: Role, config: Config, emit: (event: MemberEvent) => void): Promise<Member> {
		const store = await StaticStore.open(config);
		const snapshot = await readSnapshot(store);
		let engine: NativeEngine | undefined;
		let member: Member | undefined;
		try {
			const parts = await role.prepare(config, snapshot);
			engine = new NativeEngine({
				sessions4: config.sessions.capacity,
				sessions6: config.sessions.capacityIpv6,
				transmit: config.engine.capture === "pcap" ? "pcap" : "sendmmsg",
				qdiscBypass: config.engine.qdiscBypass,
				...parts,
				onEnd: (worker, problem) => {
					member?.ended.set(worker, problem);
					emit({ event: "worker-ended", worker, problem });
				},
			});
			member = new Member(role, config, store, snapshot, engine, parts.workers, emit);
			await member.#publish();
			await role.apply(config, snapshot);
			engine.start();
			member.#tick();
			return member;
		} catch (error) {
			engine?.stop();
			await role.close();
			await store.close();
			throw error;
		}
	}

	/** Reads the configuration again. A mistake in it is thrown, and nothing has changed. */
	async reload(): Promise<{ epoch: number; changed: string[] }> {
		const next = readConfig(this.config.file);
		const before = this.config;
		await this.#store.reload(next);
		this.config = next;
		this.snapshot = await readSnapshot(this.#store);
		await this.#publish();
		await this.role.apply(this.config, this.snapshot);
		const changed = differences(before, next);
		this.#emit({ event: "reloaded", epoch: this.epoch, changed });
		return { epoch: this.epoch, changed };
	}

	async close(): Promise<void> {
		this.#closing = true;
		clearTimeout(this.#timer);
		await this.#last.catch(() => {});
		this.engine.stop();
		await this.role.close();
		await this.#store.close();
	}

	/** All targets of all redirections, each once. */
	targets(): Target[] {
		const all = this.snapshot.services.flatMap((service) =>
			[service.redirection, ...service.rules.map((rule) => rule.redirection)].flatMap((redirection) =>
				targetsOf(this.snapshot, service, redirection),
			),
		);
		return [...new Map(all.map((target) => [target.key, target])).values()];
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
			ids: this.#ids,
			previous: this.compiled,
			wallOffsetNs: wallOffset(),
		});
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
		if (slice.next === 0) this.sweep = { live: this.#live, finishedAt: Date.now() };
		this.#timer = setTimeout(() => this.#tick(), slice.next === 0 ? this.config.sessions.checkMs : 0);
	}

	#watchClock(): void {
		const drift = wallOffset() - (this.compiled?.tables.wallOffsetNs ?? 0n);
		if (drift > CLOCK_STEP_NS || drift < -CLOCK_STEP_NS)
			this.#publish().catch((error) => this.#emit({ event: "warning", problem: String(error) }));
	}
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
