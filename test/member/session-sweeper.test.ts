// session-sweeper.test.ts - passes over a session table of three slices.

import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { NativeEngine } from "../../src/engine/index.js";
import { SessionSweeper } from "../../src/member/session-sweeper.js";

test("a pass is three slices, ends with the sessions that are left, and is repeated until stopped", async () => {
	const cursors: number[] = [];
	const engine = {
		sweep: (from: number, buckets: number) => {
			cursors.push(from);
			return { next: (from + buckets) % (3 * buckets), live: 10, expired: 0, duplicates: 0 };
		},
	} as unknown as NativeEngine;
	const passes: string[] = [];
	const sweeper = new SessionSweeper(engine, {
		intervalMs: () => 1,
		passBegins: () => passes.push("begins"),
		passEnds: () => passes.push(`ends with ${sweeper.last?.live}`),
	});
	sweeper.start();
	while (passes.length < 4) await sleep(1);
	sweeper.stop();
	const swept = cursors.length;
	expect(passes.slice(0, 4)).toEqual(["begins", "ends with 30", "begins", "ends with 30"]);
	expect(cursors.slice(0, 4)).toEqual([0, 65_536, 131_072, 0]);
	await sleep(20);
	expect(cursors).toHaveLength(swept);
});
