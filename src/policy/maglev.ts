// maglev.ts - the forwarding table of one redirection: which row of it names which target.
//
// The hash table of Eisenbud et al., "Maglev" (NSDI 2016), section 3.4: every target has a permutation of all rows,
// its order of preference, and the targets take turns at their first row that is still free. So each gets nearly the
// same number of rows, and when one leaves, few rows of the others change. With weights, a target takes its turn in
// proportion to its weight.
//
// The same targets give the same table on every gateway (R19), in whatever order they are listed and whatever ids
// they have there: all that counts is their keys and the seed.
// Must never: look at a clock, a random number or a load; weights are given.

import { createHash } from "node:crypto";

/** Primes near the powers of two; 16 bits name a target, so that a larger table could hold no more of them. */
export const TABLE_SIZES = [251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_537] as const;

/** Rows for each target of the smallest weight: Maglev's M > 100 N, by which shares differ by at most 1 %. */
const ROWS_PER_TARGET = 100;

export interface Candidate {
	/** Names the target on every gateway alike. */
	readonly key: string;
	/** What stands in the rows. */
	readonly id: number;
	/** Above 0; relative to the others. */
	readonly weight: number;
}

/**
 * How many rows a table needs. Ask it for *all configured* targets, not for those that are active now: a table that
 * changed its size because a target left would send nearly every flow elsewhere. One of weight 0 has no rows.
 */
export function tableSize(configured: readonly number[]): number {
	const weights = configured.filter((weight) => weight > 0);
	const total = weights.reduce((sum, weight) => sum + weight, 0);
	const least = Math.min(...weights);
	const wanted = weights.length === 0 ? 0 : (ROWS_PER_TARGET * total) / least;
	return TABLE_SIZES.find((size) => size >= wanted) ?? TABLE_SIZES.at(-1)!;
}

/** A target's permutation of the rows: offset, offset + skip, offset + 2 skip … modulo the (prime) size. */
export interface Preference {
	readonly offset: number;
	readonly skip: number;
}

export function preference(key: string, size: number, seed: string): Preference {
	// SHA-256 because it is at hand, spreads well, and this is no packet path.
	const digest = createHash("sha256").update(`${seed}\0${key}`).digest();
	return { offset: digest.readUIntBE(0, 6) % size, skip: 1 + (digest.readUIntBE(6, 6) % (size - 1)) };
}

/** `preference` that computes each only once, for one seed; it lives as long as one compilation. */
export function preferences(): typeof preference {
	const known = new Map<number, Map<string, Preference>>();
	return (key, size, seed) => {
		const ofSize = known.get(size) ?? new Map<string, Preference>();
		known.set(size, ofSize);
		const found = ofSize.get(key) ?? preference(key, size, seed);
		ofSize.set(key, found);
		return found;
	};
}

/** Rows -> target ids; empty if there is no candidate. */
export function forwardingTable(candidates: readonly Candidate[], size: number, seed: string): Uint16Array {
	return withIds(placement(candidates, size, seed), candidates);
}

/**
 * Rows -> 1 + a candidate's place in the list. It follows from keys and weights alone, so that services of the same
 * backends, whose targets have other ids, share it.
 */
export function placement(
	candidates: readonly Pick<Candidate, "key" | "weight">[],
	size: number,
	seed: string,
	prefer: typeof preference = preference,
): Uint16Array {
	const turns = candidates
		.map(({ key, weight }, i) => ({ key, weight, id: i + 1 }))
		.filter((candidate) => candidate.weight > 0)
		.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
		.map(({ key, weight, id }) => {
			const { offset, skip } = prefer(key, size, seed);
			return { id, weight, next: offset, skip, credit: 0 };
		});
	if (turns.length === 0) return new Uint16Array(0);

	const heaviest = Math.max(...turns.map((turn) => turn.weight));
	const rows = new Uint16Array(size); // 0: a row that is free
	let free = size;
	for (;;) {
		for (const turn of turns) {
			// The heaviest has its turn in every round, the others whenever their share adds up to one.
			turn.credit += turn.weight;
			if (turn.credit < heaviest) continue;
			turn.credit -= heaviest;
			while (rows[turn.next] !== 0) {
				turn.next += turn.skip; // skip < size
				if (turn.next >= size) turn.next -= size;
			}
			rows[turn.next] = turn.id;
			if (--free === 0) return rows;
		}
	}
}

/** A placement's rows as the ids that these candidates have. */
export function withIds(places: Uint16Array, candidates: readonly Pick<Candidate, "id">[]): Uint16Array {
	const rows = new Uint16Array(places.length);
	const ids = Uint16Array.from(candidates, ({ id }) => id);
	for (let row = 0; row < places.length; row++) rows[row] = ids[(places[row] as number) - 1] as number;
	return rows;
}

/**
 * The target that follows `key` in its own order of preference among those that `allowed` takes: the target in the
 * first of its preferred rows that is not its own. 0 if there is none.
 */
export function nextBest(
	rows: Uint16Array,
	key: string,
	seed: string,
	allowed: (id: number) => boolean,
	prefer: typeof preference = preference,
): number {
	if (rows.length === 0) return 0;
	const { offset, skip } = prefer(key, rows.length, seed);
	for (let i = 0, row = offset; i < rows.length; i++, row = (row + skip) % rows.length) {
		if (allowed(rows[row]!)) return rows[row]!;
	}
	return 0;
}
