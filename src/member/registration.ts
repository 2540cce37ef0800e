/**
 * What a member says of itself in the redirection database: member/<name>, under a lease, so that it outlives its sender
 * by seconds.
 *
 * Owns: the lease and its renewal. A database that does not answer is tried again at the next time; watched-copy.ts
 * reports it.
 * Must never: delay the member: no one of its loops waits for the database.
 */
import { type Json, type Lease, MEMBER, type Store } from "../database/index.js";
import { ShuntError } from "../errors.js";

export const LEASE_MS = 10_000;
const RENEW_MS = 3000;
/** What has changed is told at once, but not more often. */
const TELL_MS = 1000;
/** Load alone moves all the time, and is told with the lease's renewal. */
const LOAD_STEP = 0.05;

export interface MemberRecord {
	readonly role: "gateway" | "backend";
	/** Of Shunt. */
	readonly shunt: string;
	/** Of the shared configuration, in force; and why a later one is not. */
	readonly version: number;
	readonly refused: string | null;
	/** Of the configuration in force, with what is local and concerns all. */
	readonly digest: string;
	readonly epoch: number;
	readonly ready: boolean;
	/** Total load; null: not measured yet. */
	readonly load: number | null;
	readonly sessions: { readonly udp: number; readonly tcp: number } | null;
	/** Of a gateway: backends that it takes for unhealthy. */
	readonly unhealthy: readonly string[];
}

export class Registration {
	readonly #store: Store;
	readonly #key: string;
	readonly #record: () => MemberRecord;
	readonly #timer: NodeJS.Timeout;
	#lease: Lease | undefined;
	#told: MemberRecord | undefined;
	#renewedAt = 0;
	#closed = false;
	#last: Promise<unknown> = Promise.resolve();
	#busy = false;

	constructor(store: Store, name: string, record: () => MemberRecord) {
		this.#store = store;
		this.#key = MEMBER + name;
		this.#record = record;
		this.#timer = setInterval(() => this.tell(), TELL_MS);
		this.#timer.unref();
		this.tell();
	}

	/** Renews the lease if it is time, and tells what has changed. */
	tell(): void {
		if (this.#busy || this.#closed) return;
		this.#busy = true;
		this.#last = this.#tellNow()
			.catch((error: unknown) => {
				const gone = error instanceof ShuntError && error.code === "SHUNT_STORE_LEASE_GONE";
				if (gone) this.#lease = undefined;
			})
			.finally(() => {
				this.#busy = false;
			});
	}

	/** `leave`: the record goes at once; else it stays until its lease ends, for the next daemon to take over. */
	async close({ leave }: { readonly leave: boolean }): Promise<void> {
		this.#closed = true;
		clearInterval(this.#timer);
		await this.#last;
		if (leave) await this.#lease?.revoke().catch(() => {});
	}

	async #tellNow(): Promise<void> {
		const due = performance.now() - this.#renewedAt >= RENEW_MS;
		const record = this.#record();
		const changed = this.#told === undefined || differs(record, this.#told, due);
		if (!due && !changed) return;
		if (this.#lease === undefined) {
			this.#told = undefined;
			this.#lease = await this.#store.grant(LEASE_MS);
		} else if (due) await this.#lease.renew();
		if (due) this.#renewedAt = performance.now();
		if (!changed && this.#told !== undefined) return;
		await this.#store.put(this.#key, { ...record, at: Date.now() } as unknown as Json, { lease: this.#lease });
		this.#told = record;
	}
}

function differs(now: MemberRecord, told: MemberRecord, due: boolean): boolean {
	const without = ({ load: _load, sessions: _sessions, ...rest }: MemberRecord) => JSON.stringify(rest);
	if (without(now) !== without(told)) return true;
	return due && Math.abs((now.load ?? -1) - (told.load ?? -1)) >= LOAD_STEP;
}
