// failures.test.ts - runs in which backends die, return and flap: what the shipped health, slow start and panic threshold
// make of it (docs/health.md).

import { describe, expect, test } from "vitest";
import { DEFAULTS, type Failures, type Options, outagesOf, plot, simulate } from "../../src/simulate/index.js";

const TIME_S = 600;
const run = (failures: Failures, options: Partial<Options> = {}) => {
	const all = { ...DEFAULTS, backends: 10, gateways: 2, clients: 100_000, timeS: TIME_S, ...options };
	return simulate({ ...all, outages: outagesOf(failures, all.backends, TIME_S) });
};
const once: Failures = { fail: [{ backend: "b2", atS: 100 }], recover: [{ backend: "b2", atS: 200 }] };
const flapping: Failures = { flap: [{ backend: "b3", upS: 10, downS: 5 }] };

describe("backends that die", () => {
	test("R31: a dead backend is found within 2.5 s, and its own sessions alone move", () => {
		const { failures } = run(once);
		expect(failures).toMatchObject({ outages: 1, found: 1, late: 0, movedAlive: 0 });
		expect(failures!.foundMs.most).toBeGreaterThanOrEqual(1500);
		expect(failures!.foundMs.most).toBeLessThanOrEqual(2500);
		// A tenth of the sessions, of a minute each.
		expect(failures!.moved).toBeGreaterThan(700);
		expect(failures!.moved).toBeLessThan(1300);
		const untilFound = (failures!.moved * DEFAULTS.packets * failures!.foundMs.mean) / 1000;
		expect(failures!.lost / untilFound, "packets are lost until it is found, and none after").toBeLessThan(1.15);
		expect(failures!.lost / untilFound).toBeGreaterThan(0.85);
		expect(failures!.rowsElsewhere, "Maglev moves few rows of the others").toBeLessThan(0.03);
		expect(failures!.panicS).toBe(0);
	});

	test("R31: one that returns gets its share of new sessions in steps", () => {
		const { returnShares, returnMost } = run(once, { clients: 300_000 }).failures!;
		expect(returnShares).toHaveLength(6);
		expect(returnShares[0]).toBeLessThan(0.35);
		expect(returnShares[2]).toBeGreaterThan(returnShares[0]! + 0.15);
		expect(returnShares[5]).toBeGreaterThan(0.85);
		expect(returnMost).toBeLessThan(1.1);
	});

	test.each(["least-load", "weighted"] as const)("R31: one that returns is not flooded: %s", (choose) => {
		const { returnShares, returnMost } = run(once, { choose, clients: 300_000 }).failures!;
		expect(returnShares[0], "within the first step").toBeLessThan(0.6);
		expect(Math.max(...returnShares)).toBeLessThan(2.2);
		expect(returnMost).toBeLessThan(1.2);
	});

	test("R31: a backend that flaps is taken in less often each time, so that tables change less", () => {
		const { failures, series } = run(flapping);
		expect(failures!.outages).toBe(40);
		expect(failures!.found + failures!.harmless, "each outage is found, or harms none").toBe(40);
		expect(failures!.found).toBeLessThan(16);
		const undamped = run(flapping, { health: { ...DEFAULTS.health, holdMs: 0 } }).failures!;
		expect(undamped.found).toBe(40);
		expect(failures!.changesPerMinute).toBeLessThan(undamped.changesPerMinute / 2);
		const lostIn = (from: number, to: number) => series.lost.subarray(from, to).reduce((sum, one) => sum + one, 0);
		expect(lostIn(300, 600)).toBeLessThan(lostIn(0, 300) / 2);
		expect(failures!.movedAlive).toBe(0);
	});

	test("R31: a backend that flaps does not collect new sessions for the time in which it gets none: weighted", () => {
		expect(run(flapping, { choose: "weighted" }).failures!.returnShares[0]).toBeLessThan(1);
	});

	test("R31: if too few backends remain, all are used, and the dead ones' packets are lost as if nothing was observed", () => {
		const dead = ["b1", "b2", "b3"].map((backend) => ({ backend, atS: 100 }));
		const back = dead.map(({ backend }) => ({ backend, atS: 200 }));
		const { failures } = run({ fail: dead, recover: back }, { backends: 4 });
		expect(failures!.panicS).toBeGreaterThan(90);
		expect(failures!.panicS).toBeLessThan(105);
		expect(failures!.lost / failures!.packets).toBeGreaterThan(0.1);
		const one = run({ fail: dead.slice(0, 1), recover: back.slice(0, 1) }, { backends: 4 }).failures!;
		expect(one.panicS).toBe(0);
		expect(one.lost / one.packets).toBeLessThan(0.001);
	});

	test("R31: at a loss of one load report in a hundred, no living backend is taken out of service", () => {
		expect(run(once, { loss: 0.01 }).failures!.late).toBe(0);
	});

	test("without a failure nothing is observed, and the plot has no panel of it; with one it has two more", () => {
		const small = { clients: 20_000, timeS: 120, settleS: 60 };
		const none = simulate({ ...DEFAULTS, ...small });
		expect(none.failures).toBeNull();
		const svg = plot(run(once, { clients: 20_000 }));
		expect(svg.match(/<rect class="settle"/g)!.length - plot(none).match(/<rect class="settle"/g)!.length).toBe(2);
		expect(svg).not.toMatch(/NaN|Infinity|undefined/);
	});
});

describe("times of failures", () => {
	test("a backend that flaps serves first", () => {
		expect(outagesOf({ flap: [{ backend: "b1", upS: 10, downS: 5 }] }, 1, 40)).toEqual([
			{ backend: 0, fromS: 10, toS: 15 },
			{ backend: 0, fromS: 25, toS: 30 },
		]);
	});

	test.each<[string, Failures]>([
		["--fail b9: there is no such backend; the backends are b1 to b2.", { fail: [{ backend: "b9", atS: 1 }] }],
		[
			"--recover b1@5s: b1 is not dead then; give --fail with an earlier time.",
			{ recover: [{ backend: "b1", atS: 5 }] },
		],
		[
			"--fail b1@2s: b1 is dead since 1 s; let it recover before.",
			{
				fail: [
					{ backend: "b1", atS: 1 },
					{ backend: "b1", atS: 2 },
				],
			},
		],
		[
			"--fail b1@2s: b1 flaps; give either --flap or --fail and --recover.",
			{ fail: [{ backend: "b1", atS: 2 }], flap: [{ backend: "b1", upS: 1, downS: 1 }] },
		],
	])("%s", (message, failures) => {
		expect(() => outagesOf(failures, 2, 60)).toThrow(message);
	});
});
