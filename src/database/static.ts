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

	/** Only what differs changes, so that a watch sees a reload as the changes it makes. */
	async reload(config: Config): Promise<void> {
		this.#file = config.file;
		const wanted = recordsOf(config);
		for (const { key } of (await this.#memory.list("")).entries) if (!wanted.has(key)) await this.#memory.delete(key);
		for (const [key, value] of wanted) {
			const current = await this.#memory.get(key);
			if (current === undefined || JSON.stringify(current.value) !== JSON.stringify(value)) {
				await this.#memory.put(key, value);
			}
		}
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
