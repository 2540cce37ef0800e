import { describe, expect, test } from "vitest";
import { parseRange, prefixContains, readAddress } from "../../src/wire/index.js";

const texts = (range: string) => {
	const prefixes = parseRange(range);
	return Array.isArray(prefixes) ? prefixes.map(({ text }) => text) : prefixes;
};

describe("R2: a range of addresses", () => {
	test("becomes the fewest prefixes that hold exactly its addresses", () => {
		expect(texts("198.51.100.10-198.51.100.99")).toEqual([
			"198.51.100.10/31",
			"198.51.100.12/30",
			"198.51.100.16/28",
			"198.51.100.32/27",
			"198.51.100.64/27",
			"198.51.100.96/30",
		]);
		expect(texts("198.51.100.0 - 198.51.100.255")).toEqual(["198.51.100.0/24"]);
		expect(texts("198.51.100.7-198.51.100.7")).toEqual(["198.51.100.7/32"]);
		expect(texts("0.0.0.0-255.255.255.255")).toEqual(["0.0.0.0/0"]);
		expect(texts("2001:db8::fffe-2001:db8::1:1")).toEqual(["2001:db8::fffe/127", "2001:db8::1:0/127"]);
		expect(texts("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")).toEqual(["::/0"]);
	});

	test("holds its first and last address, and not those beside them", () => {
		const prefixes = parseRange("198.51.100.10-198.51.103.99");
		if (!Array.isArray(prefixes)) throw new Error("not a range");
		const holds = (text: string) => prefixes.some((one) => prefixContains(one, readAddress(text)!.bytes));
		const ends = ["198.51.100.9", "198.51.100.10", "198.51.102.0", "198.51.103.99", "198.51.103.100"];
		expect(ends.map(holds)).toEqual([false, true, true, true, false]);
	});

	test("is refused where it runs backwards, mixes families or is none", () => {
		expect(texts("198.51.100.9-198.51.100.1")).toBe("backwards");
		expect(texts("198.51.100.9-2001:db8::1")).toBe("families");
		for (const text of ["198.51.100.1", "198.51.100.1-", "1-2", "198.51.100.0/24-198.51.101.0/24", "a-b"])
			expect(texts(text), text).toBeUndefined();
	});
});
