// publisher.test.ts - long compilations leave the event loop its turns.

import { describe, expect, test } from "vitest";
import { inSlices } from "../../src/member/publisher.js";

describe("slices of a long computation", () => {
	function* steps(count: number, ms: number): Generator<void, string> {
		for (let i = 0; i < count; i++) {
			for (const end = performance.now() + ms; performance.now() < end; );
			yield;
		}
		return "done";
	}

	test("the event loop has turns between slices, and the result is the computation's", async () => {
		let turns = 0;
		const turn = () => {
			turns++;
			waiting = setImmediate(turn);
		};
		let waiting = setImmediate(turn);
		expect(await inSlices(steps(20, 6))).toBe("done");
		clearImmediate(waiting);
		expect(turns).toBeGreaterThanOrEqual(5);
	});

	test("an error of the computation is the caller's", async () => {
		// biome-ignore lint/correctness/useYield: it fails before its first step
		function* failing(): Generator<void, void> {
			throw new Error("too many");
		}
		await expect(inSlices(failing())).rejects.toThrow("too many");
	});
});
