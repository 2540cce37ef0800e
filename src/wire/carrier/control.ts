// control.ts - the control datagram: cookie, header, service, packet (docs/protocol.md, section 4.2).
//
// Owns: the magic cookie, the control port, and the size of a padded control datagram.
// Must never: throw on hostile bytes, or match application data: the cookie and a valid header identify the datagram.

import { u16, u32 } from "../bytes.js";
import { decodeHeader, FLAG, type HeaderResult, headerLength } from "../header.js";

/** The first four bytes of a control datagram: 0xff, S, H, N. */
export const COOKIE = 0xff53484e;
export const CONTROL_PORT = 3575;
/** Size of a datagram that asks for an answer, padding included, so that no answer is larger: cookie, longest header,
 * service. */
export const CONTROL_SIZE = 88;
const SERVICE_SIZE = 20;

/** The service that a control datagram is about. */
export interface About {
	/** 6 or 17. */
	readonly protocol: number;
	readonly port: number;
	/** 16 bytes. */
	readonly address: Uint8Array;
}

export interface Control {
	readonly header: HeaderResult;
	/** undefined if the datagram ends before it. */
	readonly about: About | undefined;
	/** The original packet, from its IP header on; present with X only. */
	readonly packet: Uint8Array | undefined;
}

/** Cookie, header and service, then the packet (with X), or zeros up to `size`. */
export function encodeControl(header: Uint8Array, about: About, packet?: Uint8Array, size = 0): Uint8Array {
	const service = 4 + header.length;
	const out = new Uint8Array(Math.max(service + SERVICE_SIZE + (packet?.length ?? 0), size));
	const view = new DataView(out.buffer);
	view.setUint32(0, COOKIE);
	out.set(header, 4);
	view.setUint8(service, about.protocol);
	view.setUint16(service + 2, about.port);
	out.set(about.address, service + 4);
	if (packet !== undefined) out.set(packet, service + SERVICE_SIZE);
	return out;
}

/** Decodes a UDP payload; undefined if it does not begin with the cookie. */
export function decodeControl(bytes: Uint8Array): Control | undefined {
	const header = headerAfterCookie(bytes);
	if (header === undefined) return undefined;
	const service = 4 + headerLength(bytes[5] ?? 0);
	const rest = bytes.subarray(service + SERVICE_SIZE);
	const about =
		bytes.length < service + SERVICE_SIZE
			? undefined
			: {
					protocol: bytes[service] as number,
					port: u16(bytes, service + 2),
					address: bytes.slice(service + 4, service + SERVICE_SIZE),
				};
	const follows = about !== undefined && header.ok && (header.header.flags & FLAG.packet) !== 0;
	return { header, about, packet: follows ? rest : undefined };
}

/** The header behind a cookie; undefined if there is no cookie. */
export function headerAfterCookie(bytes: Uint8Array): HeaderResult | undefined {
	if (bytes.length < 4 || u32(bytes, 0) !== COOKIE) return undefined;
	return decodeHeader(bytes.subarray(4, 4 + (bytes.length > 5 ? headerLength(bytes[5] as number) : 0)));
}
