// simulate.test.ts - the runs by which the policy's defaults were chosen (docs/balancing.md). A change of a constant
// shows here its effect on balance, oscillation and links.

import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config/index.js";
import { DEFAULTS, type Link, type Options, plot, simulate } from "../../src/simulate/index.js";

const run = (options: Partial<Options>) => simulate({ ...DEFAULTS, ...options });
const links = (...speeds: number[]): Link[] => speeds.map((speedBps) => ({ speedBps, cap: 0.95, cost: 1 }));
/** Bytes of a session that use the links of ten backends, of 110 Mbit/s each, to this fraction. */
const bytesFor = (use: number) => Math.round((use * 110e6 * 10 * 600) / 8 / 100_000);

describe("the simulator", () => {
	test("the same seed gives the same run, another seed another run", () => {
		const small = { clients: 20_000, timeS: 120, settleS: 60, backends: 10 };
		const { series: one, ...first } = run(small);
		const { series: other, ...second } = run(small);
		expect(second).toEqual(first);
		expect(other.mean).toEqual(one.mean);
		expect(run({ ...small, seed: 2 }).clients).not.toBe(first.clients);
	});

	test("the defaults are the daemon's", () => {
		const { load, sessions, health, services } = parseConfig(
			`version: 1\ncluster: { seed: x, keys: [{ id: 1, secret: "00112233445566778899aabbccddeeff" }] }\nbackends: { b1: { address: 10.0.0.1 } }\nservices: { s: { address: 203.0.113.1, port: 1, protocol: udp, backends: [b1] } }`,
			"x.yaml",
		);
		expect(load).toMatchObject(DEFAULTS.load);
		expect({ ...services[0]!.health, ...health }).toMatchObject(DEFAULTS.health);
		expect(sessions.checkMs).toBe(DEFAULTS.checkMs);
	});

	test("with one hash, the evenness of session counts is that of random arrivals", () => {
		// Over equal backends the deviation is Poisson's; the model adds none of its own.
		const { balance, oscillation } = run({ choose: "maglev", backends: 50, clients: 500_000 });
		expect(balance.now.deviation / oscillation.noise).toBeGreaterThan(0.8);
		expect(balance.now.deviation / oscillation.noise).toBeLessThan(1.4);
		expect(oscillation.publishedPerMinute, "maglev publishes nothing for a change of load").toBe(0);
	});

	test("the plot has a line for each backend, and valid numbers only", () => {
		const svg = plot(run({ clients: 20_000, timeS: 120, settleS: 60, backends: 12, leaseS: 30 }));
		expect(svg.match(/<path class="one"/g)).toHaveLength(12);
		expect(svg).toMatch(/^<svg xmlns/);
		expect(svg).not.toMatch(/NaN|Infinity|undefined/);
		expect(svg).toContain("fraction of all packets that pass a gateway");
	});
});

describe("choosing by load", () => {
	test("R11 R18: least-load keeps the most loaded of a hundred backends within 5 % of the mean, and one hash does not", () => {
		const least = run({ choose: "least-load", clients: 500_000, gateways: 2 });
		expect(least.balance.lasting.max).toBeLessThanOrEqual(1.05);
		expect(least.balance.now.max).toBeLessThanOrEqual(1.1);
		expect(least.oscillation.amplitude).toBeLessThan(least.oscillation.noise);
		expect(run({ choose: "maglev", clients: 500_000 }).balance.now.max).toBeGreaterThan(1.1);
	});

	test("R11: least-load and weighted adapt to capacities from 1 to 4 that weights do not reflect", () => {
		const unequal = { backends: 20, clients: 200_000, unequal: 4 };
		expect(run({ ...unequal, choose: "maglev" }).balance.lasting.max).toBeGreaterThan(1.5);
		expect(run({ ...unequal, choose: "least-load" }).balance.lasting.max).toBeLessThan(1.1);
		expect(run({ ...unequal, choose: "weighted" }).balance.lasting.max).toBeLessThan(1.1);
	});

	test.each([
		{ lifeS: 5, clients: 600_000, timeS: 600, settleS: 300 },
		{ lifeS: 60, clients: 200_000, timeS: 600, settleS: 300 },
		{ lifeS: 600, clients: 60_000, timeS: 3600, settleS: 2400 },
	])("R11: weighted does not oscillate: sessions of $lifeS s", (of) => {
		const { balance, oscillation } = run({ choose: "weighted", backends: 20, unequal: 4, ...of });
		expect(balance.lasting.max).toBeLessThan(1.1);
		expect(oscillation.amplitude, "close to random arrivals").toBeLessThan(1.25 * oscillation.noise);
		expect(oscillation.rowsMovedPerMinute, "of all rows").toBeLessThan(0.4);
	});

	test.each(["least-load", "weighted"] as const)(
		"R13: a backend that stops reporting gets an equal share: %s",
		(choose) => {
			const { stale } = run({ choose, clients: 300_000, stale: 5 });
			expect(stale!.most).toBeLessThan(1.1);
			expect(stale!.share).toBeGreaterThan(0.85);
		},
	);

	test("R18: lost and late reports change little", () => {
		const { balance } = run({ choose: "least-load", clients: 500_000, loss: 0.3, delayMs: 500 });
		expect(balance.lasting.max).toBeLessThanOrEqual(1.05);
	});

	test("R19: gateways choose alike: always by maglev, nearly always by weighted", () => {
		expect(run({ choose: "maglev", clients: 50_000, gateways: 3 }).agreement).toBe(1);
		expect(run({ choose: "weighted", clients: 300_000, gateways: 3, loss: 0.1 }).agreement).toBeGreaterThan(0.9);
	});

	test("a backend that leaves or joins moves few clients of the others", () => {
		const { disruption } = run({ choose: "maglev", clients: 200_000, churn: 2 });
		expect(disruption.changes).toBeGreaterThan(15);
		// A plain modulo hash would move 99 of 100.
		expect(disruption.elsewhere).toBeLessThan(0.03);
	});

	test("redirected clients bypass the gateway: leases of a minute, media at 50 packets per second", () => {
		const { gatewayShare } = run({ clients: 100_000, lifeS: 600, timeS: 1800, settleS: 900, leaseS: 60, packets: 50 });
		expect(gatewayShare).toBeLessThanOrEqual(0.0015);
		expect(run({ clients: 20_000, packets: 50 }).gatewayShare).toBe(1);
	});
});

describe("R12: links of 100 and 10 Mbit/s", () => {
	const two = { backends: 10, clients: 100_000, links: links(100e6, 10e6) };

	test.each([0.3, 0.6, 0.85])("shares follow headroom within 5 %, at a use of %d", (use) => {
		const [first] = run({ ...two, bytes: bytesFor(use) }).links;
		expect(Math.abs(first!.share - 100 / 110)).toBeLessThan(0.05 * (100 / 110));
	});

	test("shares follow headroom where other traffic has 60 Mbit/s of the first link", () => {
		const [big, small] = two.links;
		const foreign = { ...two, links: [{ ...big!, foreign: { bps: 60e6, fromS: 60 } }, small!], bytes: bytesFor(0.3) };
		const [first] = run(foreign).links;
		expect(first!.headroom).toBeCloseTo(0.8, 2);
		expect(Math.abs(first!.share - 0.8)).toBeLessThan(0.04);
	});

	test("a link above its cap gets no new sessions while the other is below", () => {
		const full = [{ ...two.links[0]!, foreign: { bps: 97e6, fromS: 60 } }, { ...two.links[0]! }];
		const { links: found, series } = run({ ...two, links: full, bytes: bytesFor(0.1) });
		expect(found[0]!.share).toBe(0);
		// At the beginning it was not full yet.
		expect(series.newByTarget[1]!.subarray(0, 50).reduce((sum, one) => sum + one, 0)).toBeGreaterThan(0);
	});

	test("a link that fails gets no new sessions from the next report on", () => {
		const { series } = run({
			...two,
			links: [{ ...two.links[0]!, downFromS: 300 }, two.links[1]!],
			bytes: bytesFor(0.05),
		});
		const newSince = (from: number) => series.newByTarget[1]!.subarray(from).reduce((sum, one) => sum + one, 0);
		expect(newSince(250)).toBeGreaterThan(0);
		expect(newSince(303)).toBe(0);
	});
});
