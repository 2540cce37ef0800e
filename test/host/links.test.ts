// links.test.ts - counters, state and rates of real links: loopback, and a veth pair of the test's own.

import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { host, inject } from "../../src/engine/index.js";
import { linkRates } from "../../src/load/link-rates.js";

const ROOT = process.getuid?.() === 0;
const A = `ht${process.pid % 100_000}a`;
const B = `ht${process.pid % 100_000}b`;
const ip = (...args: string[]) => execFileSync("ip", args, { stdio: "pipe" });

test("loopback's speed is unknown unless it is told, and its state is", () => {
	const { LinkCounters } = host();
	expect(new LinkCounters("lo").speedBps()).toBe(0);
	expect(new LinkCounters("lo", 25e9).speedBps()).toBe(25e9);
	expect(new LinkCounters("lo", 25e9).state()).toMatchObject({ duplex: null, speedBps: 25e9 });
	expect(() => new LinkCounters("no-such-link")).toThrow(expect.objectContaining({ code: "ENODEV" }));
	expect(() => new (host().QueueCounters)("no-such-link")).toThrow(expect.objectContaining({ code: "ENODEV" }));
	expect(new (host().QueueCounters)("lo").read()).toEqual([]);
});

describe.runIf(ROOT)("a veth pair", () => {
	beforeAll(() => {
		ip("link", "add", A, "type", "veth", "peer", "name", B);
		for (const link of [A, B]) execFileSync("sysctl", ["-qw", `net.ipv6.conf.${link}.disable_ipv6=1`]);
		ip("link", "set", A, "up");
		ip("link", "set", B, "up");
	});
	afterAll(() => {
		try {
			ip("link", "del", A);
		} catch {
			// a test has taken it
		}
	});

	test("what was sent is what the counters say, and the rates follow", async () => {
		const { LinkCounters } = host();
		const out = new LinkCounters(A);
		const into = new LinkCounters(B, 1e9);
		const before = into.read(new BigUint64Array(8));
		const sentBefore = out.read(new BigUint64Array(8));
		const frame = Buffer.alloc(1000);
		frame.fill(0xff, 0, 6);
		frame.writeUInt16BE(0x88b5, 12); // a protocol for experiments: no host answers
		const { sent } = await inject({ interface: A, frames: [frame], count: 500 });
		expect(sent).toBe(500);
		const rates = linkRates(before, into.read(new BigUint64Array(8)), 1_000_000_000n, { speedBps: into.speedBps() });
		expect(rates).toMatchObject({ rxPps: 500, rxBps: 4e6, txPps: 0, reset: false });
		expect(rates?.rxUtilisation).toBeCloseTo((500 * 1024 * 8) / 1e9, 9);
		expect(rates?.rxHeadroomBps).toBeCloseTo(1e9 - 500 * 1024 * 8, 3);
		const own = linkRates(sentBefore, out.read(new BigUint64Array(8)), 500_000_000n, { speedBps: out.speedBps() });
		expect(own).toMatchObject({ txPps: 1000, txBps: 8e6 });
	});

	test("the state follows the link's, and counters stay those of this interface", () => {
		const { LinkCounters, QueueCounters } = host();
		const counters = new LinkCounters(A);
		const queues = new QueueCounters(A);
		expect(counters.state()).toMatchObject({ up: true, operstate: "up", carrier: true, duplex: "full" });
		expect(counters.state().speedBps).toBeGreaterThan(0);
		ip("link", "set", B, "down");
		expect(counters.state()).toMatchObject({ up: false, operstate: "lowerlayerdown", carrier: false });
		ip("link", "set", A, "down");
		expect(counters.state()).toMatchObject({ up: false, operstate: "down", carrier: null });
		expect(queues.raw().map(({ name }) => name)).toContain("peer_ifindex");
		expect(queues.read().map(({ queue }) => queue)).toContain(0);
		// Another interface of the same name is another one.
		ip("link", "del", A);
		ip("link", "add", A, "type", "veth", "peer", "name", B);
		for (const ask of [() => counters.read(new BigUint64Array(8)), () => counters.state()])
			expect(ask).toThrow(expect.objectContaining({ code: "ENODEV" }));
		ip("link", "del", A);
		expect(() => queues.read()).toThrow(expect.objectContaining({ code: "ENODEV" }));
	});
});
