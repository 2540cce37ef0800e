// memory.ts - the whole contract of a store, in memory.
//
// Owns: revisions, entries, leases. Must never: read a clock of its own; `now` is given, and the owner of
// the store calls expire() (a daemon does so once per tick).

import { ShuntError } from "../errors.js";
import { HISTORY, History } from "./history.js";
import type {
	Change,
	DeleteOptions,
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

interface Held extends Entry {
	readonly lease: string | undefined;
}

interface Grant {
	readonly keys: Set<string>;
	readonly ttlMs: number;
	endsMs: number;
}

export class MemoryStore implements Store {
	readonly writable = true;
	#entries = new Map<string, Held>();
	#leases = new Map<string, Grant>();
	#history: History;
	#revision = 0;
	#granted = 0;
	#closed = false;
	#now: () => number;

	constructor(now: () => number = () => performance.now(), historyLimit: number = HISTORY) {
		this.#now = now;
		this.#history = new History(historyLimit);
	}

	async get(key: string): Promise<Entry | undefined> {
		this.#begin();
		return entryOf(this.#entries.get(key));
	}

	async list(prefix: string): Promise<Listing> {
		const { entries, revision } = this.listShared(prefix);
		return { entries: entries.map((entry) => ({ ...entry, value: structuredClone(entry.value) as Json })), revision };
	}

	/** The same with the store's own values, which are deeply frozen: a record that has not changed is the same object in
	 * the next listing, and nothing is copied. */
	listShared(prefix: string): Listing {
		this.#begin();
		const held = [...this.#entries.values()].filter((entry) => entry.key.startsWith(prefix));
		held.sort((a, b) => (a.key < b.key ? -1 : 1));
		return { entries: held.map(({ key, value, revision }) => ({ key, value, revision })), revision: this.#revision };
	}

	async put(key: string, value: Json, options: PutOptions = {}): Promise<WriteResult> {
		this.#begin();
		const grant = options.lease === undefined ? undefined : this.#leases.get(options.lease.id);
		if (options.lease !== undefined && grant === undefined) throw gone(options.lease.id);
		const current = this.#entries.get(key);
		if (options.expect !== undefined && options.expect !== (current?.revision ?? 0)) {
			return { done: false, current: entryOf(current) };
		}
		grant?.keys.add(key);
		// A copy: what the caller does with its value afterwards is no change of the database.
		return this.#set(key, deepFrozen(structuredClone(value) as Json), options.lease?.id);
	}

	/** Put without a copy: a value that is deeply frozen. */
	async putShared(key: string, value: Json): Promise<WriteResult> {
		this.#begin();
		return this.#set(key, value, undefined);
	}

	async delete(key: string, options: DeleteOptions = {}): Promise<WriteResult> {
		this.#begin();
		const current = this.#entries.get(key);
		if (options.expect !== undefined && options.expect !== (current?.revision ?? 0)) {
			return { done: false, current: entryOf(current) };
		}
		this.#remove(key);
		return { done: true, revision: this.#revision };
	}

	async commit(writes: readonly Write[], expect: ReadonlyMap<string, number> = new Map()): Promise<WriteResult> {
		this.#begin();
		for (const { lease } of writes) if (lease !== undefined && !this.#leases.has(lease.id)) throw gone(lease.id);
		for (const [key, revision] of expect) {
			const current = this.#entries.get(key);
			if (revision !== (current?.revision ?? 0)) return { done: false, current: entryOf(current) };
		}
		const revision = this.#revision + 1;
		const changes: Change[] = [];
		for (const { key, value, lease } of writes) {
			const before = this.#entries.get(key);
			if (value === undefined && before === undefined) continue;
			this.#release(before);
			if (value === undefined) this.#entries.delete(key);
			else {
				if (lease !== undefined) this.#leases.get(lease.id)!.keys.add(key);
				this.#entries.set(key, {
					key,
					value: deepFrozen(structuredClone(value) as Json),
					revision,
					lease: lease?.id,
				});
			}
			changes.push({ key, value: this.#entries.get(key)?.value, revision });
		}
		if (changes.length > 0) this.#revision = revision;
		this.#history.record(changes);
		return { done: true, revision: this.#revision };
	}

	watch(prefix: string, options: WatchOptions): AsyncIterable<Change> {
		this.#begin();
		return this.#history.watch(prefix, options);
	}

	async grant(ttlMs: number): Promise<Lease> {
		this.#begin();
		const id = String(++this.#granted);
		this.#leases.set(id, { keys: new Set(), ttlMs, endsMs: this.#now() + ttlMs });
		return {
			id,
			ttlMs,
			renew: async () => {
				this.#begin();
				const grant = this.#leases.get(id);
				if (grant === undefined) throw gone(id);
				grant.endsMs = this.#now() + ttlMs;
			},
			revoke: async () => {
				this.#begin();
				this.#end(id);
			},
		};
	}

	/** Ends the leases whose time has passed. Called before every operation, too: expired entries are never read. */
	expire(): void {
		const now = this.#now();
		for (const [id, grant] of this.#leases) if (grant.endsMs <= now) this.#end(id);
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#history.close();
	}

	#begin(): void {
		if (this.#closed) throw new ShuntError("SHUNT_STORE_CLOSED");
		this.expire();
	}

	#set(key: string, value: Json, lease: string | undefined): WriteResult {
		const before = this.#entries.get(key);
		if (before?.lease !== lease) this.#release(before);
		this.#revision++;
		this.#entries.set(key, { key, value, revision: this.#revision, lease });
		this.#history.record([{ key, value, revision: this.#revision }]);
		return { done: true, revision: this.#revision };
	}

	#end(lease: string): void {
		const grant = this.#leases.get(lease);
		this.#leases.delete(lease);
		for (const key of grant?.keys ?? []) this.#remove(key);
	}

	#remove(key: string): void {
		const current = this.#entries.get(key);
		if (current === undefined) return;
		this.#release(current);
		this.#entries.delete(key);
		this.#revision++;
		this.#history.record([{ key, value: undefined, revision: this.#revision }]);
	}

	#release(entry: Held | undefined): void {
		if (entry?.lease !== undefined) this.#leases.get(entry.lease)?.keys.delete(entry.key);
	}
}

function entryOf(held: Held | undefined): Entry | undefined {
	if (held === undefined) return undefined;
	return { key: held.key, value: structuredClone(held.value) as Json, revision: held.revision };
}

function gone(lease: string): ShuntError {
	return new ShuntError("SHUNT_STORE_LEASE_GONE", { lease });
}

/** What listShared() gives away. */
function deepFrozen(value: Json): Json {
	if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
		Object.freeze(value);
		for (const inner of Object.values(value)) deepFrozen(inner as Json);
	}
	return value;
}
