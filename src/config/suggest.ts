// suggest.ts - "did you mean": the known word that is most similar to an unknown one.

/** The most similar candidate, or undefined if none is similar enough. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
	let best: string | undefined;
	let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
	for (const candidate of candidates) {
		const d = distance(word.toLowerCase(), candidate.toLowerCase());
		if (d < bestDistance) {
			best = candidate;
			bestDistance = d;
		}
	}
	return best;
}

/** Damerau-Levenshtein distance: two adjacent letters that are swapped count as one edit. */
function distance(a: string, b: string): number {
	let beforeLast: number[] = [];
	let last = Array.from({ length: b.length + 1 }, (_, j) => j);
	for (let i = 1; i <= a.length; i++) {
		const row = [i];
		for (let j = 1; j <= b.length; j++) {
			const same = a[i - 1] === b[j - 1] ? 0 : 1;
			let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + same);
			if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
				cost = Math.min(cost, beforeLast[j - 2]! + 1);
			}
			row.push(cost);
		}
		beforeLast = last;
		last = row;
	}
	return last[b.length]!;
}
