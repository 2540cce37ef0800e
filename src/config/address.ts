// address.ts - addresses and prefixes of a configuration, as Buffers for the addon. src/wire parses and formats them.

import * as wire from "../wire/index.js";

export interface Address extends wire.Address {
	readonly bytes: Buffer;
}

export interface Prefix extends wire.Prefix {
	readonly bytes: Buffer;
}

export function parseAddress(text: string): Address | undefined {
	const address = wire.readAddress(text);
	return address && { ...address, bytes: Buffer.from(address.bytes) };
}

export function parsePrefix(text: string): Prefix | undefined {
	const prefix = wire.parsePrefix(text);
	return prefix && { ...prefix, bytes: Buffer.from(prefix.bytes) };
}

export function addressText(bytes: Uint8Array): string {
	return wire.formatAddress(bytes);
}

/** The prefixes of a rule's `from`: of a prefix itself, of a range the fewest that hold it; none if the text is neither. */
export function parsePrefixes(text: string): Prefix[] {
	const range = wire.parseRange(text);
	if (Array.isArray(range))
		return range.map((prefix: wire.Prefix) => ({ ...prefix, bytes: Buffer.from(prefix.bytes) }));
	const prefix = parsePrefix(text);
	return prefix === undefined ? [] : [prefix];
}

/** A service's address, or prefix of addresses; a prefix of one address is that address. */
export interface ServiceAddress {
	readonly text: string;
	readonly family: 4 | 6;
	/** Of the first address. */
	readonly bytes: Buffer;
	/** Mapped; 128: one address. */
	readonly length: number;
}

export function parseServiceAddress(written: string): ServiceAddress | undefined {
	const prefix = parsePrefix(written);
	if (prefix === undefined || prefix.hostBits) return undefined;
	const { family, bytes, mappedLength: length } = prefix;
	return { text: length === 128 ? addressText(bytes) : prefix.text, family, bytes, length };
}

/** Of the table's form. */
export function serviceAddressText(bytes: Uint8Array, length: number, family: 4 | 6): string {
	return length === 128 ? addressText(bytes) : wire.formatPrefix(bytes, length, family);
}

export function holdsAddress(
	{ bytes, length }: Pick<ServiceAddress, "bytes" | "length">,
	address: Uint8Array,
): boolean {
	return wire.prefixContains({ bytes, mappedLength: length }, address);
}

/** A copy with all bits beyond `length` cleared. */
export function maskBytes(bytes: Uint8Array, length: number): Buffer {
	return Buffer.from(wire.maskBytes(bytes, length));
}
