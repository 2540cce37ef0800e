/**
 * A member: one server of the cluster, whatever its role, from the configuration to a running engine and back.
 *
 *   source     file and redirection database → config
 *   publisher  config → store → compile → publish
 *   sweeper    session table → sweep → counts → role
 *   role       what a gateway or a backend does besides, each in loops of its own
 *
 * Owns: the order of start and end, and the choice of the engine by trying.
 * Must never: touch a packet, or leave the host half set up: what was begun is undone when a later step fails.
 */
import { type Config, identityOf, problemText, type Service } from "../config/index.js";
import {
	type Compiled,
	type ConfigStore,
	readSnapshot,
	type Snapshot,
	StaticStore,
	type TableIds,
	type Target,
} from "../database/index.js";
import { type EngineOptions, NativeEngine, pinnedMode, requireKernel } from "../engine/index.js";
import { messageOf } from "../errors.js";
import { networkNamespace } from "../host/interfaces.js";
import type { EngineMode } from "../host/offloads.js";
import { pinFolder, pinsStay, unpin, unpinOtherInterfaces } from "../host/pins.js";
import type { ReportedOverride } from "../load/index.js";
import { changedParts } from "./config-changes.js";
import type { ConfigSource, DatabaseState } from "./config-source.js";
import { checkQueues, engineReason, enginesToTry, type Refusal, refusalReason } from "./engines.js";
import { OverrideFile } from "./override-file.js";
import { MemberOverrides, type OverrideChange } from "./overrides.js";
import { type PersistedState, PersistedStateFile } from "./persisted-state.js";
import { Publisher } from "./publisher.js";
import { Readiness } from "./readiness.js";
import { Registration } from "./registration.js";
import type { MemberEvent, MemberView, Role } from "./role.js";
import { SessionSweeper } from "./session-sweeper.js";
import { VERSION } from "./version.js";

type Emit = (event: MemberEvent) => void;

/** What a reload has changed, by name, and the epoch of the tables that follow. */
interface Reloaded {
	readonly epoch: number;
	readonly changed: string[];
}

/** One attempt to start. */
interface Attempt {
	readonly role: Role;
	/** As the file has it, and in force: with the overrides. */
	readonly fileConfig: Config;
	readonly config: Config;
	readonly overrides: MemberOverrides;
	readonly snapshot: Snapshot;
	readonly source: ConfigSource;
	readonly store: ConfigStore;
	readonly emit: Emit;
	readonly interfaces: readonly string[];
	readonly mode: EngineMode;
	readonly modeReason: string;
	readonly stateFile: PersistedStateFile;
	/** Of an earlier daemon. */
	readonly persisted: PersistedState | undefined;
	/** undefined: there is no BPF file system to pin in. */
	readonly pins: string | undefined;
}

export class Member implements MemberView {
	readonly startedAt = Date.now();
	readonly role: Role;
	readonly store: ConfigStore;
	readonly engine: NativeEngine;
	readonly interfaces: readonly string[];
	readonly mode: EngineMode;
	readonly outlivesDaemon: boolean;
	/** Why this engine, for an operator. */
	readonly modeReason: string;
	/** By worker of a user-space engine: why it ended by itself. */
	readonly workerErrors: ReadonlyMap<number, string>;
	/** From when on routing may lead packets here. */
	readonly readiness: Readiness;
	/** Resolves once, to what was waited for in vain. */
	readonly ready: Promise<readonly string[]>;
	/** Run-time changes of states and weights. */
	readonly overrides: MemberOverrides;
	#fileConfig: Config;
	/** Changes of the configuration follow one another. */
	#changes: Promise<unknown> = Promise.resolve();
	readonly #publisher: Publisher;
	readonly #sweeper: SessionSweeper;
	readonly #stateFile: PersistedStateFile;
	readonly #source: ConfigSource;
	readonly #emit: Emit;
	#registration: Registration | undefined;

	private constructor(attempt: Attempt, engine: NativeEngine, workerErrors: ReadonlyMap<number, string>) {
		const { role, config, snapshot, store, mode, stateFile, emit } = attempt;
		const warn = (problem: string) => emit({ event: "warning", problem });
		this.role = role;
		this.overrides = attempt.overrides;
		this.#fileConfig = attempt.fileConfig;
		this.store = store;
		this.engine = engine;
		this.interfaces = attempt.interfaces;
		this.mode = mode;
		this.outlivesDaemon = mode !== "user" && attempt.pins !== undefined && pinsStay(attempt.pins);
		this.modeReason = attempt.modeReason;
		this.workerErrors = workerErrors;
		this.#stateFile = stateFile;
		this.#source = attempt.source;
		this.#emit = emit;
		const publisher = new Publisher({
			config,
			snapshot,
			store,
			role,
			interfaces: attempt.interfaces,
			engine,
			stateFile: mode === "user" ? undefined : stateFile,
			adopted: engine.kernel()?.adopted ? attempt.persisted : undefined,
			warn,
		});
		this.#publisher = publisher;
		let becomesReady: (unknown: readonly string[]) => void = () => {};
		this.ready = new Promise((resolve) => {
			becomesReady = resolve;
		});
		this.readiness = new Readiness({
			pending: () => role.pending(),
			published: () => publisher.settled(),
			ready: becomesReady,
		});
		this.#sweeper = new SessionSweeper(engine, {
			intervalMs: () => publisher.config.sessions.checkMs,
			passBegins: () => publisher.checkClock(),
			passEnds: () => void role.swept().catch((error) => warn(String(error))),
		});
	}

	/** Resolves when the first engine that works here takes packets. `makeRole` is called for each attempt: a closed role
	 * is spent. Rejects with the last attempt's error, and the host is as it was. */
	static async start(makeRole: () => Role, source: ConfigSource, fileConfig: Config, emit: Emit): Promise<Member> {
		let role = makeRole();
		let started: Member | undefined;
		const overrides = new MemberOverrides({
			backend: role.kind === "backend" ? role.name : undefined,
			file: new OverrideFile(role.name),
			warn: (problem) => emit({ event: "warning", problem }),
			changed: () => started?.applyOverrides().catch((error) => emit({ event: "warning", problem: String(error) })),
		});
		const config = overrides.apply(fileConfig);
		const store = await StaticStore.open(config);
		const refusals: Refusal[] = [];
		try {
			const snapshot = await readSnapshot(store);
			const namespace = networkNamespace();
			for (; ; role = makeRole()) {
				await role.checkHost(config);
				const interfaces = await role.interfaces();
				const stateFile = new PersistedStateFile(role.name, namespace);
				const pins = await pinFolder(role.name, namespace);
				const modes = enginesToTry(config, pins, interfaces);
				const mode = modes[refusals.length] as EngineMode;
				const modeReason = engineReason(config, mode, refusals);
				const persisted = stateFile.read();
				const known = { role, source, fileConfig, config, overrides, snapshot, store, emit, interfaces, stateFile };
				try {
					started = await Member.#start({ ...known, persisted, pins, mode, modeReason });
					return started;
				} catch (error) {
					const serves = pins !== undefined && interfaces.some((name) => pinnedMode(pins, name) !== undefined);
					await (serves ? role.abandon() : role.close());
					if (refusals.length === modes.length - 1) throw error;
					refusals.push({ mode, why: refusalReason(error) });
				}
			}
		} catch (error) {
			overrides.close();
			await store.close();
			throw error;
		}
	}

	static async #start(attempt: Attempt): Promise<Member> {
		const { role, config, snapshot, interfaces, mode, pins, stateFile, emit } = attempt;
		const workerErrors = new Map<number, string>();
		if (mode !== "user") requireKernel("xdp");
		// An earlier daemon's program has its queues already.
		const unattached = interfaces.filter((name) => pins === undefined || pinnedMode(pins, name) === undefined);
		const shared = mode === "native" ? unattached.flatMap((name) => checkQueues(name) ?? []) : [];
		const roleOptions = await role.prepare(config, mode);
		const engine = new NativeEngine(
			engineOptions(attempt, roleOptions, (worker, problem) => {
				workerErrors.set(worker, problem);
				emit({ event: "worker-ended", worker, problem });
			}),
		);
		let member: Member | undefined;
		try {
			member = new Member(attempt, engine, workerErrors);
			await role.attach(member);
			await member.publish();
			await role.apply(config, snapshot);
			engine.start();
			// Not before: until here, the engine of an earlier daemon has served packets.
			if (mode === "user") {
				if (pins !== undefined) unpin(pins);
				stateFile.remove();
			} else if (pins !== undefined) unpinOtherInterfaces(pins, interfaces);
			role.start();
			const ends = mode !== "user" && !member.outlivesDaemon ? [ENDS_WITH_DAEMON] : [];
			for (const problem of [...config.warnings.map(problemText), ...ends, ...shared, ...missingFeatures(engine)])
				emit({ event: "warning", problem });
			member.#sweeper.start();
			member.readiness.start();
			member.#followDatabase();
			return member;
		} catch (error) {
			if (member !== undefined) await member.#halt();
			engine.stop();
			if (mode !== "user") stateFile.remove(); // the sessions are gone with the engine
			throw error;
		}
	}

	/** In force: the file's with the overrides. */
	get config(): Config {
		return this.#publisher.config;
	}

	/** As last read from the file, or the database. */
	get fileConfig(): Config {
		return this.#fileConfig;
	}

	/** undefined: there is none but the file. */
	get database(): DatabaseState | undefined {
		return this.#source.database;
	}

	get snapshot(): Snapshot {
		return this.#publisher.snapshot;
	}

	get compiled(): Compiled | undefined {
		return this.#publisher.compiled;
	}

	/** Of the published tables. */
	get epoch(): number {
		return this.#publisher.epoch;
	}

	/** Service and target ids by key. */
	get ids(): TableIds {
		return this.#publisher.ids;
	}

	/** The last complete pass over the session table; undefined: none yet. */
	get sweep(): SessionSweeper["last"] {
		return this.#sweeper.last;
	}

	targets(): readonly Target[] {
		return this.#publisher.targets();
	}

	sessionsOf(protocol: Service["protocol"]): number {
		return this.#sweeper.sessionsOf(protocol, this.snapshot, this.ids);
	}

	publish(): Promise<void> {
		return this.#publisher.publish();
	}

	/** Reads the configuration again; overrides stay. Throws SHUNT_CONFIG_… for a mistake in it, or what checkHost throws;
	 * then nothing has changed. */
	reload(): Promise<Reloaded> {
		return this.#change(async () => {
			try {
				return await this.#reloadNow({ own: true });
			} catch (error) {
				// What is in force is still that of before.
				this.#source.settled(this.database === undefined ? undefined : messageOf(error));
				throw error;
			}
		});
	}

	/** The database has another version: the same, without this host's own file. */
	#followDatabase(): void {
		const { store } = this.#source;
		if (store === undefined) return;
		this.#source.follow(() => {
			void this.#change(async () => {
				try {
					await this.#reloadNow({ own: false });
				} catch (error) {
					this.#source.settled(messageOf(error));
					this.#emit({ event: "refused", problem: messageOf(error) });
				}
				this.#registration?.tell();
			});
		});
		this.#registration = new Registration(store, this.role.name, () => {
			const load = this.role.load();
			const { version = 0, refused } = this.database ?? {};
			const view = this.role.backends;
			const isUnhealthy = ({ name }: { name: string }) => view?.health(name).health === "unhealthy";
			return {
				role: this.role.kind,
				shunt: VERSION,
				version,
				refused: refused ?? null,
				digest: identityOf(this.#fileConfig).config,
				epoch: this.epoch,
				ready: this.readiness.since !== undefined,
				load: load?.total ?? null,
				sessions: load === undefined ? null : { udp: load.udpSessions, tcp: load.tcpSessions },
				unhealthy: this.config.backends.filter(isUnhealthy).map(({ name }) => name),
			};
		});
	}

	async #reloadNow({ own }: { readonly own: boolean }): Promise<Reloaded> {
		const before = this.#fileConfig;
		const after = await this.#source.read({ own, before });
		await this.role.checkHost(after);
		this.#fileConfig = after; // the role reads it while it is configured
		try {
			await this.#publisher.reload(this.overrides.apply(after));
		} catch (error) {
			this.#fileConfig = before;
			this.role.configure(this.config);
			throw error;
		}
		this.#source.settled();
		this.overrides.prune(after);
		for (const warning of after.warnings) this.#emit({ event: "warning", problem: problemText(warning) });
		const result = { epoch: this.epoch, changed: changedParts(before, after) };
		this.#emit({ event: "reloaded", ...result });
		return result;
	}

	/** Keeps an override, and puts it in force. */
	async override(change: OverrideChange): Promise<void> {
		this.overrides.set(change);
		await this.applyOverrides();
	}

	/** Has the tables follow the overrides. */
	async applyOverrides(): Promise<void> {
		await this.#change(() => this.#publisher.reload(this.overrides.apply(this.#fileConfig), { overridden: true }));
	}

	ownOverride(): ReportedOverride | undefined {
		return this.overrides.ownReport();
	}

	followOverride(backend: string, reported: ReportedOverride | undefined): void {
		this.overrides.report(backend, reported);
	}

	#change<T>(make: () => Promise<T>): Promise<T> {
		const next = this.#changes.catch(() => {}).then(make);
		this.#changes = next;
		return next;
	}

	/** Ends the engine and undoes every change to the host. */
	async close(): Promise<void> {
		await this.#registration?.close({ leave: true });
		await this.role.leave();
		await this.#halt();
		this.engine.stop();
		this.#stateFile.remove();
		await this.role.close();
		await this.store.close();
	}

	/** Ends, and the kernel's engine goes on until the next daemon takes over. One that cannot is closed: in user space, or
	 * pinned where the pins end with this process. */
	async detach(): Promise<void> {
		if (!this.outlivesDaemon) return this.close();
		await this.#registration?.close({ leave: false });
		await this.#halt();
		await this.role.detach();
		await this.store.close();
	}

	async #halt(): Promise<void> {
		this.overrides.close();
		this.readiness.stop();
		this.#sweeper.stop();
		await this.#publisher.stop();
	}
}

function engineOptions(
	{ role, config, interfaces, mode, persisted, pins }: Attempt,
	roleOptions: Pick<EngineOptions, "workers" | "tun">,
	onEnd: (worker: number, problem: string) => void,
): ConstructorParameters<typeof NativeEngine>[0] {
	const capacity = { sessions4: config.sessions.capacity, sessions6: config.sessions.capacityIpv6 };
	if (mode === "user") {
		const { qdiscBypass } = config.engine;
		return { ...capacity, transmit: "sendmmsg", qdiscBypass, ...roleOptions, onEnd };
	}
	return {
		kernel: {
			...capacity,
			interfaces,
			mode,
			sent: role.observesEgress,
			fresh: persisted === undefined,
			...(pins === undefined ? {} : { pins }),
		},
	};
}

const ENDS_WITH_DAEMON =
	"the kernel engine ends with this daemon: its BPF file system is mounted in the daemon's own mount namespace alone; " +
	"before the start, run mount -t bpf bpf /run/shunt/bpf on the host (nsenter -t 1 -m)";

/** What a kernel engine works without. */
function missingFeatures(engine: NativeEngine): string[] {
	const { unsent, unwatched } = engine.kernel() ?? {};
	return [
		...(unsent ? [`egress session refresh is disabled: ${unsent}`] : []),
		...(unwatched ? [`redirected frames that a driver rejects are not counted: ${unwatched}`] : []),
	];
}
