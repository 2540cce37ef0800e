// slow-start.test.ts - a backend that is healthy again gets its share in steps.

import { describe, expect, test } from "vitest";
import { type Health, recoveries, slowStart, slowStartFactor, type TargetHealth } from "../../src/health/index.js";

const state = (health: Health) => new Map([["t", { health, since: 0, reason: "" } satisfies TargetHealth]]);

describe("slow start", () => {
	test("R31: the factor rises in few steps, from above 0 to 1", () => {
		const seen = Array.from({ length: 101 }, (_, i) => slowStartFactor(i * 100, 10_000));
		expect(seen[0]).toBeGreaterThan(0);
		expect(seen.at(-1)).toBe(1);
		expect(seen).toEqual([...seen].sort((a, b) => a - b));
		expect(new Set(seen).size).toBe(6);
		expect(slowStartFactor(0, 0), "0ms: at once").toBe(1);
	});

	test("R31: the next step is when the factor differs, and there is none after the last", () => {
		const at = (now: number) => slowStart(new Map([["t", 1000]]), () => 10_000, now);
		for (const now of [1000, 1500, 2999, 3000, 9000]) {
			const { factors, nextMs } = at(now);
			expect(at(now + nextMs! - 1).factors.get("t")).toBe(factors.get("t"));
			expect(at(now + nextMs!).factors.get("t") ?? 1).toBeGreaterThan(factors.get("t")!);
		}
		expect(at(11_000)).toEqual({ factors: new Map(), nextMs: undefined });
	});

	test("R31: it begins where a target was unhealthy, not where it is first heard", () => {
		expect(recoveries(new Map(), state("unknown"), state("healthy"), 5).size).toBe(0);
		const recovered = recoveries(new Map(), state("unhealthy"), state("healthy"), 5);
		expect(recovered).toEqual(new Map([["t", 5]]));
		expect(recoveries(recovered, state("healthy"), state("healthy"), 9)).toEqual(recovered);
		expect(recoveries(recovered, state("healthy"), state("unhealthy"), 9).size).toBe(0);
	});
});
