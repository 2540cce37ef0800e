// link-rates.test.ts - rates, utilisation and headroom from two readings; wraps, resets and unknown speeds.

import { expect, test } from "vitest";
import { LINK_COUNTERS } from "../../src/engine/host.js";
import { type LinkRatesOptions, linkRates } from "../../src/load/link-rates.js";

type Name = (typeof LINK_COUNTERS)[number];
const reading = (values: Partial<Record<Name, number | bigint>>) =>
	BigUint64Array.from(LINK_COUNTERS.map((name) => BigInt(values[name] ?? 0)));
const SECOND = 1_000_000_000n;
const rates = (
	before: Partial<Record<Name, number | bigint>>,
	after: Partial<Record<Name, number | bigint>>,
	options: Partial<LinkRatesOptions> = {},
	elapsed = SECOND,
) => linkRates(reading(before), reading(after), elapsed, { speedBps: 0, ...options });

test("each counter gives its own rate over the elapsed time", () => {
	const before = {
		rxPackets: 10,
		rxBytes: 1000,
		rxDropped: 1,
		rxErrors: 2,
		txPackets: 20,
		txBytes: 3000,
		txDropped: 3,
	};
	const after = {
		rxPackets: 110,
		rxBytes: 11_000,
		rxDropped: 5,
		rxErrors: 4,
		txPackets: 40,
		txBytes: 7000,
		txDropped: 5,
	};
	expect(rates(before, after, {}, 2n * SECOND)).toEqual({
		rxBps: 40_000,
		txBps: 16_000,
		rxPps: 50,
		txPps: 10,
		rxDrops: 2,
		txDrops: 1,
		rxErrors: 1,
		txErrors: 0,
		rxUtilisation: null,
		txUtilisation: null,
		rxHeadroomBps: null,
		txHeadroomBps: null,
		reset: false,
	});
	expect(rates({ txErrors: 1 }, { txErrors: 8 })?.txErrors).toBe(7);
});

test("a wire full of small packets is fully used: preamble, frame check sequence and gap count", () => {
	// 10 Gbit/s carry at most 14,880,952 frames of 64 bytes a second; the kernel counts 60 bytes of each.
	const full = { rxPackets: 14_880_952, rxBytes: 14_880_952 * 60 };
	const ten = rates({}, full, { speedBps: 10e9 });
	expect(ten?.rxUtilisation).toBeCloseTo(1, 6);
	expect(ten?.rxHeadroomBps).toBeLessThan(1000);
	expect(ten?.txUtilisation).toBe(0);
	expect(ten?.txHeadroomBps).toBe(10e9);
	expect(rates({}, full, { speedBps: 10e9, overheadBytes: 0 })?.rxUtilisation).toBeCloseTo(60 / 84, 6);
	expect(rates({}, full, { speedBps: 1e9 })).toMatchObject({ rxUtilisation: 1, rxHeadroomBps: 0 });
});

test("an unknown speed leaves utilisation and headroom unknown", () => {
	for (const speedBps of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
		expect(rates({}, { rxBytes: 10 }, { speedBps })).toMatchObject({
			rxBps: 80,
			rxUtilisation: null,
			txUtilisation: null,
			rxHeadroomBps: null,
			txHeadroomBps: null,
		});
});

test("a counter of 32 or 64 bits may wrap", () => {
	expect(rates({ rxBytes: 2 ** 32 - 100, rxPackets: 5 }, { rxBytes: 900, rxPackets: 6 })).toMatchObject({
		rxBps: 8000,
		rxPps: 1,
		reset: false,
	});
	expect(rates({ txBytes: (1n << 64n) - 100n }, { txBytes: 100 })).toMatchObject({ txBps: 1600, reset: false });
	// Each direction may wrap once in the same interval.
	expect(
		rates({ rxBytes: 2 ** 32 - 1, txBytes: 2 ** 32 - 1, rxPackets: 1 }, { rxBytes: 0, txBytes: 1, rxPackets: 2 }),
	).toMatchObject({ rxBps: 8, txBps: 16, reset: false });
});

test("counters that were reset count from 0, and the rates are marked as a lower bound", () => {
	const before = { rxPackets: 4e9, rxBytes: 4e9, txPackets: 10, txBytes: 20, rxErrors: 7 };
	expect(rates(before, { rxPackets: 10, rxBytes: 1000, txPackets: 30, txBytes: 40 })).toMatchObject({
		rxPps: 10,
		rxBps: 8000,
		txPps: 30, // not 20: the other direction's counters are the same driver's
		rxErrors: 0,
		reset: true,
	});
	// A single counter far below its range has not wrapped either.
	expect(rates({ rxDropped: 1000 }, { rxDropped: 3 })).toMatchObject({ rxDrops: 3, reset: true });
	expect(rates({ rxBytes: 1n << 40n }, { rxBytes: 50 })).toMatchObject({ rxBps: 400, reset: true });
});

test("without elapsed time or with an incomplete reading there is no rate", () => {
	expect(rates({}, { rxBytes: 1 }, {}, 0n)).toBeNull();
	expect(rates({}, { rxBytes: 1 }, {}, -5n)).toBeNull();
	expect(linkRates(new BigUint64Array(7), new BigUint64Array(8), SECOND, { speedBps: 1 })).toBeNull();
	expect(linkRates(new BigUint64Array(8), new BigUint64Array(0), SECOND, { speedBps: 1 })).toBeNull();
});

test("for any readings, no rate is negative and no utilisation exceeds 1", () => {
	let state = 88172645463325252n;
	const random = () => {
		state ^= (state << 13n) & 0xffff_ffff_ffff_ffffn;
		state ^= state >> 7n;
		state ^= (state << 17n) & 0xffff_ffff_ffff_ffffn;
		return state;
	};
	for (let i = 0; i < 3000; i++) {
		const some = () => BigUint64Array.from(LINK_COUNTERS, () => random() >> (random() & 63n));
		const found = linkRates(some(), some(), (random() & 0xffff_ffffn) + 1n, { speedBps: Number(random() >> 30n) });
		for (const [name, value] of Object.entries(found ?? {})) {
			if (typeof value !== "number") continue;
			expect(value).toBeGreaterThanOrEqual(0);
			if (name.endsWith("Utilisation")) expect(value).toBeLessThanOrEqual(1);
		}
	}
});
