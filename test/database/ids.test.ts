import { describe, expect, test } from "vitest";
import { IdAllocator, nextEpochs } from "../../src/database/index.js";

describe("ids", () => {
	test("the same key keeps its number, also after it was away", () => {
		const ids = new IdAllocator("services");
		expect([...ids.assign(["a", "b"])]).toEqual([
			["a", 1],
			["b", 2],
		]);
		expect([...ids.assign(["c", "b"])]).toEqual([
			["c", 3],
			["b", 2],
		]);
		expect(ids.assign(["a"]).get("a")).toBe(1);
	});

	test("a number is given out again only when all have been, the longest unused first", () => {
		const ids = new IdAllocator("services", 3);
		ids.assign(["a", "b"]);
		ids.assign(["b"]); // a unused
		ids.assign([]); // then b
		expect(ids.assign(["c"]).get("c")).toBe(3);
		expect(ids.assign(["c", "d"]).get("d")).toBe(1);
		expect(ids.assign(["c", "d", "e"]).get("e")).toBe(2);
		expect(new Set(ids.assign(["x", "y", "z"]).values()).size).toBe(3);
	});

	test("too many are refused, and the refusal moves nothing", () => {
		const ids = new IdAllocator("services", 2);
		ids.assign(["a", "b"]);
		expect(() => ids.assign(["a", "b", "c"])).toThrow(
			"3 services are in use at once; must be at most 2; a configured service counts once for each of its addresses",
		);
		expect([...ids.assign(["b", "a"])]).toEqual([
			["b", 2],
			["a", 1],
		]);
	});

	test("they can be kept over a restart", () => {
		const ids = new IdAllocator("targets", 3);
		ids.assign(["a", "b"]);
		ids.assign(["b"]);
		const again = IdAllocator.fromJSON("targets", JSON.parse(JSON.stringify(ids)), 3);
		expect([...again.assign(["c", "b", "d"])]).toEqual([...ids.assign(["c", "b", "d"])]);
	});
});

describe("epochs", () => {
	test("move when a target goes down, and only then", () => {
		let epochs = nextEpochs(
			undefined,
			new Map([
				[1, "active"],
				[2, "inactive"],
			]),
		);
		const of = (id: number) => epochs.get(id)?.epoch;
		expect([of(1), of(2)]).toEqual([0, 0]);
		epochs = nextEpochs(
			epochs,
			new Map([
				[1, "draining"],
				[2, "active"],
			]),
		);
		expect([of(1), of(2)]).toEqual([0, 0]);
		epochs = nextEpochs(
			epochs,
			new Map([
				[1, "inactive"],
				[2, "active"],
			]),
		);
		expect([of(1), of(2)]).toEqual([1, 0]);
		epochs = nextEpochs(epochs, new Map([[1, "active"]])); // 2 has left
		expect([of(1), of(2)]).toEqual([1, 1]);
		epochs = nextEpochs(
			epochs,
			new Map([
				[1, "active"],
				[2, "active"],
			]),
		);
		expect([of(1), of(2)]).toEqual([1, 1]);
	});

	test("go round after 256, and leave what they were given alone", () => {
		const before = new Map([[1, { epoch: 255, state: "active" }]] as const);
		expect(nextEpochs(before, new Map()).get(1)).toEqual({ epoch: 0, state: "inactive" });
		expect(before.get(1)).toEqual({ epoch: 255, state: "active" });
	});
});
