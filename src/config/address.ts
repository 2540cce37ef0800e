// address.ts - addresses and prefixes of a configuration, as Buffers for the addon. src/wire parses and formats them.

import ipaddr from "ipaddr.js";
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

/** A copy with all bits beyond `length` cleared. */
export function maskBytes(bytes: Uint8Array, length: number): Buffer {
	return Buffer.from(wire.maskBytes(bytes, length));
}

/** Why an address cannot belong to a service or a server, or undefined if it can. */
export function unfitAddress(address: Address): string | undefined {
	const parsed = ipaddr.parse(address.text.replace(/\/.*/, ""));
	const range: string = parsed.range();
	switch (range) {
		case "unspecified":
			return "is the unspecified address";
		case "broadcast":
			return "is the broadcast address";
		case "multicast":
			return "is a multicast address";
		case "loopback":
			return "is a loopback address, which no other host can reach";
		case "linkLocal":
			return "is a link-local address, which means nothing beyond its own link";
		case "ipv4Mapped":
			return "is an IPv4 address in IPv6 clothes";
		default:
			return undefined;
	}
}
