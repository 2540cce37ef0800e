// balance.test.ts - the policy's loop at its edges: no backend reports, one falls silent, links fail, are full, or say nothing.

import { describe, expect, test } from "vitest";
import {
	type BackendNow,
	type Balance,
	balance,
	balanceMoved,
	believed,
	smoothed,
	totalLoad,
} from "../../src/policy/index.js";

const WEIGHTS = { udp: 1, tcp: 2, cpu: 0, link: 0 };
const CARRIED = { udpSessions: 100, tcpSessions: 50, capacity: 1000, cpu: 0.9, link: 0.4 };

describe("R10: total load", () => {
	test("is sessions, each kind with its weight, over capacity", () => {
		expect(totalLoad(CARRIED, WEIGHTS)).toBeCloseTo(0.2);
		expect(totalLoad({ ...CARRIED, udpSessions: 3000 }, WEIGHTS), "and may be above full").toBeCloseTo(3.1);
	});

	test("is that of what runs out first; what is not counted or not known is left out", () => {
		expect(totalLoad(CARRIED, { ...WEIGHTS, cpu: 1 })).toBeCloseTo(0.9);
		expect(totalLoad(CARRIED, { ...WEIGHTS, link: 2 })).toBeCloseTo(0.8);
		expect(totalLoad({ ...CARRIED, cpu: null }, { ...WEIGHTS, cpu: 1 })).toBeCloseTo(0.2);
	});

	test("is smoothed by time, however often it is looked at", () => {
		expect(smoothed(undefined, 1, 0, 3000)).toBe(1);
		expect(smoothed(0, 1, 3000, 3000)).toBeCloseTo(1 - 1 / Math.E);
		let often = 0;
		for (let i = 0; i < 30; i++) often = smoothed(often, 1, 100, 3000);
		expect(often).toBeCloseTo(smoothed(0, 1, 3000, 3000), 9);
		expect(smoothed(0, 1, 1, 0)).toBe(1);
	});
});

describe("R13: what is believed of a report", () => {
	const heard = (name: string, age: number | undefined, total: number, added = 0) => ({
		name,
		capacity: 100,
		sessions: 10 + added,
		report: age === undefined ? undefined : { receivedAt: 10_000 - age, total, sessions: 10 },
	});
	const loads = (...of: ReturnType<typeof heard>[]) => believed(of, 10_000, 4000);

	test("no backend has reported: every load is unknown", () => {
		expect([...loads(heard("a", undefined, 0), heard("b", undefined, 0)).values()]).toEqual([
			{ load: undefined, reported: undefined, known: "unknown" },
			{ load: undefined, reported: undefined, known: "unknown" },
		]);
	});

	test("a fresh one, and what this gateway has added since or seen end", () => {
		expect(loads(heard("a", 0, 0.5, 20)).get("a")).toEqual({ load: 0.7, reported: 0.5, known: "fresh" });
		expect(loads(heard("a", 2000, 0.05, -10)).get("a"), "never below idle").toEqual({
			load: 0,
			reported: 0.05,
			known: "fresh",
		});
	});

	test("an old one gives way to the mean of the others, and is never idle", () => {
		const at = (age: number) => loads(heard("a", age, 0), heard("b", 0, 0.6), heard("c", 0, 0.4)).get("a")!;
		expect(at(3000)).toMatchObject({ known: "fading" });
		expect(at(3000).load).toBeGreaterThan(0);
		expect(at(3000).load).toBeLessThan(0.5);
		expect(at(4000)).toEqual({ load: 0.5, reported: 0.5, known: "unknown" });
		expect(at(1e9)).toEqual({ load: 0.5, reported: 0.5, known: "unknown" });
	});

	test("an idle newcomer among busy ones does not make the unknown one attractive", () => {
		const of = loads(
			heard("a", undefined, 0),
			heard("new", 0, 0),
			...["b", "c", "d"].map((name) => heard(name, 0, 0.6)),
		);
		expect(of.get("a")!.load, "the mean of the known would be 0.45, less than all that are busy").toBe(0.6);
	});

	test("one that is new is the mean, too", () => {
		expect(loads(heard("a", undefined, 0), heard("b", 0, 0.8)).get("a")).toEqual({
			load: 0.8,
			reported: 0.8,
			known: "unknown",
		});
	});
});

describe("the loop", () => {
	const link = (address: string, more: object = {}) => ({
		addresses: [address],
		cost: 1,
		cap: 0.9,
		reported: { up: true, speedBps: 100e6, usedBps: 0, ...more },
	});
	const backend = (
		name: string,
		total: number,
		uplinks = [link(`${name}.1`)],
		more: Partial<BackendNow> = {},
	): BackendNow => ({
		name,
		pool: "one",
		capacity: 100,
		active: true,
		sessions: 0,
		report: { receivedAt: Number.POSITIVE_INFINITY, total, sessions: 0 },
		uplinks,
		...more,
	});
	/** Steps of a second each, with fresh reports. */
	const steps = (
		count: number,
		backends: BackendNow[],
		more: {
			before?: Balance | undefined;
			from?: number;
			queries?: Map<string, { since: number; answered: number | undefined }>;
			weighted?: boolean;
		} = {},
	) => {
		let state = more.before;
		for (let i = 0; i < count; i++) {
			const now = (more.from ?? 0) + i * 1000;
			const heard = backends.map((one) => ({ ...one, report: one.report && { ...one.report, receivedAt: now } }));
			state = balance(state, {
				now,
				staleMs: 5000,
				periodMs: 1000,
				weighted: more.weighted ?? true,
				backends: heard,
				queries: more.queries ?? new Map(),
			});
		}
		return state!;
	};
	const share = (state: Balance, address: string) => state.shares.get(address);

	test("equal loads move nothing, however long", () => {
		const backends = [backend("a", 0.5), backend("b", 0.5)];
		const once = steps(1, backends);
		expect(balanceMoved(once, steps(100, backends, { before: once, from: 1000 }))).toBe(false);
	});

	test("R11: a backend with more load gets a smaller factor, in steps, and none where no service is weighted", () => {
		const backends = [backend("a", 0.8), backend("b", 0.4)];
		const one = steps(2, backends).factors;
		expect(one.get("a")!.factor).toBeGreaterThan(0.8);
		const many = steps(60, backends).factors;
		expect(many.get("a")!.factor).toBeLessThan(one.get("a")!.factor);
		expect(many.get("b")!.factor).toBeGreaterThan(1);
		expect(steps(60, backends, { weighted: false }).factors.get("a")!.factor).toBe(1);
	});

	test("backends that share no clients are not compared", () => {
		const of = (name: string, total: number, pool: string) => backend(name, total, undefined, { pool });
		const state = steps(60, [of("a", 0.8, "1"), of("b", 0.8, "1"), of("c", 0.1, "2"), of("d", 0.1, "2")]);
		for (const { factor } of state.factors.values()) expect(factor).toBe(1);
	});

	test("where all are nearly idle a session more is no error", () => {
		expect(steps(60, [backend("a", 0.004), backend("b", 0)]).factors.get("a")!.factor).toBe(1);
	});

	test("a draining backend has no part in the mean", () => {
		const calm = steps(60, [backend("a", 0.5), backend("b", 0.5), backend("c", 9, undefined, { active: false })]);
		expect(calm.factors.get("a")!.factor).toBe(1);
	});

	test("R12: shares follow headroom over cost, and no link has none", () => {
		const shares = (first: object, second: object) => {
			const state = steps(60, [backend("a", 0, [link("1", first), link("2", second)])]);
			return [share(state, "1")!, share(state, "2")!];
		};
		expect(shares({}, {})).toEqual([0.5, 0.5]);
		expect(shares({ usedBps: 60e6 }, { usedBps: 20e6 })[0]).toBeCloseTo(1 / 3, 1);
		const [, small] = shares({ speedBps: 100e9 }, { speedBps: 1e6 });
		expect(small).toBeGreaterThan(0.01);
		const dear = steps(60, [backend("a", 0, [{ ...link("1"), cost: 3 }, link("2")])]);
		expect(share(dear, "1")).toBeCloseTo(0.25, 1);
	});

	test("R12: where a speed is unknown shares are even, over costs", () => {
		const state = steps(5, [backend("a", 0, [link("1", { speedBps: 0 }), link("2")])]);
		expect([share(state, "1"), share(state, "2")]).toEqual([0.5, 0.5]);
		const costs = steps(5, [backend("a", 0, [{ ...link("1", { speedBps: 0 }), cost: 4 }, link("2")])]);
		expect(share(costs, "1")).toBeCloseTo(0.2);
	});

	test("R12: a full link is handed out no more, at once, and comes back below its cap; where all are full caps are no help", () => {
		const at = (used: number, before?: Balance, from = 0) =>
			steps(1, [backend("a", 0, [link("1", { usedBps: used }), link("2")])], { before, from });
		const calm = at(0);
		const full = at(90e6, calm, 1000);
		expect(share(full, "1")).toBe(0);
		expect(share(at(87e6, full, 2000), "1"), "not yet").toBe(0);
		expect(share(at(84e6, full, 2000), "1")).toBeGreaterThan(0);
		const both = steps(2, [backend("a", 0, [link("1", { usedBps: 95e6 }), link("2", { usedBps: 99e6 })])]);
		expect(share(both, "1")).toBeGreaterThan(share(both, "2")!);
	});

	test("R12: a link that its server says is down has nothing, and comes back after it has been well for a while", () => {
		const backends = (up: boolean) => [backend("a", 0, [link("1", { up }), link("2")])];
		const well = steps(1, backends(true));
		const ill = steps(1, backends(false), { before: well, from: 1000 });
		expect([...ill.down]).toEqual(["1"]);
		expect(share(ill, "1")).toBe(0);
		expect(balanceMoved(well, ill)).toBe(true);
		const soon = steps(5, backends(true), { before: ill, from: 2000 });
		expect([...soon.down], "five seconds are not over").toEqual(["1"]);
		const later = steps(2, backends(true), { before: soon, from: 7000 });
		expect([...later.down]).toEqual([]);
		expect(share(later, "1")).toBeGreaterThan(0);
	});

	test("R12: an address that is silent while another of the same server answers is down; one that is alone, or all, is not", () => {
		const queries = (first: number | undefined, second: number | undefined) =>
			new Map([
				["1", { since: 0, answered: first }],
				["2", { since: 0, answered: second }],
			]);
		const state = (first: number | undefined, second: number | undefined) =>
			steps(1, [backend("a", 0, [link("1"), link("2")])], { from: 20_000, queries: queries(first, second) }).down;
		expect([...state(20_000, 20_000)]).toEqual([]);
		expect([...state(14_000, 20_000)]).toEqual(["1"]);
		expect([...state(undefined, 20_000)], "it has never answered").toEqual(["1"]);
		expect([...state(16_000, 20_000)], "not for long enough").toEqual([]);
		expect([...state(10_000, 10_000)], "the server does not speak at all").toEqual([]);
	});

	test("IPv4 and IPv6 addresses of one backend are shared out apart", () => {
		const addresses = (first: string, second: string) => ({ ...link(first), addresses: [first, second] });
		const state = steps(2, [backend("a", 0, [addresses("10.0.0.1", "fd00::1"), link("10.0.1.1")])]);
		expect(share(state, "10.0.0.1")).toBe(0.5);
		expect(share(state, "10.0.1.1")).toBe(0.5);
		expect(share(state, "fd00::1")).toBe(1);
	});
});
