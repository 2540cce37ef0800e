import { describe, expect, test } from "vitest";
import { formatIpv6, readAddress } from "../../src/wire/index.js";

describe("R1: an address", () => {
	test.each([
		["203.0.113.7", "00000000000000000000ffffcb007107", "203.0.113.7"],
		["::ffff:203.0.113.7", "00000000000000000000ffffcb007107", "::ffff:cb00:7107"],
		["2001:DB8::A", "20010db800000000000000000000000a", "2001:db8::a"],
		["1:2:3:4:5:6:7:8", "00010002000300040005000600070008", "1:2:3:4:5:6:7:8"],
		["::", "00000000000000000000000000000000", "::"],
		["1::", "00010000000000000000000000000000", "1::"],
		["64:ff9b::192.0.2.33", "0064ff9b0000000000000000c0000221", "64:ff9b::c000:221"],
		// The first of the longest runs is left out, and a single group is not.
		["1:0:0:2:0:0:3:0", "00010000000000020000000000030000", "1::2:0:0:3:0"],
		["1:0:2:3:4:5:6:7", "00010000000200030004000500060007", "1:0:2:3:4:5:6:7"],
	])("%s has its bytes and its canonical text", (text, hex, canonical) => {
		const address = readAddress(text);
		expect(Buffer.from(address?.bytes ?? []).toString("hex")).toBe(hex);
		expect(address?.text).toBe(canonical);
		if (address?.family === 6) expect(formatIpv6(address.bytes)).toBe(canonical);
	});

	test.each([
		"",
		":",
		"1",
		"::1::",
		"12345::",
		"::g",
		" ::1",
		"fe80::1%eth0",
		"1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7:192.0.2.1",
		"::ffff:010.0.0.1",
		"010.0.0.1",
		"10.1",
		"256.0.0.1",
	])("%j is none", (text) => {
		expect(readAddress(text)).toBe(undefined);
	});
});
