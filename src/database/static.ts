// static.ts - the redirection database that stands in the configuration, and changes only when that is reloaded.
//
// Must never: take a write from anybody else.

import type { Config } from "../config/index.js";
import { ShuntError } from "../errors.js";
import { MemoryStore } from "./memory.js";
import { recordsOf } from "./records.js";
import type { Change, Entry, Json, Lease, Listing, Store, WatchOptions, WriteResult } from "./store.js";

export class StaticStore implements Store {
	readonly writable = false;
	#memory = new MemoryStore();
	#file: string;

	private constructor(file: string) {
		this.#file = file;
	}

	static async open(config: Config): Promise<StaticStore> {
		const store = new StaticStore(config.file);
		await store.reload(config);
		return store;
	}

	/**
	 * Only what differs changes, so that a watch sees a reload as the changes it makes. Nobody reads a half of it: all
	 * writes are begun in one turn of the event loop, and in memory a write is done when it has begun.
	 */
	async reload(config: Config): Promise<void> {
		this.#file = config.file;
		const wanted = recordsOf(config);
		const { entries } = await this.#memory.list("");
		const before = new Map(entries.map((entry) => [entry.key, JSON.stringify(entry.value)]));
		const writes: Promise<unknown>[] = [];
		for (const [key, value] of wanted) {
			if (before.get(key) !== JSON.stringify(value)) writes.push(this.#memory.put(key, value));
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

	watch(prefix: string, options: WatchOptions): AsyncIterable<Change> {
		return this.#memory.watch(prefix, options);
	}

	async put(_key: string, _value: Json): Promise<WriteResult> {
		throw this.#readOnly();
	}

	async delete(_key: string): Promise<WriteResult> {
		throw this.#readOnly();
	}

	async grant(_ttlMs: number): Promise<Lease> {
		throw this.#readOnly();
	}

	close(): Promise<void> {
		return this.#memory.close();
	}

	#readOnly(): ShuntError {
		return new ShuntError("SHUNT_STORE_READ_ONLY", { file: this.#file });
	}
}
