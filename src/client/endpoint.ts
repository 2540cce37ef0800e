// endpoint.ts - addresses as the client's policy sees them: which target may be taken for which service.
//
// Owns: prefixes, and the ranges that are never, or not without being listed, a target (docs/protocol.md, section 8).
// Must never: resolve a name.

import { formatAddress, formatEndpoint, parseAddress } from "../wire/index.js";

/** An address in canonical text (RFC 5952, dotted for IPv4) and a port. */
export interface Endpoint {
	readonly address: string;
	readonly port: number;
}

export interface Prefix {
	/** 16 bytes, IPv4 in mapped form. */
	readonly bytes: Uint8Array;
	/** Of the 16 bytes: an IPv4 /24 has 120. */
	readonly bits: number;
}

/** As the wire has it: 16 bytes and a port. */
export function endpointOf(address: Uint8Array, port: number): Endpoint {
	return { address: formatAddress(address), port };
}

/** An endpoint with its address in canonical text; undefined if the address is none. */
export function endpoint(address: string, port: number): Endpoint | undefined {
	const bytes = parseAddress(address);
	return bytes === undefined ? undefined : endpointOf(bytes, port);
}

export function same(a: Endpoint, b: Endpoint): boolean {
	return a.port === b.port && a.address === b.address;
}

/** 192.0.2.1:53, [2001:db8::1]:53. */
export function textOf(one: Endpoint): string {
	return formatEndpoint(parseAddress(one.address) as Uint8Array, one.port);
}

/** `textOf` read back; undefined if it is none. */
export function readEndpoint(text: string): Endpoint | undefined {
	const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
	const port = Number(match?.[3]);
	if (match === null || port < 1 || port > 65535) return undefined;
	return endpoint((match[1] ?? match[2]) as string, port);
}

/** 10.0.0.0/8, 2001:db8::/32, or one address; undefined if it is none. */
export function readPrefix(text: string): Prefix | undefined {
	const [address = "", length, more] = text.split("/");
	const bytes = parseAddress(address);
	if (bytes === undefined || more !== undefined || (length !== undefined && !/^\d{1,3}$/.test(length)))
		return undefined;
	const skipped = address.includes(":") ? 0 : 96;
	const bits = length === undefined ? 128 : skipped + Number(length);
	return bits > 128 ? undefined : { bytes, bits };
}

export function contains(prefix: Prefix, address: Uint8Array): boolean {
	const whole = prefix.bits >> 3;
	for (let i = 0; i < whole; i++) if (prefix.bytes[i] !== address[i]) return false;
	const rest = prefix.bits & 7;
	return rest === 0 || ((prefix.bytes[whole] as number) ^ (address[whole] as number)) >> (8 - rest) === 0;
}

function ranges(...texts: string[]): readonly Prefix[] {
	return texts.map((text) => readPrefix(text) as Prefix);
}

const LOOPBACK = ranges("127.0.0.0/8", "::1/128");
/** Unspecified, link-local, multicast, reserved and broadcast; and IPv4 in IPv6's clothes. */
const NEVER = ranges("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/96", "fe80::/10", "fec0::/10", "ff00::/8");
/** RFC 1918, RFC 6598 (carrier-grade NAT), RFC 4193. */
const PRIVATE = ranges("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7");

const inAny = (list: readonly Prefix[], address: Uint8Array) => list.some((prefix) => contains(prefix, address));

/** Whether `target` may be taken for `service`, given the prefixes that the application listed (undefined: none listed,
 * so any that needs no listing). */
export function permitted(service: string, target: string, listed: readonly Prefix[] | undefined): boolean {
	const from = parseAddress(service);
	const to = parseAddress(target);
	if (from === undefined || to === undefined) return false;
	// On one host alone: a service on loopback may lead to a loopback target that is listed by a prefix of loopback's own.
	if (inAny(LOOPBACK, to)) return inAny(LOOPBACK, from) && listedWithin(LOOPBACK, listed, to);
	if (inAny(NEVER, to)) return false;
	if (listed !== undefined && !inAny(listed, to)) return false;
	if (!inAny(PRIVATE, to) || inAny(PRIVATE, from) || inAny(LOOPBACK, from)) return true;
	return listedWithin(PRIVATE, listed, to);
}

/** Whether one of the listed prefixes that hold `to` lies within one of the ranges: 0.0.0.0/0 does not list 10.0.0.1. */
function listedWithin(list: readonly Prefix[], listed: readonly Prefix[] | undefined, to: Uint8Array): boolean {
	return (listed ?? []).some(
		(prefix) =>
			contains(prefix, to) && list.some((range) => range.bits <= prefix.bits && contains(range, prefix.bytes)),
	);
}
