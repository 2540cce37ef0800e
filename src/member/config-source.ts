/**
 * Where a member's configuration comes from: its file alone, or its file with the shared records of a redirection database.
 *
 * Owns: that an invalid record of the database takes nothing else down, and what `status` says of the database.
 * Must never: put a configuration in force; member.ts does.
 */
import {
	assemble,
	type Config,
	databaseText,
	type FileFields,
	type InvalidRecord,
	readConfigAside,
	readFields,
	reusing,
	type SharedRecords,
} from "../config/index.js";
import { openStore, type SharedDatabase, type Store, WatchedCopy } from "../database/index.js";
import { isHostNamespace, networkNamespace } from "../host/interfaces.js";
import type { MemberEvent } from "./role.js";

/** What a member knows of its redirection database. */
export interface DatabaseState {
	/** "etcd at http://10.77.9.1:2379". */
	readonly name: string;
	/** In force here. */
	readonly version: number;
	/** Of the copy: what the database had last. */
	readonly copied: number;
	/** undefined: the database answers. */
	readonly why: string | undefined;
	/** Since when it answers, or does not; milliseconds since 1970, as the others. */
	readonly since: number;
	/** When the database last confirmed the copy. */
	readonly confirmedAt: number;
	readonly invalid: readonly InvalidRecord[];
	/** Why the copy's version is not in force. */
	readonly refused: string | undefined;
}

export interface ConfigSource {
	/** `own`: the member's own file is read again, too. Throws SHUNT_CONFIG_…; then nothing has changed. */
	read(options: { readonly own: boolean; readonly before: Config }): Promise<Config>;
	/** What was read last is in force, or is refused. */
	settled(refused?: string): void;
	/** `changed` is called when the database has another version. */
	follow(changed: () => void): void;
	/** undefined: there is none but the file. */
	readonly database: DatabaseState | undefined;
	readonly store: Store | undefined;
	close(): Promise<void>;
}

export interface OpenedSource {
	readonly source: ConfigSource;
	readonly config: Config;
}

type Emit = (event: MemberEvent) => void;

/** `daemon` names the file of the copy. */
export async function openSource(file: string, daemon: string, emit: Emit): Promise<OpenedSource> {
	const config = await readConfigAside(file);
	if (config.database.kind === "static") return { source: new FileSource(), config };
	return openShared(readFields(file), file, daemon, emit);
}

/** The same for local fields of a file, or of none. */
export async function openShared(
	local: FileFields,
	file: string | undefined,
	daemon: string,
	emit: Emit,
): Promise<OpenedSource> {
	const store = await openStore(local.database as SharedDatabase);
	try {
		const source = await SharedSource.open(local, file, store, daemon, emit);
		return { source, config: source.first };
	} catch (error) {
		await store.close();
		throw error;
	}
}

class FileSource implements ConfigSource {
	readonly database = undefined;
	readonly store = undefined;

	read({ before }: { readonly before: Config }): Promise<Config> {
		return readConfigAside(before.file, { before });
	}

	settled(): void {}

	follow(): void {}

	async close(): Promise<void> {}
}

class SharedSource implements ConfigSource {
	readonly store: Store;
	readonly first: Config;
	readonly #copy: WatchedCopy;
	readonly #name: string;
	/** undefined: the local fields stand in none. */
	readonly #file: string | undefined;
	readonly #emit: Emit;
	/** Set by follow(). */
	changed = () => {};
	/** In force. */
	#local: FileFields;
	#records: SharedRecords = new Map();
	#version: number;
	/** As last read. */
	#read: { readonly local: FileFields; readonly records: SharedRecords; readonly version: number } | undefined;
	#invalid: readonly InvalidRecord[] = [];
	#refused: string | undefined;

	static async open(
		local: FileFields,
		file: string | undefined,
		store: Store,
		daemon: string,
		emit: Emit,
	): Promise<SharedSource> {
		let source: SharedSource | undefined;
		const name = databaseText(local.database);
		const copy = await WatchedCopy.open(store, {
			file: copyFile(daemon),
			database: name,
			changed: () => source?.changed(),
			connection: (why) => source?.report(why),
			warn: (problem) => emit({ event: "warning", problem }),
		});
		source = new SharedSource(local, file, store, copy, name, emit);
		if (copy.why !== undefined) source.report(copy.why);
		return source;
	}

	private constructor(
		local: FileFields,
		file: string | undefined,
		store: Store,
		copy: WatchedCopy,
		name: string,
		emit: Emit,
	) {
		this.#file = file;
		this.store = store;
		this.#copy = copy;
		this.#name = name;
		this.#emit = emit;
		this.#local = local;
		this.#version = copy.shared.version.version;
		this.first = this.#assembled(local);
		this.settled();
	}

	async read({ own, before }: { readonly own: boolean; readonly before: Config }): Promise<Config> {
		const local = own && this.#file !== undefined ? this.#ownFile(this.#file) : this.#local;
		return reusing(this.#assembled(local), before);
	}

	settled(refused?: string): void {
		this.#refused = refused;
		if (refused !== undefined || this.#read === undefined) return;
		this.#local = this.#read.local;
		this.#records = this.#read.records;
		this.#version = this.#read.version;
	}

	follow(changed: () => void): void {
		this.changed = changed;
		this.#copy.follow();
	}

	get database(): DatabaseState {
		return {
			name: this.#name,
			version: this.#version,
			copied: this.#copy.shared.version.version,
			why: this.#copy.why,
			since: this.#copy.since,
			confirmedAt: this.#copy.confirmedAt,
			invalid: this.#invalid,
			refused: this.#refused,
		};
	}

	async close(): Promise<void> {
		await this.#copy.close();
		await this.store.close();
	}

	/** A file that names another database needs another daemon. */
	#ownFile(file: string): FileFields {
		const { database } = this.#local;
		const next = readFields(file);
		if (JSON.stringify(next.database) !== JSON.stringify(database))
			this.#emit({ event: "warning", problem: `${file}: a change of database takes effect at the next start` });
		return { ...next, database };
	}

	#assembled(local: FileFields): Config {
		const { records: found, version } = this.#copy.shared;
		const { config, records, invalid } = assemble(local, found, this.#records);
		this.#read = { local, records, version: version.version };
		const known = new Set(this.#invalid.map(({ key, problem }) => `${key} ${problem}`));
		for (const { key, problem, before } of invalid) {
			const fate = before ? "its last valid value stays in force" : "it is left out";
			const text = `the record ${key} of the redirection database is invalid: ${problem}; ${fate}`;
			if (!known.has(`${key} ${problem}`)) this.#emit({ event: "warning", problem: text });
		}
		this.#invalid = invalid;
		return config;
	}

	/** The database answers again, or no longer. */
	report(why: string | undefined): void {
		const version = this.#copy.shared.version.version;
		const ageMs = Math.max(0, Date.now() - this.#copy.confirmedAt);
		this.#emit({
			event: "database",
			database: this.#name,
			connected: why === undefined,
			version,
			ageMs,
			problem: why ?? "",
		});
	}
}

/** Beside the operator's overrides, by the same rule. */
function copyFile(daemon: string): string {
	if (isHostNamespace()) return `/var/lib/shunt/${daemon}.copy`;
	return `/run/shunt/${daemon}.${networkNamespace()}.copy`;
}
