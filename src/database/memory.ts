// memory.ts - the whole contract of a store, in memory.
//
// Owns: revisions, entries, leases. Must never: read a clock of its own; `now` is given, and the owner of
// the store calls expire() (a daemon does so once per tick).

import { ShuntError } from "../errors.js";
import { deleteCommit, entryOf, type Held, leaseGone, lostRace, putCommit } from "./held.js";
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

	put(key: string, value: Json, options?: PutOptions): Promise<WriteResult> {
		return this.commit(...putCommit(key, value, options));
	}

	delete(key: string, options?: DeleteOptions): Promise<WriteResult> {
		return this.commit(...deleteCommit(key, options));
	}

	async commit(writes: readonly Write[], expect: ReadonlyMap<string, number> = new Map()): Promise<WriteResult> {
		this.#begin();
		for (const { lease } of writes) if (lease !== undefined && !this.#leases.has(lease.id)) throw leaseGone(lease.id);
		const lost = lostRace(this.#entries, expect);
		if (lost !== undefined) return lost;
		// Copies: what the caller does with its values afterwards is no change of the database.
		const copies = writes.map(({ key, value, lease }) => ({
			key,
			value: value === undefined ? undefined : deepFrozen(structuredClone(value) as Json),
			lease: lease?.id,
		}));
		return this.#apply(copies);
	}

	/** Put without a copy: a value that is deeply frozen. */
	async putShared(key: string, value: Json): Promise<WriteResult> {
		this.#begin();
		return this.#apply([{ key, value, lease: undefined }]);
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
				if (grant === undefined) throw leaseGone(id);
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

	/** Changes at one revision; of a value undefined: the entry goes. */
	#apply(writes: readonly (Pick<Held, "key" | "lease"> & { readonly value: Json | undefined })[]): WriteResult {
		const revision = this.#revision + 1;
		const changes: Change[] = [];
		for (const { key, value, lease } of writes) {
			const before = this.#entries.get(key);
			if (value === undefined && before === undefined) continue;
			if (before?.lease !== undefined) this.#leases.get(before.lease)?.keys.delete(key);
			if (value === undefined) this.#entries.delete(key);
			else {
				if (lease !== undefined) this.#leases.get(lease)!.keys.add(key);
				this.#entries.set(key, { key, value, revision, lease });
			}
			changes.push({ key, value, revision });
		}
		if (changes.length > 0) this.#revision = revision;
		this.#history.record(changes);
		return { done: true, revision: this.#revision };
	}

	#end(lease: string): void {
		const grant = this.#leases.get(lease);
		this.#leases.delete(lease);
		for (const key of grant?.keys ?? []) this.#apply([{ key, value: undefined, lease: undefined }]);
	}
}

/** What listShared() gives away. */
function deepFrozen(value: Json): Json {
	if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
		Object.freeze(value);
		for (const inner of Object.values(value)) deepFrozen(inner as Json);
	}
	return value;
}
