// cpu.test.ts - the processors' use, from the text of /proc/stat.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type CpuReading, cpuLoad, parseProcStat } from "../../src/load/cpu.js";

const parse = (...lines: string[]) => parseProcStat(lines.join("\n")) as CpuReading;
const FIRST = parse(
	"cpu  300 0 300 1400 0 0 0 0 0 0",
	"cpu0 100 0 100 800 0 0 0 0 0 0",
	"cpu1 200 0 200 600 0 0 0 0 0 0",
	"intr 12 0 0",
);

test("busy is all time except idle and iowait; the busiest processor is given beside the mean", () => {
	const second = parse("cpu0 110 5 110 840 20 5 10 0 0 0", "cpu1 290 0 210 600 0 0 0 0 90 0", "ctxt 1");
	// cpu0: 10+5+10+5+10 = 40 of 100; cpu1: 90+10 = 100 of 100, the guest's 90 being among the user's.
	expect(cpuLoad(FIRST, second)).toEqual({ busy: 0.7, busiest: 1, processors: 2 });
});

test("stolen time is busy", () => {
	expect(cpuLoad(FIRST, parse("cpu0 100 0 100 850 0 0 0 50"))).toEqual({ busy: 0.5, busiest: 0.5, processors: 1 });
});

test("columns that run backwards, processors that go online and offline, and no elapsed time", () => {
	const waiting = parse("cpu0 100 0 100 800 50 0 0 0");
	expect(cpuLoad(waiting, parse("cpu0 110 0 100 810 40 0 0 0"))).toEqual({ busy: 0.5, busiest: 0.5, processors: 1 });
	expect(cpuLoad(FIRST, FIRST)).toBeNull();
	expect(cpuLoad(FIRST, parse("cpu7 5 5 5 5"))).toBeNull();
	expect(cpuLoad(FIRST, parse("cpu1 210 0 200 610 0 0 0 0", "cpu2 9 9 9 9"))?.busy).toBe(0.5);
});

test("other text than /proc/stat is refused", () => {
	for (const text of ["", "cpu  1 2 3 4", "cpu0", "cpu0 1 2 3", "cpu0 a b c d", "cpux 1 2 3 4", "\0\0"])
		expect(parseProcStat(text)).toBeNull();
	expect(parseProcStat("cpu0 1 2 3 4")).not.toBeNull();
});

test("this host's /proc/stat gives fractions between 0 and 1", async () => {
	const read = () => parseProcStat(readFileSync("/proc/stat", "utf8")) as CpuReading;
	const before = read();
	const end = Date.now() + 300;
	while (Date.now() < end) Math.sqrt(end); // keeps one processor busy
	const load = cpuLoad(before, read());
	expect(load?.busiest).toBeGreaterThan(0);
	expect(load?.busiest).toBeLessThanOrEqual(1);
	expect(load?.busy).toBeLessThanOrEqual(load?.busiest as number);
	expect(load?.processors).toBeGreaterThan(0);
});
