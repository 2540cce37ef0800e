// embedded.ts - the IPv4 addresses that an IPv6 address stands for: a translator, relay or tunnel in the network delivers to
// them what is sent to it.
//
// Owns: where each form has them. Must never: judge an address; targets.ts does.

import { type Prefix, parsePrefix, prefixContains } from "../wire/index.js";

interface Form {
	readonly prefix: Prefix;
	/** Of the four bytes, each alternative. */
	readonly at: readonly (readonly [number, number, number, number])[];
	/** The bytes are inverted. */
	readonly inverted?: boolean;
}

const form = (prefix: string, at: Form["at"], inverted = false): Form => ({
	prefix: parsePrefix(prefix) as Prefix,
	at,
	inverted,
});

const LAST = [12, 13, 14, 15] as const;

const FORMS: readonly Form[] = [
	form("64:ff9b::/96", [LAST]), // NAT64 (RFC 6052 2.1)
	// NAT64 of a network's own (RFC 8215): lengths 48, 56, 64 and 96 place it differently (RFC 6052 2.2).
	form("64:ff9b:1::/48", [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], LAST]),
	form("2002::/16", [[2, 3, 4, 5]]), // 6to4 (RFC 3056)
	form("2001::/32", [LAST], true), // Teredo: the client (RFC 4380 4)
	form("2001::/32", [[4, 5, 6, 7]]), // ... and its server
	form("::ffff:0:0:0/96", [LAST]), // translated (RFC 2765)
	form("::/96", [LAST]), // compatible (RFC 4291 2.5.5.1)
];

/** ISATAP's interface identifiers (RFC 5214 6.1), behind any prefix. */
const ISATAP = [0x00, 0x02].map((first) => [first, 0x00, 0x5e, 0xfe]);

/** 16 bytes each, in mapped form; none for most addresses. */
export function embeddedIpv4(address: Uint8Array): Uint8Array[] {
	const found = FORMS.flatMap(({ prefix, at, inverted }) =>
		prefixContains(prefix, address)
			? at.map((places) => mapped(places.map((i) => (address[i] as number) ^ (inverted ? 0xff : 0))))
			: [],
	);
	const isatap = ISATAP.some((identifier) => identifier.every((byte, i) => address[8 + i] === byte));
	return isatap ? [...found, mapped(LAST.map((i) => address[i] as number))] : found;
}

function mapped(four: readonly number[]): Uint8Array {
	return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...four);
}
