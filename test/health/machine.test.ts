// machine.test.ts - the state machine of health, by simulated time.

import { describe, expect, test } from "vitest";
import {
	type Assessed,
	type AssessedState,
	assess,
	changedSubjects,
	type Evidence,
	PORT_RULES,
	RULES,
} from "../../src/health/index.js";

const A = "10.77.3.11";

/** One address: evidence by the time of day in milliseconds. */
class Simulated {
	state: AssessedState = new Map();
	constructor(private readonly survives = true) {}

	get now(): Assessed | undefined {
		return this.state.get(A);
	}
	#observe(kind: Evidence["kind"], passed: boolean, at: number, detail: string): string | undefined {
		this.state = assess(this.state, [{ subject: A, kind, passed, at, survives: this.survives, detail }]);
		return this.now?.health;
	}
	answer = (at: number) => this.#observe("load-report", true, at, "");
	miss = (at: number) => this.#observe("load-report", false, at, "no load report since 12:01:07");
	refuse = (at: number) => this.#observe("packet-error", false, at, "its daemon does not run");
	farewell = (at: number) => this.#observe("farewell", false, at, "its daemon was stopped");
	/** Three polls unanswered, from the last answer on; returns when it fell. */
	fall(from: number): number {
		for (const after of [1500, 2000, 2500]) this.miss(from + after);
		expect(this.now?.health).toBe("unhealthy");
		return from + 2500;
	}
	/** Answers each second from then on; returns the time of the one that makes it healthy. */
	rise(from: number): number {
		for (let at = from; at < from + 200_000; at += 1000) if (this.answer(at) === "healthy") return at;
		throw new Error("it never rises");
	}
}

describe("the state machine of health", () => {
	test("R31: an address that was never heard stays unknown, however silent", () => {
		const one = new Simulated();
		for (let at = 0; at < 60_000; at += 500) one.miss(at);
		one.refuse(60_000);
		one.farewell(60_001);
		expect(one.now).toBeUndefined();
		expect(one.answer(61_000)).toBe("healthy");
	});

	test("R31: three unanswered polls make it unhealthy, and its sessions move; an answer between them does not", () => {
		const one = new Simulated();
		one.answer(0);
		expect([one.miss(1500), one.miss(2000), one.answer(2100)]).toEqual(["healthy", "healthy", "healthy"]);
		expect([one.miss(3500), one.miss(4000), one.miss(4500)]).toEqual(["healthy", "healthy", "unhealthy"]);
		expect(one.now).toMatchObject({ drains: false, since: 4500 });
		expect(one.now?.reason).toBe("no load report since 12:01:07, 3 polls unanswered");
	});

	test("R31: misses that follow one another faster than a silence count only when it is one", () => {
		const one = new Simulated();
		one.answer(0);
		expect([100, 200, 300, 1400].map(one.miss)).toEqual(Array(4).fill("healthy"));
		expect(one.miss(1500)).toBe("unhealthy");
	});

	test("R31: two refusals make it unhealthy at once; its sessions stay where the data plane outlives the daemon", () => {
		for (const survives of [true, false]) {
			const one = new Simulated(survives);
			one.answer(0);
			expect([one.refuse(1000), one.refuse(1001)]).toEqual(["healthy", "unhealthy"]);
			expect(one.now).toMatchObject({ drains: survives, reason: "its daemon does not run" });
		}
	});

	test("R31: a forged refusal of a query that is answered nevertheless has no effect", () => {
		const one = new Simulated();
		for (let at = 0; at < 60_000; at += 1000) {
			one.refuse(at);
			expect(one.answer(at + 5) ?? "healthy").toBe("healthy");
		}
	});

	test("R31: a host that refuses and then falls silent loses its sessions, too", () => {
		const one = new Simulated();
		one.answer(0);
		one.refuse(1000);
		one.refuse(1001);
		const before = one.state;
		expect(one.now?.drains).toBe(true);
		for (const at of [5500, 6000, 6500]) one.miss(at);
		expect(one.now).toMatchObject({ health: "unhealthy", drains: false });
		expect(changedSubjects(before, one.state)).toEqual([A]);
		one.refuse(9000); // it is back without its daemon, and without its sessions
		expect(one.now?.drains).toBe(false);
	});

	test("R31: a router's word that was checked takes it out at once, and its sessions move, also where they stayed", () => {
		const unreachable = { subject: A, kind: "unreachable", passed: false, at: 10, detail: "no route" } as const;
		expect(assess(new Map(), [unreachable]).get(A), "never heard").toBeUndefined();
		const heard = { subject: A, kind: "load-report", passed: true, at: 0, survives: true, detail: "" } as const;
		expect(assess(new Map(), [heard, unreachable]).get(A)).toMatchObject({ health: "unhealthy", drains: false });
		const refused = { ...unreachable, kind: "packet-error", at: 5 } as const;
		const drained = assess(new Map(), [heard, refused, refused]);
		expect(drained.get(A)).toMatchObject({ health: "unhealthy", drains: true });
		expect(assess(drained, [unreachable]).get(A)).toMatchObject({ drains: false, reason: "no route" });
	});

	test("R31: a farewell takes it out at once, and its sessions move", () => {
		const one = new Simulated();
		one.answer(0);
		expect(one.farewell(10)).toBe("unhealthy");
		expect(one.now?.drains).toBe(false);
		one.refuse(1000);
		one.refuse(1001);
		expect(one.now).toMatchObject({ drains: false, reason: "its daemon was stopped" });
	});

	test("R31: it is healthy again after two answers in a row", () => {
		const one = new Simulated();
		one.answer(0);
		const fell = one.fall(0);
		expect(one.answer(fell + 1000)).toBe("unhealthy");
		one.miss(fell + 1500);
		expect(one.answer(fell + 2000)).toBe("unhealthy");
		expect(one.answer(fell + 3000)).toBe("healthy");
		expect(one.now).toMatchObject({ drains: false, reason: "its load reports arrive again" });
	});

	test("R31: one whose sessions stayed is healthy again after one answer, when its hold-down has passed", () => {
		const one = new Simulated();
		one.answer(0);
		one.refuse(1000);
		one.refuse(1001);
		expect(one.answer(1500)).toBe("unhealthy");
		one.refuse(1600);
		expect(one.answer(2500)).toBe("healthy");
		one.refuse(3000);
		one.refuse(3001);
		expect(one.answer(4500), "twice as long").toBe("unhealthy");
		expect(one.answer(5001)).toBe("healthy");
	});

	test("R31: each fall within a minute of the recovery doubles the hold-down, to a minute at most", () => {
		const one = new Simulated();
		one.answer(0);
		let at = 0;
		const holds = Array.from({ length: 9 }, () => {
			const fell = one.fall(at);
			at = one.rise(fell);
			return at - fell;
		});
		expect(holds).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
		for (; at % 200_000 !== 0; at += 500) one.answer(at); // a minute and more without a fall
		const fell = one.fall(at);
		expect(one.rise(fell) - fell, "damping is forgotten").toBe(1000);
	});

	test("R31: a flapping address changes tables ever more rarely", () => {
		const one = new Simulated();
		let changes = 0;
		for (let at = 0; at < 600_000; at += 500) {
			const before = one.state;
			// Five seconds well, five seconds silent.
			if (at % 10_000 < 5000) one.answer(at);
			else one.miss(at);
			if (before.size > 0) changes += changedSubjects(before, one.state).length;
		}
		expect(changes, "of 120").toBeLessThan(30);
	});

	test("without evidence the state is the same object; the same evidence gives the same state", () => {
		const one = new Simulated();
		one.answer(0);
		expect(assess(one.state, [])).toBe(one.state);
		const evidence: Evidence[] = [{ subject: A, kind: "farewell", passed: false, at: 5, detail: "it ends" }];
		expect(assess(one.state, evidence)).toEqual(assess(one.state, evidence));
		expect(one.now?.health, "the state before is not changed").toBe("healthy");
	});

	test("R31: a backend's word about a port counts at once, also when it is the first; the hold-down damps it", () => {
		const rules = { ...RULES, ...PORT_RULES };
		const say = (state: AssessedState, listens: boolean, at: number) => {
			const detail = listens ? "a socket is there" : "nothing listens there";
			return assess(state, [{ subject: A, kind: "port", passed: listens, at, drains: true, detail }], rules);
		};
		const dead = say(new Map(), false, 0);
		expect(dead.get(A)).toMatchObject({ health: "unhealthy", drains: true, reason: "nothing listens there" });
		expect(say(dead, true, 500).get(A)?.health).toBe("unhealthy");
		expect(say(dead, true, 1000).get(A)).toMatchObject({ health: "healthy", reason: "a socket is there again" });
	});
});
