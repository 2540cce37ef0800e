/**
 * A member's own copy of the shared configuration, which follows the database: listed, then watched; where the watch breaks
 * or is compacted, listed again.
 *
 * A database that does not answer changes nothing: the copy stays in force, and a copy in a file serves a member that starts
 * meanwhile. That a watch is silent proves nothing, so the version is also asked for, every two seconds.
 *
 * Owns: the connection's state, and the file.
 * Must never: hand out half a change, or an empty configuration where there was one.
 */
import { readFileSync, statSync, utimesSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import writeFileAtomic from "write-file-atomic";
import { z } from "zod";
import { ShuntError } from "../errors.js";
import type { Entry, Store } from "./store.js";
import { CONFIG, readShared, type Shared, sharedOf, VERSION_KEY, versionOf } from "./versions.js";

export interface WatchedCopyOptions {
	/** Where the copy is kept for the next start. */
	readonly file: string;
	/** The database's name, for messages. */
	readonly database: string;
	/** Another version is complete. */
	readonly changed: () => unknown;
	/** The database answers again, or no longer: why. */
	readonly connection: (why: string | undefined) => unknown;
	readonly warn: (problem: string) => void;
	readonly checkMs?: number | undefined;
}

const CHECK_MS = 2000;
const RETRY_MS = 250;
const LONGEST_RETRY_MS = 2000;
/** For a change that is under way at the start. */
const APPLYING_MS = 5000;
const TOUCH_MS = 10_000;

/** Changes with the file's format. */
const FORMAT = 1;
const fileSchema = z.object({
	format: z.literal(FORMAT),
	version: z.unknown(),
	records: z.array(z.tuple([z.string(), z.unknown()])),
});

export class WatchedCopy {
	readonly #store: Store;
	readonly #options: WatchedCopyOptions;
	#shared: Shared;
	/** When the database last confirmed the copy; milliseconds since 1970. */
	#confirmedAt: number;
	/** undefined: the database answers. */
	#why: string | undefined;
	#sinceMs = Date.now();
	#closed = new AbortController();
	/** Of the watch that runs. */
	#watch = new AbortController();
	/** Revision of config/version that the watch or the list has shown. */
	#seen = 0;
	#behind = 0;
	#touchedAt = 0;
	#following: Promise<unknown> = Promise.resolve();

	private constructor(store: Store, options: WatchedCopyOptions, shared: Shared, confirmedAt: number, why?: string) {
		this.#store = store;
		this.#options = options;
		this.#shared = shared;
		this.#confirmedAt = confirmedAt;
		this.#why = why;
	}

	/** Throws SHUNT_DATABASE_EMPTY, and what the store throws where there is no copy in the file either. */
	static async open(store: Store, options: WatchedCopyOptions): Promise<WatchedCopy> {
		const kept = readFile(options.file);
		try {
			const shared = await complete(store);
			if (shared.version.version === 0) throw new ShuntError("SHUNT_DATABASE_EMPTY", { database: options.database });
			// A change that does not end: the copy is whole.
			if (shared.version.applying && kept?.shared.version.version === shared.version.version)
				return new WatchedCopy(store, options, kept.shared, Date.now());
			const copy = new WatchedCopy(store, options, shared, Date.now());
			await copy.#keep();
			return copy;
		} catch (error) {
			const empty = error instanceof ShuntError && error.code === "SHUNT_DATABASE_EMPTY";
			if (kept === undefined || empty) throw error;
			return new WatchedCopy(store, options, kept.shared, kept.at, (error as Error).message);
		}
	}

	/** From now on changes are reported. */
	follow(): void {
		const check = setInterval(() => void this.#check(), this.#options.checkMs ?? CHECK_MS);
		check.unref();
		this.#closed.signal.addEventListener("abort", () => clearInterval(check));
		this.#following = this.#follow();
	}

	get shared(): Shared {
		return this.#shared;
	}

	/** undefined: the database answers. */
	get why(): string | undefined {
		return this.#why;
	}

	/** Since when it answers, or does not; milliseconds since 1970. */
	get since(): number {
		return this.#sinceMs;
	}

	get confirmedAt(): number {
		return this.#confirmedAt;
	}

	async close(): Promise<void> {
		this.#closed.abort();
		this.#watch.abort();
		await this.#following;
	}

	async #follow(): Promise<void> {
		let retryMs = RETRY_MS;
		while (!this.#closed.signal.aborted) {
			this.#watch = new AbortController();
			try {
				const { entries: listed, revision } = await this.#store.list(CONFIG);
				const entries = new Map(listed.map((entry) => [entry.key, entry]));
				await this.#take(entries, revision);
				this.#reached();
				retryMs = RETRY_MS;
				const watch = this.#store.watch(CONFIG, { from: revision + 1, signal: this.#watch.signal });
				for await (const { key, value, revision: at } of watch) {
					if (value === undefined) entries.delete(key);
					else entries.set(key, { key, value, revision: at });
					// The last of a commit.
					if (key === VERSION_KEY) await this.#take(entries, at);
				}
				continue;
			} catch (error) {
				if (this.#closed.signal.aborted) return;
				if (error instanceof ShuntError && error.code === "SHUNT_STORE_COMPACTED") continue;
				this.#lost((error as Error).message);
			}
			await delay(retryMs, undefined, { signal: this.#closed.signal }).catch(() => {});
			retryMs = Math.min(LONGEST_RETRY_MS, 2 * retryMs);
		}
	}

	async #take(entries: ReadonlyMap<string, Entry>, revision: number): Promise<void> {
		const shared = sharedOf([...entries.values()], revision);
		this.#seen = shared.versionRevision;
		const { version, applying, id } = shared.version;
		const { version: current } = this.#shared;
		if (applying) return;
		if (version === 0) {
			this.#options.warn(
				`the redirection database (${this.#options.database}) has become empty; version ${current.version} stays in force`,
			);
			return;
		}
		if (version === current.version && id === current.id) return;
		this.#shared = shared;
		await this.#keep();
		this.#options.changed();
	}

	/** Whether the database answers, and the watch sees what it answers. */
	async #check(): Promise<void> {
		try {
			const entry = await this.#store.get(VERSION_KEY);
			const revision = entry?.revision ?? 0;
			this.#behind = revision > this.#seen ? this.#behind + 1 : 0;
			if (this.#behind >= 2) this.#watch.abort();
			if (this.#why === undefined) this.#confirm();
		} catch (error) {
			if (this.#closed.signal.aborted) return;
			this.#lost((error as Error).message);
			this.#watch.abort();
		}
	}

	#reached(): void {
		this.#confirm();
		if (this.#why === undefined) return;
		this.#why = undefined;
		this.#sinceMs = Date.now();
		this.#options.connection(undefined);
	}

	#lost(why: string): void {
		const before = this.#why;
		this.#why = why;
		if (before !== undefined) return;
		this.#sinceMs = Date.now();
		this.#options.connection(why);
	}

	/** The file's time says when the copy was last known to be the database's. */
	#confirm(): void {
		this.#confirmedAt = Date.now();
		if (this.#confirmedAt - this.#touchedAt < TOUCH_MS) return;
		this.#touchedAt = this.#confirmedAt;
		try {
			utimesSync(this.#options.file, new Date(), new Date());
		} catch {}
	}

	async #keep(): Promise<void> {
		const { file, warn } = this.#options;
		const { version, records } = this.#shared;
		try {
			await mkdir(dirname(file), { recursive: true });
			const text = `${JSON.stringify({ format: FORMAT, version, records: [...records] })}\n`;
			await writeFileAtomic(file, text, { mode: 0o600 });
		} catch (error) {
			warn(`the copy of the redirection database cannot be kept in ${file}: ${(error as Error).message}`);
		}
	}
}

/** Of a change that is under way, the end is waited for. */
async function complete(store: Store): Promise<Shared> {
	for (const end = performance.now() + APPLYING_MS; ; await delay(100)) {
		const shared = await readShared(store);
		if (!shared.version.applying || performance.now() > end) return shared;
	}
}

/** undefined: there is no copy, or none that can be read. */
function readFile(file: string): { readonly shared: Shared; readonly at: number } | undefined {
	try {
		const { version, records } = fileSchema.parse(JSON.parse(readFileSync(file, "utf8")));
		const known = versionOf(version);
		if (known.version === 0) return undefined;
		const shared = { version: known, versionRevision: 0, revision: 0, records: new Map(records) };
		return { shared, at: Math.round(statSync(file).mtimeMs) };
	} catch {
		return undefined;
	}
}
