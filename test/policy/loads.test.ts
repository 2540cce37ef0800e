import { describe, expect, test } from "vitest";
import { type Carrying, FULL_LOAD, LOAD_STEP, loadsMoved, relativeLoads } from "../../src/policy/index.js";

const carrying = (key: string, carried: number, weight = 1, set = "s"): Carrying => ({
	key,
	set,
	weight,
	carried,
});
const loads = (...of: Carrying[]) => Object.fromEntries(relativeLoads(of));

describe("R18: loads", () => {
	test("are relative to the most loaded target, which has the full scale", () => {
		expect(loads(carrying("a", 10), carrying("b", 5), carrying("c", 0))).toEqual({ a: FULL_LOAD, b: 32_768, c: 0 });
	});

	test("are over the weight: twice the sessions at twice the weight are the same load", () => {
		expect(loads(carrying("a", 10, 1), carrying("b", 20, 2), carrying("c", 5, 2))).toEqual({
			a: FULL_LOAD,
			b: FULL_LOAD,
			c: FULL_LOAD / 4 + 0.25,
		});
	});

	test("of one service say nothing about another's", () => {
		expect(loads(carrying("a", 1000), carrying("b", 3, 1, "t"), carrying("c", 1, 1, "t"))).toEqual({
			a: FULL_LOAD,
			b: FULL_LOAD,
			c: FULL_LOAD / 3,
		});
	});

	test("without a session all are 0", () => {
		expect(loads(carrying("a", 0), carrying("b", 0, 7))).toEqual({ a: 0, b: 0 });
		expect(loads()).toEqual({});
	});

	test("are whole numbers of 16 bits, whatever the counts and weights", () => {
		for (let i = 1; i < 500; i++) {
			const all = loads(carrying("a", 2 ** 28 / i, i / 7), carrying("b", i * 3, 1000 / i), carrying("c", i));
			for (const load of Object.values(all)) {
				expect(Number.isInteger(load) && load >= 0 && load <= FULL_LOAD).toBe(true);
			}
			expect(Math.max(...Object.values(all))).toBe(FULL_LOAD);
		}
	});
});

describe("loads have moved", () => {
	const moved = (before: Record<string, number>, after: Record<string, number>) =>
		loadsMoved(new Map(Object.entries(before)), new Map(Object.entries(after)));
	const step = Math.floor(LOAD_STEP);

	test("when one of them has by more than a thirty-second of the scale, up or down", () => {
		expect(moved({ a: 30_000, b: 9 }, { a: 30_000 + step, b: 9 })).toBe(false);
		expect(moved({ a: 30_000, b: 9 }, { a: 30_001 + step, b: 9 })).toBe(true);
		expect(moved({ a: 30_000, b: 9 }, { a: 29_999 - step, b: 9 })).toBe(true);
	});

	test("when one comes that has a load; not when one comes idle, or goes", () => {
		expect(moved({}, { a: FULL_LOAD })).toBe(true);
		expect(moved({}, { a: 0 })).toBe(false);
		expect(moved({ a: FULL_LOAD }, {})).toBe(false);
		expect(moved({}, {})).toBe(false);
	});
});
