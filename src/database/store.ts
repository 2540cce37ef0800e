// store.ts - the redirection database as every member sees it, wherever it is kept: in the configuration alone
// (StaticStore), in this process (embedded), or in a cluster of its own (shared). Requirements R2, R13, R15, R17.
//
// Owns: the contract. Operations that etcd, a journal, and a map in memory can all keep:
//   - every change of the database moves its revision by at least one; an entry knows the revision of its last change;
//   - put and delete may expect a revision (compare-and-swap): the lost race is an answer, not an error;
//   - commit makes several changes at one revision, or none of them;
//   - watch replays from a revision on, so that "list, then watch from there" misses nothing and sees nothing twice;
//   - what is put under a lease goes when the lease ends: members and load reports can't outlive their sender.
// test/contract/store.ts says the same in tests; an implementation is one that passes them.
// Must never: know what a record means; that is records.ts.

/** What JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export interface Entry {
	readonly key: string;
	readonly value: Json;
	/** The database's revision when this entry was last put. Above 0. */
	readonly revision: number;
}

export interface Listing {
	readonly entries: readonly Entry[];
	/** Of the database when these were its entries; watch from this one + 1. */
	readonly revision: number;
}

export type WriteResult =
	| { readonly done: true; readonly revision: number }
	/** The expected revision was not the entry's; this is what stands there instead. */
	| { readonly done: false; readonly current: Entry | undefined };

export interface Change {
	readonly key: string;
	/** undefined: the entry is gone. */
	readonly value: Json | undefined;
	readonly revision: number;
}

export interface Lease {
	readonly id: string;
	readonly ttlMs: number;
	/** Starts the time anew. Throws SHUNT_STORE_LEASE_GONE if it has ended. */
	renew(): Promise<void>;
	/** Ends it now; everything under it is deleted. */
	revoke(): Promise<void>;
}

export interface PutOptions {
	/** Only if the entry's revision is this one; 0: only if there is no such entry. */
	readonly expect?: number;
	/** The entry goes with this lease. Throws SHUNT_STORE_LEASE_GONE if it has ended. */
	readonly lease?: Lease;
}

/** One change of a commit. */
export interface Write {
	readonly key: string;
	/** undefined: the entry goes. */
	readonly value: Json | undefined;
	readonly lease?: Lease;
}

/** What one commit can hold in every store. */
export const MOST_WRITES = 100;

export interface DeleteOptions {
	readonly expect?: number;
}

export interface WatchOptions {
	/** First revision of interest; SHUNT_STORE_COMPACTED is thrown if it is kept no longer. */
	readonly from: number;
	/** Ends the watch without an error. */
	readonly signal?: AbortSignal;
}

export interface Store {
	/** False: put and delete throw SHUNT_STORE_READ_ONLY for all but load reports. */
	readonly writable: boolean;
	get(key: string): Promise<Entry | undefined>;
	/** All entries whose key begins with `prefix`, by key. */
	list(prefix: string): Promise<Listing>;
	put(key: string, value: Json, options?: PutOptions): Promise<WriteResult>;
	/** Deleting what is not there is done, and changes nothing. */
	delete(key: string, options?: DeleteOptions): Promise<WriteResult>;
	/** All changes, at one revision, if every expected key has its revision (0: there is no such entry); else none. At
	 * most MOST_WRITES, each of a key of its own. */
	commit(writes: readonly Write[], expect?: ReadonlyMap<string, number>): Promise<WriteResult>;
	/** Changes in the order of their revisions, those of a commit in its order, until the signal or close. */
	watch(prefix: string, options: WatchOptions): AsyncIterable<Change>;
	grant(ttlMs: number): Promise<Lease>;
	/** Ends all watches; every later call throws SHUNT_STORE_CLOSED. */
	close(): Promise<void>;
}
