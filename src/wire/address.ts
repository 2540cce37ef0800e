// address.ts - Internet addresses on the wire: text <-> the 16 bytes that everything here works with.
//
// IPv4 is kept in its IPv6-mapped form (::ffff:a.b.c.d, RFC 4291 2.5.5.2), as in native/datapath/types.h.
// Must never: resolve a name, or throw on text that is no address.

import ipaddr from "ipaddr.js";

/** 16 bytes of an address written out in full, or undefined. */
export function parseAddress(text: string): Uint8Array | undefined {
	if (ipaddr.IPv4.isValidFourPartDecimal(text)) return mapped(ipaddr.IPv4.parse(text).toByteArray());
	if (text.includes("%") || !ipaddr.IPv6.isValid(text)) return undefined;
	return Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray());
}

/** Dotted for IPv4, as RFC 5952 has it for IPv6. Of 4 bytes, or of 16 with IPv4 in mapped form. */
export function formatAddress(bytes: Uint8Array): string {
	if (bytes.length === 4) return bytes.join(".");
	if (bytes.length !== 16) return "?";
	if (isMapped(bytes)) return bytes.subarray(12).join(".");
	return new ipaddr.IPv6([...bytes]).toRFC5952String();
}

/** Address and port as URLs write them: 192.0.2.1:53, [2001:db8::1]:53. */
export function formatEndpoint(bytes: Uint8Array, port: number): string {
	const text = formatAddress(bytes);
	return text.includes(":") ? `[${text}]:${port}` : `${text}:${port}`;
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
