// accounted.test.ts - R37: packets are conserved: those that came and their reasons are read while both change.
import { describe, expect, test } from "vitest";
import { type Counters, Statistics } from "../../src/engine/index.js";

const statistics = new Statistics({ memory: new ArrayBuffer(8), stride: 1, workers: 1 });
const at = (packetsIn: number, passed: number) =>
	({ packetsIn, reasons: { not_ip: { packets: passed, bytes: 0 } } }) as unknown as Counters;
/** These readings, the last of them for ever. */
const reading =
	(...list: Counters[]) =>
	() =>
		list.length > 1 ? (list.shift() as Counters) : (list[0] as Counters);

describe("counters that change while they are read", () => {
	test("R37: a packet that came between the two numbers is read again", () => {
		const { counters, conserved } = statistics.accounted(reading(at(540, 541), at(540, 541), at(541, 541)));
		expect([conserved, counters.packetsIn]).toEqual([true, 541]);
	});

	test("R37: under traffic the reasons lie between what came before and after", () => {
		expect(statistics.accounted(reading(at(1000, 2000), at(3000, 4000), at(5000, 6000))).conserved).toBe(true);
	});

	test("R37: packets that are missing are missing, at rest and under traffic", () => {
		expect(statistics.accounted(reading(at(541, 540))).conserved).toBe(false);
		const lossy = Array.from({ length: 20 }, (_, i) => at(10_000 * i + 50_000, 10_000 * i));
		expect(statistics.accounted(reading(...lossy)).conserved).toBe(false);
	});
});
