// prefix.ts - address prefixes: text <-> object, and membership.
//
// Owns: the one parser and the one formatter of prefixes. A length counts bits of the family as written (0 to 32, 0 to
// 128); a mapped length counts bits of the 16-byte form, where an IPv4 /24 has 120.

import { type Address, formatAddress, formatIpv6, readAddress } from "./address.js";

export interface Prefix extends Address {
	/** As written. */
	readonly length: number;
	/** Of the 16 bytes. */
	readonly mappedLength: number;
	/** True if bits beyond the length are set in the text; `text` and `bytes` have them cleared. */
	readonly hostBits: boolean;
}

/** 10.0.0.0/8, 2001:db8::/32, or a single address as the longest prefix; undefined if the text is not one. */
export function parsePrefix(written: string): Prefix | undefined {
	const [base = "", suffix, ...more] = written.split("/");
	const address = readAddress(base);
	if (address === undefined || more.length > 0) return undefined;
	const { family } = address;
	const bits = family === 4 ? 32 : 128;
	if (suffix !== undefined && !/^(0|[1-9][0-9]{0,2})$/.test(suffix)) return undefined;
	const length = suffix === undefined ? bits : Number(suffix);
	if (length > bits) return undefined;
	const mappedLength = length + 128 - bits;
	const bytes = maskBytes(address.bytes, mappedLength);
	const hostBits = bytes.some((byte, i) => byte !== address.bytes[i]);
	const canonical = !hostBits ? address.text : family === 4 ? formatAddress(bytes) : formatIpv6(bytes);
	const text = `${canonical}/${length}`;
	return { family, text, bytes, length, mappedLength, hostBits };
}

/** Of 16 bytes and a mapped length; `family` says how the prefix was written. */
export function formatPrefix(bytes: Uint8Array, mappedLength: number, family: 4 | 6): string {
	return `${formatAddress(bytes)}/${family === 4 ? mappedLength - 96 : mappedLength}`;
}

/** Whether 16 bytes of an address are in the prefix. */
export function prefixContains(prefix: Pick<Prefix, "bytes" | "mappedLength">, address: Uint8Array): boolean {
	const whole = prefix.mappedLength >> 3;
	for (let i = 0; i < whole; i++) if (prefix.bytes[i] !== address[i]) return false;
	const rest = prefix.mappedLength & 7;
	return rest === 0 || ((prefix.bytes[whole] as number) ^ (address[whole] as number)) >> (8 - rest) === 0;
}

/** A copy with all bits beyond `length` cleared. */
export function maskBytes(bytes: Uint8Array, length: number): Uint8Array {
	const masked = new Uint8Array(bytes.length);
	for (let i = 0; i < bytes.length && i * 8 < length; i++)
		masked[i] = (bytes[i] as number) & (0xff << (8 - Math.min(8, length - i * 8)));
	return masked;
}
