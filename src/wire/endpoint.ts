// endpoint.ts - an address with a port: text <-> object. 192.0.2.1:53, [2001:db8::1]:53.
//
// Owns: the one parser and the one formatter of endpoints. Must never: resolve a name.

import { formatAddress, isDottedDecimal, parseAddress } from "./address.js";

/** An address in canonical text (dotted for IPv4, RFC 5952 for IPv6) and a port. */
export interface Endpoint {
	readonly address: string;
	readonly port: number;
}

/** From the 16 bytes of the wire. */
export function endpointOf(address: Uint8Array, port: number): Endpoint {
	return { address: formatAddress(address), port };
}

/** With the address in canonical text; undefined if the text is not an address. */
export function canonicalEndpoint(address: string, port: number): Endpoint | undefined {
	if (isDottedDecimal(address)) return { address, port };
	const bytes = parseAddress(address);
	return bytes === undefined ? undefined : endpointOf(bytes, port);
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
	return a.port === b.port && a.address === b.address;
}

/** Address and port as URLs write them. */
export function formatEndpoint(address: string | Uint8Array, port: number | string): string {
	const text = typeof address === "string" ? address : formatAddress(address);
	return text.includes(":") ? `[${text}]:${port}` : `${text}:${port}`;
}

export function endpointText({ address, port }: Endpoint): string {
	return formatEndpoint(address, port);
}

/** The endpoint that the text names: brackets around IPv6 only, port 1 to 65535; undefined if it is not one. */
export function parseEndpoint(text: string): Endpoint | undefined {
	const match = /^(?:\[([^\]]*:[^\]]*)\]|([^:]+)):([0-9]{1,5})$/.exec(text);
	const port = Number(match?.[3]);
	if (match === null || port < 1 || port > 65_535) return undefined;
	return canonicalEndpoint((match[1] ?? match[2]) as string, port);
}
