/**
 * The redirection database in etcd: the contract of a store over etcd's key-value, lease and watch services.
 *
 * Owns: the mapping: keys under one prefix, values as JSON, etcd's revisions as they are, compare-and-swap as a
 * transaction on mod_revision.
 * Must never: trust the server. Each answer is read by a schema; a value that is not JSON becomes its text, which no
 * record's schema accepts.
 */
import { z } from "zod";
import { ShuntError } from "../errors.js";
import { type EtcdAccess, EtcdError, EtcdHttp, GRPC } from "./etcd-http.js";
import { deleteCommit, leaseGone, lostRace, putCommit } from "./held.js";
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

export interface EtcdOptions extends EtcdAccess {
	/** All keys begin with it: "/shunt/". */
	readonly prefix: string;
}

/** Keys in one answer of a listing. */
const PAGE = 500;
/** Changes that wait for their reader; a watch that is behind by more ends, and its reader lists again. */
const MOST_WAITING = 100_000;

// The gateway writes 64-bit numbers as text, and leaves out what is 0, false or empty.
const number = z
	.union([z.string().regex(/^-?[0-9]{1,19}$/), z.number()])
	.optional()
	.transform((value) => Number(value ?? 0));
const bytes = z.string().default("");
const header = z.object({ revision: number }).default({ revision: 0 });
const pair = z.object({ key: bytes, value: bytes, mod_revision: number });
const rangeSchema = z.object({ header, kvs: z.array(pair).default([]), more: z.boolean().default(false) });
const txnSchema = z.object({
	header,
	succeeded: z.boolean().default(false),
	responses: z.array(z.object({ response_range: z.object({ kvs: z.array(pair).default([]) }).optional() })).default([]),
});
const grantSchema = z.object({ ID: z.string().regex(/^-?[0-9]{1,19}$/), error: z.string().optional() });
const keepAliveSchema = z.object({ result: z.object({ TTL: number }) });
const watchSchema = z.object({
	result: z
		.object({
			header,
			canceled: z.boolean().default(false),
			cancel_reason: z.string().optional(),
			compact_revision: number,
			events: z.array(z.object({ type: z.string().default("PUT"), kv: pair })).default([]),
		})
		.optional(),
	error: z.object({ message: z.string().optional() }).optional(),
});

export class EtcdStore implements Store {
	readonly writable = true;
	readonly #http: EtcdHttp;
	readonly #prefix: string;
	readonly #watches = new Set<AbortController>();
	#closed = false;

	constructor({ prefix, ...access }: EtcdOptions) {
		this.#http = new EtcdHttp(access);
		this.#prefix = prefix;
	}

	async get(key: string): Promise<Entry | undefined> {
		this.#mustBeOpen();
		const { kvs } = this.#understood(rangeSchema, await this.#ask("/v3/kv/range", { key: this.#encoded(key) }));
		return this.#entriesOf(kvs)[0];
	}

	async list(prefix: string): Promise<Listing> {
		this.#mustBeOpen();
		const end = endOf(Buffer.from(this.#prefix + prefix)).toString("base64");
		const entries: Entry[] = [];
		let from = this.#encoded(prefix);
		let revision = 0;
		for (;;) {
			// Later pages are of the same revision.
			const page = {
				key: from,
				range_end: end,
				limit: String(PAGE),
				...(revision > 0 && { revision: String(revision) }),
			};
			const { header, kvs, more } = this.#understood(rangeSchema, await this.#ask("/v3/kv/range", page));
			if (revision === 0) revision = header.revision;
			entries.push(...this.#entriesOf(kvs));
			const last = kvs.at(-1);
			if (!more || last === undefined) break;
			from = Buffer.concat([Buffer.from(last.key, "base64"), Buffer.from([0])]).toString("base64");
		}
		return { entries: entries.sort((a, b) => (a.key < b.key ? -1 : 1)), revision };
	}

	put(key: string, value: Json, options?: PutOptions): Promise<WriteResult> {
		return this.commit(...putCommit(key, value, options));
	}

	delete(key: string, options?: DeleteOptions): Promise<WriteResult> {
		return this.commit(...deleteCommit(key, options));
	}

	async commit(writes: readonly Write[], expect: ReadonlyMap<string, number> = new Map()): Promise<WriteResult> {
		this.#mustBeOpen();
		const request = {
			compare: [...expect].map(([key, revision]) => ({
				key: this.#encoded(key),
				target: "MOD",
				result: "EQUAL",
				mod_revision: String(revision),
			})),
			success: writes.map(({ key, value, lease }) =>
				value === undefined
					? { request_delete_range: { key: this.#encoded(key) } }
					: {
							request_put: {
								key: this.#encoded(key),
								value: Buffer.from(JSON.stringify(value)).toString("base64"),
								...(lease === undefined ? {} : { lease: lease.id }),
							},
						},
			),
			failure: [...expect.keys()].map((key) => ({ request_range: { key: this.#encoded(key) } })),
		};
		const answer = await this.#leased(writes.find(({ lease }) => lease !== undefined)?.lease?.id, () =>
			this.#http.ask("/v3/kv/txn", request, { repeatable: false }),
		);
		const { header, succeeded, responses } = this.#understood(txnSchema, answer);
		if (succeeded) return { done: true, revision: header.revision };
		const found = this.#entriesOf(responses.flatMap(({ response_range }) => response_range?.kvs ?? []));
		return lostRace(new Map(found.map((one) => [one.key, one])), expect) ?? { done: false, current: undefined };
	}

	async *watch(prefix: string, { from, signal }: WatchOptions): AsyncGenerator<Change> {
		this.#mustBeOpen();
		const controller = new AbortController();
		const abort = () => controller.abort();
		if (signal?.aborted) return;
		signal?.addEventListener("abort", abort);
		this.#watches.add(controller);
		const waiting: Change[] = [];
		let failure: unknown;
		let ended = false;
		let wake = () => {};
		const create = {
			key: this.#encoded(prefix),
			range_end: endOf(Buffer.from(this.#prefix + prefix)).toString("base64"),
			start_revision: String(from),
		};
		const read = (content: unknown) => {
			waiting.push(...this.#changesOf(content, from));
			if (waiting.length > MOST_WAITING) throw this.#http.unreachable("the watch is too far behind");
			wake();
		};
		void this.#http
			.stream("/v3/watch", { create_request: create }, read, controller.signal)
			.catch((error: unknown) => {
				failure = error;
			})
			.finally(() => {
				ended = true;
				wake();
			});
		try {
			for (;;) {
				const change = controller.signal.aborted ? undefined : waiting.shift();
				if (change !== undefined) yield change;
				else if (controller.signal.aborted) return;
				else if (ended) throw failure ?? this.#http.unreachable("the watch has ended");
				else
					await new Promise<void>((resolve) => {
						wake = resolve;
						controller.signal.addEventListener("abort", () => resolve(), { once: true });
					});
			}
		} finally {
			controller.abort();
			this.#watches.delete(controller);
			signal?.removeEventListener("abort", abort);
		}
	}

	async grant(ttlMs: number): Promise<Lease> {
		this.#mustBeOpen();
		const { ID: id } = this.#understood(
			grantSchema,
			await this.#ask("/v3/lease/grant", { TTL: String(Math.ceil(ttlMs / 1000)) }),
		);
		return {
			id,
			ttlMs,
			renew: async () => {
				this.#mustBeOpen();
				const { result } = this.#understood(keepAliveSchema, await this.#ask("/v3/lease/keepalive", { ID: id }));
				if (result.TTL <= 0) throw leaseGone(id);
			},
			revoke: async () => {
				this.#mustBeOpen();
				await this.#leased(id, () => this.#ask("/v3/lease/revoke", { ID: id })).catch((error: unknown) => {
					// It has ended already: nothing is under it.
					if (!(error instanceof ShuntError && error.code === "SHUNT_STORE_LEASE_GONE")) throw error;
				});
			},
		};
	}

	async close(): Promise<void> {
		this.#closed = true;
		for (const controller of this.#watches) controller.abort();
		this.#http.close();
	}

	#mustBeOpen(): void {
		if (this.#closed) throw new ShuntError("SHUNT_STORE_CLOSED");
	}

	#understood<T extends z.ZodType>(schema: T, answer: unknown): z.output<T> {
		const { success, data, error } = schema.safeParse(answer);
		if (success) return data;
		const place = error.issues[0]?.path.join(".") || "it";
		throw this.#http.unreachable(`its answer is not etcd's: ${place} is invalid`);
	}

	async #ask(path: string, body: object): Promise<unknown> {
		return this.#http.ask(path, body, { repeatable: true });
	}

	async #leased<T>(lease: string | undefined, work: () => Promise<T>): Promise<T> {
		try {
			return await work();
		} catch (error) {
			if (lease !== undefined && error instanceof EtcdError && error.code === GRPC.notFound) throw leaseGone(lease);
			throw error;
		}
	}

	#encoded(key: string): string {
		return Buffer.from(this.#prefix + key).toString("base64");
	}

	#entriesOf(pairs: readonly z.output<typeof pair>[]): Entry[] {
		return pairs.flatMap(({ key, value, mod_revision: revision }) => {
			const name = this.#nameOf(key);
			return name === undefined ? [] : [{ key: name, value: jsonOf(value), revision }];
		});
	}

	#nameOf(key: string): string | undefined {
		const whole = Buffer.from(key, "base64").toString();
		return whole.startsWith(this.#prefix) ? whole.slice(this.#prefix.length) : undefined;
	}

	#changesOf(content: unknown, from: number): Change[] {
		const { result, error } = this.#understood(watchSchema, content);
		if (result === undefined) throw this.#http.unreachable(error?.message ?? "the watch has ended");
		const { canceled, cancel_reason, compact_revision: oldest, events } = result;
		if (canceled && oldest > 0) throw new ShuntError("SHUNT_STORE_COMPACTED", { revision: from, oldest });
		if (canceled) throw this.#http.unreachable(cancel_reason ?? "the server has ended the watch");
		return events.flatMap(({ type, kv: { key, value, mod_revision: revision } }) => {
			const name = this.#nameOf(key);
			return name === undefined ? [] : [{ key: name, value: type === "DELETE" ? undefined : jsonOf(value), revision }];
		});
	}
}

function jsonOf(encoded: string): Json {
	const text = Buffer.from(encoded, "base64").toString();
	try {
		return JSON.parse(text) as Json;
	} catch {
		return text.slice(0, 1000);
	}
}

/** The first key after all that begin with this prefix, which is not empty. */
function endOf(prefix: Buffer): Buffer {
	const end = Buffer.from(prefix);
	for (let i = end.length - 1; i >= 0; i--) {
		if (end[i]! < 0xff) {
			end[i]!++;
			return end.subarray(0, i + 1);
		}
	}
	return Buffer.from([0]);
}
