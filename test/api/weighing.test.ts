import { describe, expect, test } from "vitest";
import { rowText, weighedOf } from "../../src/api/weighing.js";

const choice = { redirection: 0, row: 80, rows: 509, target: 1, load: 13_107, denied: false };
const nameOf = (id: number) => `b${id}`;
const textOf = (loser: { row: number; target: number; load: number }, load = choice.load) =>
	rowText("flow", 509, 80, weighedOf({ ...choice, load, other: loser }, nameOf));

describe("R18: explain names the rows that were compared", () => {
	test("and the smaller load", () => {
		expect(textOf({ row: 5, target: 2, load: 65_535 })).toBe(
			"By its 5-tuple it has rows 80 (b1, load 20 %) and 5 (b2, load 100 %), of 509: the smaller load wins.",
		);
		expect(weighedOf({ ...choice, other: { row: 5, target: 2, load: 65_535 } }, nameOf)).toEqual([
			{ row: 80, target: "b1", load: 0.2 },
			{ row: 5, target: "b2", load: 1 },
		]);
	});

	test("with as many digits as distinguish the loads", () => {
		expect(textOf({ row: 5, target: 2, load: 40_000 }, 39_999)).toContain(
			"80 (b1, load 61.035 %) and 5 (b2, load 61.036 %)",
		);
	});

	test("that a tie goes to the first row", () => {
		expect(textOf({ row: 5, target: 2, load: 13_107 })).toBe(
			"By its 5-tuple it has rows 80 (b1, load 20 %) and 5 (b2, load 20 %), of 509: where loads are equal, the first row counts.",
		);
	});

	test("two rows of one target", () => {
		expect(textOf({ row: 5, target: 1, load: 13_107 })).toBe(
			"By its 5-tuple it has rows 80 and 5, of 509: b1 either way.",
		);
		expect(textOf({ row: 80, target: 1, load: 13_107 })).toBe(
			"By its 5-tuple it has row 80 twice, of 509: b1 either way.",
		);
	});

	test("a row chosen by hash alone", () => {
		expect(weighedOf(choice, nameOf)).toBeNull();
		expect(rowText("source", 509, 80, null)).toBe("By its source address it has row 80 of 509.");
	});
});
