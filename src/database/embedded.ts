/**
 * The embedded database: the contract of a store over a journal in a folder, shared by the processes of one host.
 *
 * Every process holds the whole state and reads on in the journal before each operation; a write is made under the
 * journal's lock, so that it follows all that is written.
 *
 * Owns: what the lines of the journal mean, and when a new generation begins.
 * Must never: acknowledge a write that is not on the disk, or show one that is not acknowledged.
 */
import { randomBytes } from "node:crypto";
import { z } from "zod";
import { ShuntError } from "../errors.js";
import { deleteCommit, entryOf, type Held, leaseGone, lostRace, putCommit } from "./held.js";
import { HISTORY, History } from "./history.js";
import { Journal } from "./journal.js";
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

export interface EmbeddedOptions {
	/** The clock of leases, in milliseconds since 1970: one of all processes. */
	readonly now?: () => number;
	readonly historyLimit?: number;
	/** Bytes of journal from which a new generation begins, if it would be half as large. */
	readonly renewAbove?: number;
}

/** Interval at which a watched journal is read on, for what other processes write. */
const POLL_MS = 100;
const RENEW_ABOVE = 1 << 20;

const revision = z.int().min(0);
const lineSchema = z.union([
	/** The first line of a generation. */
	z.strictObject({ state: revision }),
	z.strictObject({ entry: z.string(), value: z.json(), at: revision, lease: z.string().optional() }),
	/** Granted, or renewed. */
	z.strictObject({ lease: z.string(), ends: z.number() }),
	z.strictObject({
		at: revision,
		changes: z.array(z.strictObject({ key: z.string(), value: z.json().optional(), lease: z.string().optional() })),
		/** Leases that end with it. */
		ends: z.array(z.string()).optional(),
	}),
]);

export class EmbeddedStore implements Store {
	readonly writable = true;
	readonly #journal: Journal;
	readonly #now: () => number;
	readonly #renewAbove: number;
	readonly #history: History;
	#entries = new Map<string, Held>();
	/** When each lease ends. */
	#leases = new Map<string, number>();
	#revision = 0;
	#closed = false;
	/** Operations follow one another. */
	#last: Promise<unknown> = Promise.resolve();
	#poll: NodeJS.Timeout | undefined;

	private constructor(folder: string, options: EmbeddedOptions) {
		this.#now = options.now ?? Date.now;
		this.#renewAbove = options.renewAbove ?? RENEW_ABOVE;
		this.#history = new History(options.historyLimit ?? HISTORY);
		this.#journal = new Journal(folder, { line: (content) => this.#line(content), begin: () => this.#begin() });
	}

	/** Creates the folder's journal where there is none. */
	static async open(folder: string, options: EmbeddedOptions = {}): Promise<EmbeddedStore> {
		const store = new EmbeddedStore(folder, options);
		try {
			await store.#journal.read();
			if (store.#journal.size === 0)
				await store.#journal.exclusively(async () => {
					if (store.#journal.size === 0) await store.#journal.renew(store.#state());
				});
		} catch (error) {
			await store.#journal.close();
			throw error;
		}
		store.#history.reset(store.#revision + 1);
		return store;
	}

	async get(key: string): Promise<Entry | undefined> {
		await this.#read();
		return entryOf(this.#entries.get(key));
	}

	async list(prefix: string): Promise<Listing> {
		await this.#read();
		const held = [...this.#entries.values()].filter((entry) => entry.key.startsWith(prefix));
		held.sort((a, b) => (a.key < b.key ? -1 : 1));
		return { entries: held.map((one) => entryOf(one)!), revision: this.#revision };
	}

	put(key: string, value: Json, options?: PutOptions): Promise<WriteResult> {
		return this.commit(...putCommit(key, value, options));
	}

	delete(key: string, options?: DeleteOptions): Promise<WriteResult> {
		return this.commit(...deleteCommit(key, options));
	}

	commit(writes: readonly Write[], expect: ReadonlyMap<string, number> = new Map()): Promise<WriteResult> {
		// Copies: what the caller does with its values afterwards is no change of the database.
		const changes = writes.map(({ key, value, lease }) => ({
			key,
			...(value === undefined ? {} : { value: structuredClone(value) as Json }),
			...(lease === undefined ? {} : { lease: lease.id }),
		}));
		return this.#write(async (): Promise<WriteResult> => {
			for (const { lease } of changes) if (lease !== undefined && !this.#leases.has(lease)) throw leaseGone(lease);
			const lost = lostRace(this.#entries, expect);
			if (lost !== undefined) return lost;
			const effective = changes.filter(({ key, value }) => value !== undefined || this.#entries.has(key));
			if (effective.length > 0) await this.#append({ at: this.#revision + 1, changes: effective });
			return { done: true, revision: this.#revision };
		});
	}

	watch(prefix: string, options: WatchOptions): AsyncIterable<Change> {
		this.#mustBeOpen();
		this.#poll ??= setInterval(() => {
			if (this.#history.watchers > 0) this.#read().catch(() => {});
		}, POLL_MS);
		return this.#history.watch(prefix, options);
	}

	async grant(ttlMs: number): Promise<Lease> {
		const id = randomBytes(8).toString("hex");
		await this.#write(() => this.#append({ lease: id, ends: this.#now() + ttlMs }));
		return {
			id,
			ttlMs,
			renew: () =>
				this.#write(async () => {
					if (!this.#leases.has(id)) throw leaseGone(id);
					await this.#append({ lease: id, ends: this.#now() + ttlMs });
				}),
			revoke: () => this.#write(() => this.#end([id])),
		};
	}

	async close(): Promise<void> {
		this.#closed = true;
		clearInterval(this.#poll);
		this.#history.close();
		await this.#last.catch(() => {});
		await this.#journal.close();
	}

	#mustBeOpen(): void {
		if (this.#closed) throw new ShuntError("SHUNT_STORE_CLOSED");
	}

	#inOrder<T>(work: () => Promise<T>): Promise<T> {
		const next = this.#last
			.catch(() => {})
			.then(() => {
				this.#mustBeOpen();
				return work();
			});
		this.#last = next;
		return next;
	}

	/** Reads on; what is under a lease that has ended goes first: it is never read. */
	async #read(): Promise<void> {
		await this.#inOrder(() => this.#journal.read());
		if (this.#ended().length > 0) await this.#write(async () => {});
	}

	#write<T>(work: () => Promise<T>): Promise<T> {
		return this.#inOrder(() =>
			this.#journal.exclusively(async () => {
				await this.#end(this.#ended());
				const result = await work();
				if (this.#journal.size > this.#renewAbove) await this.#renew();
				return result;
			}),
		);
	}

	async #renew(): Promise<void> {
		const state = [...this.#state()];
		const size = state.reduce<number>((sum, line) => sum + JSON.stringify(line).length + 10, 0);
		if (2 * size < this.#journal.size) await this.#journal.renew(state);
	}

	#ended(): string[] {
		const now = this.#now();
		return [...this.#leases].filter(([, ends]) => ends <= now).map(([id]) => id);
	}

	async #end(leases: readonly string[]): Promise<void> {
		if (leases.length === 0) return;
		const keys = [...this.#entries.values()].filter(({ lease }) => lease !== undefined && leases.includes(lease));
		const changes = keys.map(({ key }) => ({ key }));
		await this.#append({ at: this.#revision + (changes.length > 0 ? 1 : 0), changes, ends: [...leases] });
	}

	async #append(line: Json): Promise<void> {
		await this.#journal.append(line);
		this.#line(line);
	}

	#begin(): void {
		this.#entries = new Map();
		this.#leases = new Map();
	}

	/** The lines of a generation that begins now. */
	*#state(): Generator<Json> {
		yield { state: this.#revision };
		for (const [lease, ends] of this.#leases) yield { lease, ends };
		for (const { key, value, revision: at, lease } of this.#entries.values())
			yield { entry: key, value, at, ...(lease === undefined ? {} : { lease }) };
	}

	#line(content: Json): void {
		const line = lineSchema.parse(content);
		if ("state" in line) {
			// Changes between the last line read and this state were missed, if it is not its own.
			if (line.state > this.#revision) this.#history.reset(line.state + 1);
			this.#revision = line.state;
		} else if ("entry" in line) {
			const { entry: key, value, at, lease } = line;
			this.#entries.set(key, { key, value: value as Json, revision: at, lease });
		} else if ("changes" in line) this.#apply(line);
		else if ("lease" in line) this.#leases.set(line.lease, line.ends);
	}

	#apply({ at, changes, ends = [] }: Extract<z.output<typeof lineSchema>, { changes: unknown }>): void {
		for (const { key, value, lease } of changes) {
			if (value === undefined) this.#entries.delete(key);
			else this.#entries.set(key, { key, value: value as Json, revision: at, lease });
		}
		for (const lease of ends) this.#leases.delete(lease);
		this.#revision = at;
		this.#history.record(changes.map(({ key, value }) => ({ key, value: value as Json | undefined, revision: at })));
	}
}
