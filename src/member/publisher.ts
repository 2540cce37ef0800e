/**
 * The publisher: config → store → compile → publish. At the start, at a reload, when the host's facts change, and
 * whenever a role asks for it.
 *
 * Owns: the configuration in force, its snapshot, ids, the epoch, the tables last published, and that publications
 * follow one another: two at once could end in the wrong order.
 * Must never: publish tables whose ids are not persisted, where the engine's sessions outlive this process.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Config, redirectionsOf } from "../config/index.js";
import {
	type Compiled,
	type ConfigStore,
	compileSteps,
	firstServices,
	type LeftTargets,
	leftTargets,
	newTableIds,
	readSnapshot,
	type Snapshot,
	shapesOf,
	type TableIds,
	type Target,
	type TargetEpochs,
	targetsOf,
	withSharedTargets,
} from "../database/index.js";
import { type NativeEngine, packTables } from "../engine/index.js";
import { imposedStates } from "../health/index.js";
import { Stations } from "../host/stations.js";
import type { PersistedState, PersistedStateFile } from "./persisted-state.js";
import type { Role } from "./role.js";

/** Headers carry wall clock time: a wall clock that is set (not slewed) by more than this is published anew. */
const CLOCK_STEP_NS = 500_000_000n;

export interface PublisherOptions {
	readonly config: Config;
	readonly snapshot: Snapshot;
	readonly store: ConfigStore;
	readonly role: Role;
	/** Whose packets the engine takes. */
	readonly interfaces: readonly string[];
	readonly engine: NativeEngine;
	/** Where ids and epochs are persisted; undefined: the engine's sessions end with this process. */
	readonly stateFile: PersistedStateFile | undefined;
	/** Of an earlier daemon whose sessions the engine has adopted. */
	readonly adopted: PersistedState | undefined;
	readonly warn: (problem: string) => void;
}

export class Publisher {
	config: Config;
	snapshot: Snapshot;
	/** undefined: before the first publication. */
	compiled: Compiled | undefined;
	/** Of the published tables. */
	epoch: number;
	readonly ids: TableIds;
	/** Of an earlier daemon; used by the first compilation. */
	readonly #adoptedEpochs: TargetEpochs | undefined;
	readonly #options: PublisherOptions;
	readonly #stations: Stations;
	#targets: { readonly of: Snapshot; readonly list: readonly Target[] } | undefined;
	/** What the published tables were compiled from, and to. */
	#inForce: { readonly snapshot: Snapshot; readonly compiled: Compiled } | undefined;
	#last: Promise<unknown> = Promise.resolve();
	#stopped = false;
	/** Why the state file does not have the last epoch; it is reported when it begins. */
	#unwritten: string | undefined;

	constructor(options: PublisherOptions) {
		this.#options = options;
		this.#stations = new Stations(options.interfaces);
		this.config = options.config;
		this.ids = options.adopted?.ids ?? newTableIds();
		this.snapshot = withSharedTargets(options.snapshot, this.ids);
		this.epoch = options.adopted?.epoch ?? 0;
		this.#adoptedEpochs = options.adopted?.epochs;
	}

	/** Resolves when tables of the current configuration are in force, or at once when stopped. Rejects if they cannot be
	 * compiled or published; the previous ones then stay. */
	publish(): Promise<void> {
		if (this.#stopped) return Promise.resolve();
		const next = this.#last.catch(() => {}).then(() => this.#publishNow());
		this.#last = next;
		return next;
	}

	/** The same where no caller waits for it: a failure is a warning. */
	publishInBackground(): void {
		this.publish().catch((error) => this.#options.warn(String(error)));
	}

	/** Puts another configuration in force. Rejects as publish() does, and the previous one stays. `overridden`: it differs
	 * from the one before in states and weights alone, which change nothing on the host. */
	async reload(config: Config, { overridden = false } = {}): Promise<void> {
		const before = this.config;
		await this.#configure(config);
		try {
			await this.publish();
		} catch (error) {
			await this.#configure(before);
			throw error;
		}
		if (!overridden) await this.#options.role.apply(this.config, this.snapshot);
	}

	async #configure(config: Config): Promise<void> {
		const { store, role } = this.#options;
		await store.reload(config);
		const snapshot = await readSnapshot(store, this.snapshot);
		await inSlices(shapesOf(snapshot.services));
		this.config = config;
		this.snapshot = withSharedTargets(snapshot, this.ids);
		role.configure(config);
	}

	/** Publishes anew if the wall clock has been set since the last publication. */
	checkClock(): void {
		const drift = wallOffsetNs() - (this.compiled?.tables.wallOffsetNs ?? 0n);
		if (drift > CLOCK_STEP_NS || drift < -CLOCK_STEP_NS) this.publishInBackground();
	}

	/** All targets of all redirections, each once. */
	targets(): readonly Target[] {
		if (this.#targets?.of !== this.snapshot) this.#targets = { of: this.snapshot, list: allTargets(this.snapshot) };
		return this.#targets.list;
	}

	/** Resolves when the publications that were asked for so far are over, also those of this turn of the event loop. */
	async settled(): Promise<void> {
		await nextTurn();
		await nextTurn();
		await this.#last.catch(() => {});
	}

	/** Resolves when no publication is under way. */
	async stop(): Promise<void> {
		this.#stopped = true;
		this.#stations.close();
		await this.#last.catch(() => {});
	}

	async #publishNow(): Promise<void> {
		const { role, engine, stateFile, warn } = this.#options;
		const { config, snapshot } = this;
		const facts = await role.hostFacts(this.targets(), () => this.publishInBackground());
		const { health, ...inputs } = role.tableInputs(config);
		const steps = compileSteps({
			...inputs,
			epoch: this.epoch + 1,
			cluster: config.cluster,
			snapshot,
			facts,
			stations: this.#stations.read(this.config.engine.stations, () => this.publishInBackground()),
			ids: this.ids,
			previous:
				this.compiled ?? (this.#adoptedEpochs && { epochs: this.#adoptedEpochs, sets: new Map(), conditions: "" }),
			wallOffsetNs: wallOffsetNs(),
			health: imposedStates(health),
		});
		const compiled = await inSlices(steps);
		const unwritten = await stateFile?.write({ epoch: compiled.tables.epoch, ids: this.ids, epochs: compiled.epochs });
		if (unwritten !== undefined && this.#unwritten === undefined) warn(unwritten);
		this.#unwritten = unwritten;
		const packed = await inSlices(packTables(compiled.tables));
		for (const problem of await engine.publishPacked(compiled.tables, packed)) warn(problem);
		const previous = this.compiled;
		const before = this.#inForce;
		this.compiled = compiled;
		this.epoch = compiled.tables.epoch;
		this.#inForce = { snapshot, compiled };
		role.published(compiled, previous);
		if (before === undefined) return;
		for (const left of leftTargets(before, this.#inForce, this.ids)) await removeSessions(engine, left);
	}
}

/** In slices of a millisecond: a session table may have millions. */
async function removeSessions(engine: NativeEngine, { service, targets }: LeftTargets): Promise<void> {
	let from = 0;
	do {
		from = engine.removeSessions({ service, targets, from }).next;
		await nextTurn();
	} while (from !== 0);
}

/** The event loop has its turn after each slice: timers of leases and probes, and requests of the API, do not wait for a
 * large configuration. */
const SLICE_MS = 10;

/** Runs steps to their end. */
export async function inSlices<T>(steps: Generator<void, T>): Promise<T> {
	for (let begun = performance.now(); ; ) {
		const step = steps.next();
		if (step.done) return step.value;
		if (performance.now() - begun < SLICE_MS) continue;
		await nextTurn();
		begun = performance.now();
	}
}

function allTargets(snapshot: Snapshot): Target[] {
	const all = new Map<string, Target>();
	for (const service of firstServices(snapshot))
		for (const redirection of redirectionsOf(service))
			for (const target of targetsOf(snapshot, service, redirection)) all.set(target.key, target);
	return [...all.values()];
}

/** What to add to the monotonic clock for nanoseconds since 1970. */
function wallOffsetNs(): bigint {
	return BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
}
