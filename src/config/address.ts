// address.ts - Internet addresses and prefixes: from text, into one canonical spelling, and into the 16 bytes of the
// tables (IPv4 in mapped form, ::ffff:a.b.c.d, RFC 4291 2.5.5.2).
//
// Must never: accept a spelling that programs read differently (010.0.0.1, 10.1, 0x7f000001).

import ipaddr from "ipaddr.js";
import type { Family } from "./model.js";

export interface Address {
	readonly family: Family;
	/** Canonical: dotted decimal, or RFC 5952. */
	readonly text: string;
	/** 16 bytes, IPv4 in mapped form. */
	readonly bytes: Buffer;
}

export interface Prefix extends Address {
	/** As written: 0..32 or 0..128. */
	readonly length: number;
	/** Of the 128-bit mapped form. */
	readonly mappedLength: number;
	/** True if the text has bits set beyond the length; `text` and `bytes` have them cleared. */
	readonly hostBits: boolean;
}

export function parseAddress(text: string): Address | undefined {
	if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
		const bytes = Buffer.alloc(16);
		bytes.writeUInt16BE(0xffff, 10);
		bytes.set(ipaddr.IPv4.parse(text).toByteArray(), 12);
		return { family: 4, text: ipaddr.IPv4.parse(text).toString(), bytes };
	}
	if (!ipaddr.IPv6.isValid(text) || text.includes("%")) return undefined;
	const six = ipaddr.IPv6.parse(text);
	return { family: 6, text: six.toRFC5952String(), bytes: Buffer.from(six.toByteArray()) };
}

/** A prefix; a single address is a prefix of full length. */
export function parsePrefix(text: string): Prefix | undefined {
	const [base, suffix, ...more] = text.split("/");
	const address = parseAddress(base ?? "");
	if (address === undefined || more.length > 0) return undefined;
	const bits = address.family === 4 ? 32 : 128;
	if (suffix !== undefined && !/^(0|[1-9][0-9]{0,2})$/.test(suffix)) return undefined;
	const length = suffix === undefined ? bits : Number(suffix);
	if (length > bits) return undefined;
	const mappedLength = length + 128 - bits;
	const bytes = maskBytes(address.bytes, mappedLength);
	return {
		family: address.family,
		text: `${address.family === 4 ? addressText(bytes) : new ipaddr.IPv6([...bytes]).toRFC5952String()}/${length}`,
		bytes,
		length,
		mappedLength,
		hostBits: !bytes.equals(address.bytes),
	};
}

/** The canonical spelling of 16 bytes. */
export function addressText(bytes: Uint8Array): string {
	const six = new ipaddr.IPv6([...bytes]);
	return six.isIPv4MappedAddress() ? six.toIPv4Address().toString() : six.toRFC5952String();
}

/** A copy with all bits beyond `length` cleared. */
export function maskBytes(bytes: Uint8Array, length: number): Buffer {
	const masked = Buffer.from(bytes);
	for (let i = 0; i < masked.length; i++) {
		const bits = Math.min(8, Math.max(0, length - i * 8));
		masked[i] = masked[i]! & (0xff << (8 - bits));
	}
	return masked;
}
