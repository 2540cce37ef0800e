// range.ts - a range of addresses, "198.51.100.10-198.51.100.99", as the fewest prefixes that hold exactly its addresses.
//
// Owns: that spelling and the division. Must never: merge ranges with one another.

import { type Address, readAddress } from "./address.js";
import { type Prefix, parsePrefix } from "./prefix.js";

/** What is wrong with the text of a range; `first` and `last` are valid addresses. */
export type RangeFault = "families" | "backwards";

/** undefined: the text is not two addresses with a dash between them. */
export function parseRange(written: string): readonly Prefix[] | RangeFault | undefined {
	if (!written.includes("-")) return undefined;
	const [first, last, ...more] = written.split("-").map((text) => readAddress(text.trim()));
	if (first === undefined || last === undefined || more.length > 0) return undefined;
	if (first.family !== last.family) return "families";
	const [low, high] = [numberOf(first), numberOf(last)];
	return low > high ? "backwards" : divide(low, high, first.family);
}

/** From the low end, each time the largest prefix that begins there and does not reach beyond the high end. */
function divide(low: bigint, high: bigint, family: 4 | 6): Prefix[] {
	const bits = family === 4 ? 32 : 128;
	const prefixes: Prefix[] = [];
	for (let at = low; at <= high; ) {
		let host = 0;
		while (host < bits && (at & (1n << BigInt(host))) === 0n && at + (1n << BigInt(host + 1)) - 1n <= high) host++;
		prefixes.push(parsePrefix(`${textOf(at, family)}/${bits - host}`) as Prefix);
		at += 1n << BigInt(host);
	}
	return prefixes;
}

function numberOf({ bytes, family }: Address): bigint {
	const own = family === 4 ? bytes.subarray(12) : bytes;
	return own.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function textOf(value: bigint, family: 4 | 6): string {
	const group = (i: number, bits: number) => Number((value >> BigInt(i * bits)) & ((1n << BigInt(bits)) - 1n));
	if (family === 4) return [3, 2, 1, 0].map((i) => group(i, 8)).join(".");
	return [7, 6, 5, 4, 3, 2, 1, 0].map((i) => group(i, 16).toString(16)).join(":");
}
