import { describe, expect, test } from "vitest";
import { type Candidate, forwardingTable, nextBest, TABLE_SIZES, tableSize } from "../../src/policy/index.js";

const backends = (count: number, weight = (_: number) => 1): Candidate[] =>
	Array.from({ length: count }, (_, i) => ({
		key: `b${i + 1}/10.0.${i >> 8}.${i & 255}/53`,
		id: i + 1,
		weight: weight(i),
	}));

const build = (candidates: Candidate[], size = tableSize(candidates.map((c) => c.weight)), seed = "seed") =>
	forwardingTable(candidates, size, seed);

function shares(rows: Uint16Array): Map<number, number> {
	const counts = new Map<number, number>();
	for (const id of rows) counts.set(id, (counts.get(id) ?? 0) + 1);
	return counts;
}

describe("sizes", () => {
	test("are primes, and at least 100 rows for each target while 16 bits allow it", () => {
		for (const size of TABLE_SIZES) {
			for (let d = 2; d * d <= size; d++) expect(size % d, `${size} / ${d}`).not.toBe(0);
		}
		expect(tableSize([1])).toBe(251);
		expect(tableSize([1, 1, 1])).toBe(509);
		expect(tableSize(Array(100).fill(1))).toBe(16_381);
		expect(tableSize(Array(655).fill(1))).toBe(65_537);
		expect(tableSize(Array(5000).fill(1))).toBe(65_537);
		expect(tableSize([1, 9])).toBe(1021);
		expect(tableSize([])).toBe(251);
	});
});

describe("balance", () => {
	test.each([1, 2, 3, 10, 100, 500])(
		"R18: %i equal targets have equal shares within 1 %% (Maglev, section 3.4)",
		(count) => {
			const rows = build(backends(count));
			const counts = [...shares(rows).values()];
			expect(counts).toHaveLength(count);
			expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
			expect(Math.max(...counts) / (rows.length / count)).toBeLessThanOrEqual(1.01);
		},
	);

	test("R18: shares follow weights", () => {
		const candidates = backends(6, (i) => [1, 2, 3, 5, 10, 0.5][i]!);
		const rows = build(candidates);
		const counts = shares(rows);
		for (const { id, weight } of candidates) {
			expect(Math.abs(counts.get(id)! - (rows.length * weight) / 21.5)).toBeLessThanOrEqual(2);
		}
	});

	test("no row is free, and a target without weight has none", () => {
		const rows = build([...backends(3), { key: "none", id: 9, weight: 0 }], 251);
		expect([...shares(rows).keys()].sort()).toEqual([1, 2, 3]);
		expect(build([], 251)).toHaveLength(0);
	});
});

describe("disruption", () => {
	// Share of the rows of the remaining targets that change when one of N leaves; 0 would be ideal.
	function moved(count: number, size?: number): number {
		const all = backends(count);
		const before = build(all, size);
		let worst = 0;
		for (const gone of [0, Math.floor(count / 2), count - 1]) {
			const after = build(all.toSpliced(gone, 1), before.length);
			let changed = 0;
			let stayed = 0;
			for (const [row, id] of before.entries()) {
				if (id === gone + 1) continue;
				stayed++;
				if (after[row] !== id) changed++;
			}
			worst = Math.max(worst, changed / stayed);
		}
		return worst;
	}

	test.each([3, 10, 100])("when one of %i leaves, few rows of the others change", (count) => {
		expect(moved(count)).toBeLessThan(0.05);
	});

	test("R19: hashing modulo N would move nearly all; this moves less than the leaver's share again", () => {
		expect(moved(100, 16_381)).toBeLessThan(0.02);
	});

	test("a larger table moves less (Maglev, figure 12)", () => {
		expect(moved(50, 65_537)).toBeLessThan(moved(50, 509));
	});

	test("when it returns, the table is the one from before", () => {
		const all = backends(20);
		expect(build([...all.slice(1), all[0]!])).toEqual(build(all));
	});
});

describe("R19: gateways choose alike", () => {
	test("in whatever order targets are listed", () => {
		const all = backends(30, (i) => 1 + (i % 3));
		const size = tableSize(all.map((c) => c.weight));
		expect(build([...all].reverse(), size)).toEqual(build(all, size));
	});

	test("whatever ids they have there", () => {
		const all = backends(10);
		const elsewhere = all.map((c) => ({ ...c, id: 1000 - c.id }));
		expect([...build(elsewhere)].map((id) => 1000 - id)).toEqual([...build(all)]);
	});

	test("but not under another seed", () => {
		expect(build(backends(10), 1021, "other")).not.toEqual(build(backends(10), 1021));
	});

	test("for good: this table is what version 1 computes", () => {
		const rows = build(backends(3), 251);
		expect([...rows.subarray(0, 40)].join("")).toMatchInlineSnapshot(`"3332112323311223311222111231211333321223"`);
	});
});

test("R8: the next best is the target in the first preferred row that is not its own", () => {
	const all = backends(5);
	const rows = build(all);
	for (const { key, id } of all) {
		const best = nextBest(rows, key, "seed", (other) => other !== id);
		expect(best).not.toBe(id);
		expect(best).toBeGreaterThan(0);
	}
	expect(nextBest(rows, all[0]!.key, "seed", () => false)).toBe(0);
	expect(nextBest(new Uint16Array(0), "x", "seed", () => true)).toBe(0);
});
