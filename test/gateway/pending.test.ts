// pending.test.ts - what a gateway waits for before it is ready.

import { expect, test, vi } from "vitest";
import { firstDeadlineMs, pendingOf } from "../../src/gateway/pending.js";
import type { Health } from "../../src/health/index.js";
import { Readiness } from "../../src/member/readiness.js";

const backend = (name: string, address: string, state: "active" | "draining" | "inactive" = "active") => ({
	name,
	addresses: [address],
	interfaces: [],
	state,
	capacity: 1,
	uplinks: [],
});
const BACKENDS = [backend("b1", "10.0.0.1"), backend("b2", "10.0.0.2"), backend("b3", "10.0.0.3", "inactive")];

test("R36: a gateway waits for each backend's first word and next hop, and for none that is out of service", () => {
	const health = (name: string): Health => (name === "b1" ? "unhealthy" : "unknown");
	expect(pendingOf(BACKENDS, health, ["10.0.0.2", "10.0.0.3"])).toEqual([
		"the first load report of b2",
		"the next hop to 10.0.0.2",
	]);
	expect(pendingOf(BACKENDS, () => "healthy", [])).toEqual([]);
});

test("R36: the deadline follows the interval of load queries", () => {
	expect(firstDeadlineMs(1000)).toBe(2500);
	expect(firstDeadlineMs(100)).toBe(1500);
});

test("R36: a member is ready once its last tables are published, or when the deadline is over, and stays so", async () => {
	vi.useFakeTimers();
	let what = ["the first load report of b2"];
	let deadlineOver = false;
	let publish: () => void = () => {};
	const told: (readonly string[])[] = [];
	const make = () =>
		new Readiness({
			pending: () => ({ what, deadlineOver }),
			published: () => new Promise((resolve) => (publish = resolve)),
			ready: (unknown) => told.push(unknown),
		});
	const first = make();
	first.start();
	await vi.advanceTimersByTimeAsync(1000);
	expect(first.waitingFor).toEqual(what);
	what = [];
	await vi.advanceTimersByTimeAsync(50);
	expect(first.since, "its tables are not published yet").toBeUndefined();
	expect(first.waitingFor).toEqual(["its tables"]);
	publish();
	await vi.advanceTimersByTimeAsync(0);
	expect(told).toEqual([[]]);
	expect(first.since).toBeDefined();
	what = ["the next hop to 10.0.0.2"];
	expect(first.waitingFor).toEqual([]);

	const second = make();
	second.start();
	await vi.advanceTimersByTimeAsync(100);
	deadlineOver = true;
	await vi.advanceTimersByTimeAsync(50);
	publish();
	await vi.advanceTimersByTimeAsync(0);
	expect(told[1]).toEqual(what);
	vi.useRealTimers();
});
