// client-reports.test.ts - how many networks' reports make a failure, within which time, and what a probe says against them.

import { describe, expect, test } from "vitest";
import {
	networkCount,
	REPORT_WINDOW_MS,
	type ReportWindow,
	readReports,
	reportsText,
	reportVerdict,
} from "../../src/health/index.js";

const PLACE = "b2 dns 53";
const window = (...readings: [at: number, networks: bigint][]) =>
	readings
		.reduce<ReportWindow>((before, [at, networks]) => readReports(before, [[PLACE, networks]], at), new Map())
		.get(PLACE) ?? [];

describe("clients' failure reports", () => {
	test("R31: networks are counted, not reports: one that reports again and again stays one", () => {
		const readings = window([0, 0b1n], [500, 0b1n], [1000, 0b1n], [1500, 0b1n]);
		expect(networkCount(readings)).toBe(1);
		expect(reportVerdict(readings, 2, undefined, 1500)).toBe("few");
		expect(networkCount(window([0, 1n << 63n], [500, 0b110n]))).toBe(3);
	});

	test("R31: a quorum within the window is a failure, one that is spread over a longer time is none", () => {
		expect(reportVerdict(window([0, 0b1n], [500, 0b110n]), 3, undefined, 500)).toBe("failed");
		const spread = window([0, 0b1n], [REPORT_WINDOW_MS - 1000, 0b10n], [REPORT_WINDOW_MS + 1, 0b100n]);
		expect(reportVerdict(spread, 3, undefined, REPORT_WINDOW_MS + 1)).toBe("few");
		expect(readReports(new Map([[PLACE, spread]]), [], 3 * REPORT_WINDOW_MS).size).toBe(0);
	});

	test("R31: no number of networks is enough where reports are turned off, and one never is", () => {
		const all = window([0, (1n << 64n) - 1n]);
		expect(networkCount(all)).toBe(64);
		for (const quorum of [0, 1]) expect(reportVerdict(all, quorum, undefined, 0)).toBe("few");
	});

	test("R31: a probe that passes after the first report outweighs them; one from before leaves it to the next; a failed one agrees", () => {
		const readings = window([1000, 0b111n]);
		const verdict = (passed: boolean, startedAt: number, now = 1100) =>
			reportVerdict(readings, 3, { passed, startedAt }, now);
		expect(verdict(true, 1000)).toBe("outweighed");
		expect(verdict(true, 900)).toBe("open");
		expect(verdict(false, 900)).toBe("failed");
		expect(verdict(true, 900, 901 + REPORT_WINDOW_MS), "probes are rarer than the window").toBe("failed");
	});

	test("R31: the reason is a sentence", () => {
		expect(reportsText("b2", "dns", 5)).toBe("b2: 5 client networks report that dns does not answer there");
		expect(reportsText("b2", "dns", 1)).toBe("b2: 1 client network reports that dns does not answer there");
	});
});
