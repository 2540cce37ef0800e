// address.ts - IP addresses: text <-> 16 bytes.
//
// IPv4 has its IPv6-mapped form (::ffff:a.b.c.d, RFC 4291 2.5.5.2), as in native/datapath/types.h.
// Owns: the parsing and the canonical text of addresses, for every room (endpoint.ts and prefix.ts build on it).
// Must never: resolve a name, throw on invalid text, or accept spellings that programs read differently (010.0.0.1,
// 10.1, 0x7f000001).

import { isIPv6 } from "node:net";

export interface Address {
	/** Of the text: an IPv4-mapped IPv6 address has family 6. */
	readonly family: 4 | 6;
	/** Canonical: dotted for IPv4, RFC 5952 for IPv6. */
	readonly text: string;
	/** 16 bytes, IPv4 in mapped form. */
	readonly bytes: Uint8Array;
}

/** An address written out in full; undefined if the text is not one. */
export function readAddress(text: string): Address | undefined {
	const four = dottedDecimal(text);
	// Its only spelling is the canonical one.
	if (four !== undefined) return { family: 4, text, bytes: mapped(four) };
	if (text.includes("%") || !isIPv6(text)) return undefined;
	const bytes = ipv6Bytes(text);
	return { family: 6, text: formatIpv6(bytes), bytes };
}

/** Whether the text is an IPv4 address in its only spelling; without bytes, because every connection asks. */
export function isDottedDecimal(text: string): boolean {
	return DOTTED_DECIMAL.test(text);
}
const DOTTED_DECIMAL =
	/^(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}$/;

/** The 4 bytes of "203.0.113.7"; undefined if the text is anything else. A configuration may have 100,000 of them. */
function dottedDecimal(text: string): number[] | undefined {
	const four: number[] = [];
	let digits = 0;
	let octet = 0;
	for (let i = 0; i <= text.length; i++) {
		const code = i === text.length ? 46 : text.charCodeAt(i);
		if (code === 46) {
			if (digits === 0 || four.length === 4) return undefined;
			four.push(octet);
			digits = octet = 0;
		} else {
			if (code < 48 || code > 57 || (digits > 0 && octet === 0)) return undefined;
			octet = 10 * octet + code - 48;
			digits++;
			if (octet > 255) return undefined;
		}
	}
	return four.length === 4 ? four : undefined;
}

/** The 16 bytes of a valid IPv6 address without a zone. */
function ipv6Bytes(text: string): Uint8Array {
	const [head = "", tail] = text.split("::");
	const before = groupBytes(head);
	const after = groupBytes(tail ?? "");
	const bytes = new Uint8Array(16);
	bytes.set(before);
	bytes.set(after, 16 - after.length);
	return bytes;
}

/** The bytes of groups, of which the last may be an IPv4 address. */
function groupBytes(text: string): number[] {
	if (text === "") return [];
	return text.split(":").flatMap((group) => {
		if (group.includes(".")) return dottedDecimal(group) as number[];
		const value = Number.parseInt(group, 16);
		return [value >> 8, value & 0xff];
	});
}

/** The 16 bytes of an address; undefined if the text is not one. */
export function parseAddress(text: string): Uint8Array | undefined {
	return readAddress(text)?.bytes;
}

/** Canonical text of 4 bytes, or of 16 with IPv4 in mapped form. */
export function formatAddress(bytes: Uint8Array): string {
	if (bytes.length === 4) return bytes.join(".");
	if (bytes.length !== 16) return "?";
	if (isMapped(bytes)) return bytes.subarray(12).join(".");
	return formatIpv6(bytes);
}

/** RFC 5952 text of 16 bytes, also for an IPv4-mapped address. */
export function formatIpv6(bytes: Uint8Array): string {
	const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number));
	// The first of the longest runs of at least two zero groups is left out.
	let zeros = { at: 0, length: 1 };
	for (let at = 0; at < 8; at++) {
		let length = 0;
		while (groups[at + length] === 0) length++;
		if (length > zeros.length) zeros = { at, length };
	}
	const hex = (list: readonly number[]) => list.map((group) => group.toString(16)).join(":");
	if (zeros.length === 1) return hex(groups);
	return `${hex(groups.slice(0, zeros.at))}::${hex(groups.slice(zeros.at + zeros.length))}`;
}

/** 4 bytes in mapped form. */
export function mapped(four: ArrayLike<number>): Uint8Array {
	const bytes = new Uint8Array(16);
	bytes[10] = bytes[11] = 0xff;
	bytes.set(four, 12);
	return bytes;
}

export function isMapped(bytes: Uint8Array): boolean {
	for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
	return bytes[10] === 0xff && bytes[11] === 0xff;
}
