// history.ts - the recent changes of a store that this process holds, and the watches over them.
//
// Owns: how far back a watch may start, and that it sees each change once, in order.
// Must never: know where the changes are kept.

import { ShuntError } from "../errors.js";
import type { Change, Json, WatchOptions } from "./store.js";

/** Changes kept for watches that start in the past. */
export const HISTORY = 4096;

export class History {
	/** First revision of which every change is still here. */
	oldest: number;
	readonly #limit: number;
	#changes: Change[] = [];
	/** Number of the first of them, counted from the start of the process. */
	#first = 0;
	#closed = false;
	/** Called at every change. */
	readonly #watchers = new Set<() => void>();

	constructor(limit: number = HISTORY, oldest = 1) {
		this.#limit = limit;
		this.oldest = oldest;
	}

	get watchers(): number {
		return this.#watchers.size;
	}

	record(changes: readonly Change[]): void {
		this.#changes.push(...changes);
		const surplus = this.#changes.length - this.#limit;
		if (surplus > 0) {
			this.oldest = this.#changes[surplus - 1]!.revision + 1;
			this.#changes.splice(0, surplus);
			this.#first += surplus;
		}
		this.#wake();
	}

	/** The changes up to `oldest` were missed: watches that need them end with SHUNT_STORE_COMPACTED. */
	reset(oldest: number): void {
		this.#first += this.#changes.length + 1;
		this.#changes = [];
		this.oldest = oldest;
		this.#wake();
	}

	close(): void {
		this.#closed = true;
		this.#wake();
	}

	async *watch(prefix: string, { from, signal }: WatchOptions): AsyncGenerator<Change> {
		let revision = from;
		let next: number | undefined;
		let wake = () => {};
		const woken = () => wake();
		this.#watchers.add(woken);
		signal?.addEventListener("abort", woken);
		try {
			while (!this.#closed && signal?.aborted !== true) {
				if (next === undefined ? revision < this.oldest : next < this.#first)
					throw new ShuntError("SHUNT_STORE_COMPACTED", { revision, oldest: this.oldest });
				next ??= this.#first + this.#placeOf(revision);
				const change = this.#changes[next - this.#first];
				if (change === undefined) {
					await new Promise<void>((resolve) => {
						wake = resolve;
					});
					continue;
				}
				next++;
				if (change.revision < from || !change.key.startsWith(prefix)) continue;
				revision = change.revision + 1;
				yield { ...change, value: structuredClone(change.value) as Json | undefined };
			}
		} finally {
			this.#watchers.delete(woken);
			signal?.removeEventListener("abort", woken);
		}
	}

	#placeOf(revision: number): number {
		const place = this.#changes.findIndex((change) => change.revision >= revision);
		return place < 0 ? this.#changes.length : place;
	}

	#wake(): void {
		for (const woken of this.#watchers) woken();
	}
}
