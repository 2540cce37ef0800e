// held.ts - what the stores have in common that keep entries: put and delete as commits, the lost race, the lease that is
// gone.
//
// Must never: know where the entries are.

import { ShuntError } from "../errors.js";
import type { DeleteOptions, Entry, Json, PutOptions, Write, WriteResult } from "./store.js";

/** An entry in this process's memory. */
export interface Held extends Entry {
	readonly lease: string | undefined;
}

/** A copy: what its reader does with it is no change of the database. */
export function entryOf(held: Entry | undefined): Entry | undefined {
	if (held === undefined) return undefined;
	return { key: held.key, value: structuredClone(held.value) as Json, revision: held.revision };
}

type Commit = readonly [writes: readonly Write[], expect?: ReadonlyMap<string, number>];

/** The commit that a put amounts to. */
export function putCommit(key: string, value: Json, { expect, lease }: PutOptions = {}): Commit {
	const write = lease === undefined ? { key, value } : { key, value, lease };
	return [[write], expect === undefined ? undefined : new Map([[key, expect]])];
}

/** The commit that a delete amounts to. */
export function deleteCommit(key: string, { expect }: DeleteOptions = {}): Commit {
	return [[{ key, value: undefined }], expect === undefined ? undefined : new Map([[key, expect]])];
}

/** The answer to a commit that expects other revisions than these; undefined: it expects these. */
export function lostRace(
	entries: ReadonlyMap<string, Entry>,
	expect: ReadonlyMap<string, number>,
): WriteResult | undefined {
	for (const [key, revision] of expect) {
		const current = entries.get(key);
		if (revision !== (current?.revision ?? 0)) return { done: false, current: entryOf(current) };
	}
	return undefined;
}

export function leaseGone(lease: string): ShuntError {
	return new ShuntError("SHUNT_STORE_LEASE_GONE", { lease });
}
