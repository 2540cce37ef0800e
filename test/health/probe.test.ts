// probe.test.ts - what passes a probe, and when the next one is due.

import { describe, expect, test } from "vitest";
import { answerFault, dnsFault, dnsQuestion, nextProbeMs, statusFault } from "../../src/health/index.js";

const schedule = { intervalMs: 1000, jitter: 0.1, fall: 3 };

describe("probes", () => {
	test("R31: they follow one another by the interval with its jitter; after a failure at once, until enough have failed", () => {
		expect(nextProbeMs(schedule, 0, 0, 0.5)).toBe(1000);
		expect(nextProbeMs(schedule, 0, 300, 0)).toBe(600);
		expect(nextProbeMs(schedule, 0, 0, 1)).toBe(1100);
		expect([1, 2].map((failures) => nextProbeMs(schedule, failures, 500, 0.5))).toEqual([100, 100]);
		expect(nextProbeMs(schedule, 3, 500, 0.5), "it is unhealthy").toBe(500);
		expect(nextProbeMs(schedule, 0, 5000, 0.5)).toBe(100);
	});

	test("R31: a death is found within one interval, three timeouts and the time between", () => {
		const timeoutMs = 500;
		let at = 1100;
		for (let failures = 1; failures < 3; failures++) at += timeoutMs + nextProbeMs(schedule, failures, timeoutMs, 1);
		expect(at + timeoutMs).toBeLessThanOrEqual(3000);
	});

	test("R31: DNS: any answer of a server that serves passes, of NXDOMAIN too; SERVFAIL does not", () => {
		const question = dnsQuestion({ name: "whoami.lab.", record: "TXT" }, 0x1234)!;
		expect(question.toString("hex")).toBe("1234000000010000000000000677686f616d69036c61620000100001");
		expect(dnsQuestion({ name: "", record: "SOA" }, 1)?.length).toBe(17);
		expect(dnsQuestion({ name: "a..b", record: "A" }, 1)).toBeUndefined();
		expect(dnsQuestion({ name: `${"x".repeat(64)}.lab`, record: "A" }, 1)).toBeUndefined();
		const answer = (flags: number, id = 0x1234) => {
			const bytes = Buffer.from(question);
			bytes.writeUInt16BE(id, 0);
			bytes.writeUInt16BE(flags, 2);
			return bytes;
		};
		expect(dnsFault(answer(0x8180), 0x1234)).toBeUndefined();
		expect(dnsFault(answer(0x8183), 0x1234)).toBeUndefined();
		expect(dnsFault(answer(0x8182), 0x1234)).toBe("answer SERVFAIL");
		for (const bad of [answer(0x0100), answer(0x8180, 1), Buffer.alloc(3)])
			expect(dnsFault(bad, 0x1234)).toBe("an answer that is not DNS");
	});

	test("R31: an answer contains what is expected; a status is the one that is expected, or below 400", () => {
		const answer = Buffer.from("ÿÿÿÿI server", "latin1");
		expect(answerFault({ expect: "ffffffff49" }, answer)).toBeUndefined();
		expect(answerFault({ expect: null }, answer)).toBeUndefined();
		expect(answerFault({ expect: "00" }, answer)).toBe("another answer");
		expect([200, 301, 404, 503].map((status) => statusFault({ status: null }, status))).toEqual([
			undefined,
			undefined,
			"status 404",
			"status 503",
		]);
		expect(statusFault({ status: 404 }, 404)).toBeUndefined();
		expect(statusFault({ status: 204 }, 200)).toBe("status 200");
	});
});
