/**
 * Versions of the shared configuration: the records of a store (config/assemble.ts has their values), which change as a
 * whole from one version to the next.
 *
 *   config/version            the number of the version in force, who made it, and when
 *   config/<record>           settings, gateway/<name>, backend/<name>, service/<name>
 *   history/<number>/<part>   what a version replaced
 *   member/<name>             what a member says of itself, under a lease
 *
 * Every change expects the revision of config/version: of two writers one wins. A change that is too large for one commit
 * is announced in config/version first, and readers wait for its last part.
 *
 * Owns: that order, and the way back.
 * Must never: hold a secret, or cast a record of the store: it is read by a schema.
 */
import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { SharedRecords } from "../config/index.js";
import { ShuntError } from "../errors.js";
import { type Entry, type Json, MOST_WRITES, type Store, type Write } from "./store.js";

export const CONFIG = "config/";
export const VERSION_KEY = "config/version";
export const MEMBER = "member/";
const HISTORY = "history/";
/** Versions that can be rolled back to. */
const KEPT_VERSIONS = 50;
/** Bytes of one commit; etcd takes 1.5 MiB, and base64 is larger by a third. */
const COMMIT_BYTES = 900_000;

const versionSchema = z.object({
	version: z.int().min(0),
	/** Of the change that made it. */
	id: z.string().max(64),
	/** Milliseconds since 1970. */
	at: z.number(),
	by: z.string().max(200),
	note: z.string().max(1000),
	/** A change to the version after this one has begun, and not ended. */
	applying: z.boolean().default(false),
});

export type Version = z.output<typeof versionSchema>;

const historySchema = z.object({
	version: z.int().min(1),
	at: z.number(),
	by: z.string().max(200),
	note: z.string().max(1000),
	/** null: there was none. */
	before: z.record(z.string(), z.json()),
});

/** All of the shared configuration at one revision. */
export interface Shared {
	readonly version: Version;
	/** Of config/version; 0: there is none yet. */
	readonly versionRevision: number;
	/** Of the store. */
	readonly revision: number;
	/** By key, without "config/". */
	readonly records: SharedRecords;
}

const NONE: Version = { version: 0, id: "", at: 0, by: "", note: "", applying: false };

export async function readShared(store: Store): Promise<Shared> {
	const { entries, revision } = await store.list(CONFIG);
	return sharedOf(entries, revision);
}

export function sharedOf(entries: readonly Entry[], revision: number): Shared {
	const head = entries.find(({ key }) => key === VERSION_KEY);
	const records = entries.filter(({ key }) => key !== VERSION_KEY);
	return {
		version: versionOf(head?.value),
		versionRevision: head?.revision ?? 0,
		revision,
		records: new Map(records.map(({ key, value }) => [key.slice(CONFIG.length), value])),
	};
}

/** Of a record that is invalid: version 0, as of a database that is empty. */
export function versionOf(value: unknown): Version {
	return versionSchema.safeParse(value).data ?? NONE;
}

export interface ChangeOptions {
	/** The version that the change was planned on. Throws SHUNT_DATABASE_CONFLICT if it is another. */
	readonly planned?: number | undefined;
	readonly by: string;
	readonly note: string;
}

export interface Changed {
	readonly version: number;
	/** Keys, sorted. */
	readonly changed: readonly string[];
}

/** Has the database hold these records, and no others. */
export function applyRecords(store: Store, wanted: SharedRecords, options: ChangeOptions): Promise<Changed> {
	return change(store, () => wanted, options);
}

/** Changes some records; undefined: the record goes. */
export function changeRecords(store: Store, changes: SharedRecords, options: ChangeOptions): Promise<Changed> {
	return change(store, ({ records }) => withChanges(records, changes), options);
}

/** The records after the changes; undefined: the record goes. */
export function withChanges(records: SharedRecords, changes: SharedRecords): SharedRecords {
	const merged = new Map(records);
	for (const [key, value] of changes) {
		if (value === undefined) merged.delete(key);
		else merged.set(key, value);
	}
	return merged;
}

/** Has the database hold what it held in an earlier version; default: the last but one. */
export async function rollback(store: Store, to: number | undefined, by: string): Promise<Changed> {
	const { version } = await readShared(store);
	const target = to ?? version.version - 1;
	const history = await readHistory(store);
	const steps = history.filter((one) => one.version > target);
	const known = steps.length > 0 && steps.at(-1)!.version === target + 1 && target < version.version && target >= 1;
	if (!known) {
		const oldest = Math.max(1, (history.at(-1)?.version ?? version.version + 1) - 1);
		throw new ShuntError("SHUNT_DATABASE_VERSION", { version: target, oldest, newest: version.version });
	}
	const past = ({ records }: Shared) => {
		const then = new Map(records);
		for (const { before } of steps)
			for (const [key, value] of before) {
				if (value === null) then.delete(key);
				else then.set(key, value);
			}
		return then;
	};
	return change(store, past, { planned: version.version, by, note: `rollback to version ${target}` });
}

const memberSchema = z.object({
	role: z.enum(["gateway", "backend"]),
	version: z.int().min(0),
	refused: z.string().max(10_000).nullable(),
});

/** What registered members say of the shared configuration. */
export interface MemberVersion extends z.output<typeof memberSchema> {
	readonly name: string;
}

/** What cannot be read is left out. */
export async function readMembers(store: Store): Promise<MemberVersion[]> {
	const { entries } = await store.list(MEMBER);
	return entries.flatMap(({ key, value }) => {
		const { data } = memberSchema.safeParse(value);
		return data === undefined ? [] : [{ name: key.slice(MEMBER.length), ...data }];
	});
}

export interface HistoryEntry extends Pick<Version, "version" | "at" | "by" | "note"> {
	/** What it replaced; null: there was no such record. */
	readonly before: ReadonlyMap<string, Json>;
}

/** The newest first. What cannot be read is left out. */
export async function readHistory(store: Store): Promise<HistoryEntry[]> {
	const { entries } = await store.list(HISTORY);
	const found = new Map<number, { entry: Omit<HistoryEntry, "before">; before: Map<string, Json> }>();
	for (const { value } of entries) {
		const { data } = historySchema.safeParse(value);
		if (data === undefined) continue;
		const { before, ...entry } = data;
		const known = found.get(entry.version) ?? { entry, before: new Map() };
		for (const [key, was] of Object.entries(before)) known.before.set(key, was as Json);
		found.set(entry.version, known);
	}
	return [...found.values()].map(({ entry, before }) => ({ ...entry, before })).sort((a, b) => b.version - a.version);
}

async function change(
	store: Store,
	wantedOf: (shared: Shared) => SharedRecords,
	{ planned, by, note }: ChangeOptions,
): Promise<Changed> {
	const shared = await readShared(store);
	const { version: current, versionRevision } = shared;
	if (planned !== undefined && planned !== current.version) throw conflict(planned, current);
	const wanted = wantedOf(shared);
	const parts = partsOf(shared.records, wanted);
	const changed = parts
		.flat()
		.map(({ key }) => key)
		.sort();
	if (changed.length === 0 && current.version > 0 && !current.applying) return { version: current.version, changed };
	const next: Version = {
		version: current.version + 1,
		id: randomBytes(8).toString("hex"),
		at: Date.now(),
		by: by.slice(0, 200),
		note: note.slice(0, 1000),
		applying: false,
	};
	const commit = async (writes: readonly Write[], expected: number): Promise<number> => {
		const done = await store.commit(writes, new Map([[VERSION_KEY, expected]]));
		if (done.done) return done.revision;
		throw conflict(current.version, versionOf(done.current?.value));
	};
	const record = (version: Version): Write => ({ key: VERSION_KEY, value: { ...version } });
	try {
		let expected = versionRevision;
		if (parts.length > 1) expected = await commit([record({ ...current, id: next.id, applying: true })], expected);
		for (const [i, part] of (parts.length === 0 ? [[]] : parts).entries()) {
			const last = i >= parts.length - 1;
			// Each part moves the version's revision: a writer that has read an earlier one loses.
			const head = last ? next : { ...current, id: next.id, applying: true };
			expected = await commit([...writesOf(part, next, i), record(head)], expected);
		}
	} catch (error) {
		// The answer may be lost, and the change made all the same.
		const lost = error instanceof ShuntError && error.code === "SHUNT_STORE_UNREACHABLE";
		const now = lost ? await store.get(VERSION_KEY).catch(() => undefined) : undefined;
		const { id, applying } = versionOf(now?.value);
		if (!lost || id !== next.id || applying) throw error;
	}
	await forget(store, next.version - KEPT_VERSIONS);
	return { version: next.version, changed };
}

interface RecordChange {
	readonly key: string;
	readonly before: Json;
	readonly value: Json | undefined;
}

/** Changes by commit. */
function partsOf(before: SharedRecords, wanted: SharedRecords): RecordChange[][] {
	const parts: RecordChange[][] = [];
	let bytes = Number.POSITIVE_INFINITY;
	for (const key of new Set([...before.keys(), ...wanted.keys()])) {
		const was = (before.get(key) ?? null) as Json;
		const value = wanted.get(key) as Json | undefined;
		const [a, b] = [JSON.stringify(was), JSON.stringify(value ?? null)];
		if (a === b) continue;
		const size = a.length + b.length + 2 * key.length + 100;
		// Each part has its history, and the version.
		if (bytes + size > COMMIT_BYTES || parts.at(-1)!.length >= MOST_WRITES - 2) {
			parts.push([]);
			bytes = 0;
		}
		parts.at(-1)!.push({ key, before: was, value });
		bytes += size;
	}
	return parts;
}

function writesOf(part: readonly RecordChange[], { version, at, by, note }: Version, i: number): Write[] {
	const before = Object.fromEntries(part.map(({ key, before }) => [key, before]));
	return [
		...part.map(({ key, value }): Write => ({ key: CONFIG + key, value })),
		{ key: historyKey(version, i), value: { version, at, by, note, before } },
	];
}

function historyKey(version: number, part: number): string {
	return `${HISTORY}${String(version).padStart(10, "0")}/${String(part).padStart(6, "0")}`;
}

/** The history of one version. What is left of it after a failure stays. */
async function forget(store: Store, upTo: number): Promise<void> {
	if (upTo < 1) return;
	try {
		const { entries } = await store.list(`${HISTORY}${String(upTo).padStart(10, "0")}/`);
		for (const { key } of entries) await store.delete(key);
	} catch {}
}

function conflict(planned: number, { version, by, at, note, applying }: Version): ShuntError {
	const what = applying ? `${by || "another operator"} is applying a change` : `version ${version} is in force`;
	const when = new Date(at).toISOString();
	const whose = applying || version === 0 ? "" : ` since ${when}, by ${by}${note === "" ? "" : ` (${note})`}`;
	return new ShuntError("SHUNT_DATABASE_CONFLICT", { planned, now: `${what}${whose}` });
}
