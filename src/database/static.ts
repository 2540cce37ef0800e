// static.ts - the redirection database that stands in the configuration, and changes only when that is reloaded; and that
// collects the load reports of its servers beside it (R13).
//
// Must never: accept any other write.

import { type Config, fingerprintOf } from "../config/index.js";
import { ShuntError } from "../errors.js";
import { MemoryStore } from "./memory.js";
import { LOAD, recordsOf } from "./records.js";
import type {
	Change,
	Entry,
	Json,
	Lease,
	Listing,
	PutOptions,
	Store,
	WatchOptions,
	Write,
	WriteResult,
} from "./store.js";

/** A store that holds what one configuration amounts to. */
export interface ConfigStore extends Store {
	reload(config: Config): Promise<void>;
	listShared(prefix: string): Listing;
}

export class StaticStore implements ConfigStore {
	readonly writable = false;
	#memory: MemoryStore;
	#file: string;

	private constructor(file: string, now: (() => number) | undefined) {
		this.#file = file;
		this.#memory = new MemoryStore(now);
	}

	/** `now`: the clock of leases, in milliseconds. */
	static async open(config: Config, now?: () => number): Promise<StaticStore> {
		const store = new StaticStore(config.file, now);
		await store.reload(config);
		return store;
	}

	/**
	 * Only what differs changes, so that a watch sees a reload as the changes it makes. No read sees half of it: all
	 * writes are begun in one turn of the event loop, and in memory a write is done when it has begun.
	 */
	async reload(config: Config): Promise<void> {
		this.#file = config.file;
		const wanted = recordsOf(config);
		const entries = this.#memory.listShared("").entries.filter(({ key }) => !key.startsWith(LOAD));
		const before = new Map(entries.map((entry) => [entry.key, entry.value]));
		const writes: Promise<unknown>[] = [];
		for (const [key, value] of wanted) {
			const current = before.get(key);
			if (current !== undefined && equal(current, value)) continue;
			writes.push(Object.isFrozen(value) ? this.#memory.putShared(key, value) : this.#memory.put(key, value));
		}
		for (const key of before.keys()) if (!wanted.has(key)) writes.push(this.#memory.delete(key));
		await Promise.all(writes);
	}

	get(key: string): Promise<Entry | undefined> {
		return this.#memory.get(key);
	}

	list(prefix: string): Promise<Listing> {
		return this.#memory.list(prefix);
	}

	/** As MemoryStore's. */
	listShared(prefix: string): Listing {
		return this.#memory.listShared(prefix);
	}

	watch(prefix: string, options: WatchOptions): AsyncIterable<Change> {
		return this.#memory.watch(prefix, options);
	}

	/** Load reports only. */
	async put(key: string, value: Json, options?: PutOptions): Promise<WriteResult> {
		if (!key.startsWith(LOAD)) throw this.#readOnly();
		return this.#memory.put(key, value, options);
	}

	async delete(key: string): Promise<WriteResult> {
		if (!key.startsWith(LOAD)) throw this.#readOnly();
		return this.#memory.delete(key);
	}

	async commit(writes: readonly Write[], expect?: ReadonlyMap<string, number>): Promise<WriteResult> {
		if (!writes.every(({ key }) => key.startsWith(LOAD))) throw this.#readOnly();
		return this.#memory.commit(writes, expect);
	}

	grant(ttlMs: number): Promise<Lease> {
		return this.#memory.grant(ttlMs);
	}

	close(): Promise<void> {
		return this.#memory.close();
	}

	#readOnly(): ShuntError {
		return new ShuntError("SHUNT_STORE_READ_ONLY", { file: this.#file });
	}
}

/** Services and backends. */
function equal(a: Json, b: Json): boolean {
	return a === b || fingerprintOf(a as object) === fingerprintOf(b as object);
}
