// carriers.ts - the header's carriers beside Geneve: control datagram, UDP option, TCP option (docs/protocol.md).
//
// Owns: magic cookie, ExID, and the checksum over UDP's surplus area.
// Must never: throw on hostile bytes, or be taken for the application's data: each is told by its own mark.

import { decodeHeader, FLAG, type Header, type HeaderResult, headerLength } from "./header.js";

/** A control datagram begins so; 0xff, S, H, N. */
export const COOKIE = 0xff53484e;
export const CONTROL_PORT = 3575;
/** A question is padded to this, so that no answer is larger: cookie, the longest header, and the service. */
export const CONTROL_SIZE = 88;
const ABOUT_SIZE = 20;
/** Experiment id in TCP's and UDP's experimental options: "SR". */
export const EXID = 0x5352;
const TCP_EXPERIMENT = 254; // 253 is as good by RFC 6994, but tcpdump names only this one

const UDP_EXPERIMENT = 127;

/** The service that a control datagram speaks of. */
export interface About {
	/** 6 or 17. */
	readonly protocol: number;
	readonly port: number;
	/** 16 bytes. */
	readonly address: Uint8Array;
}

export interface Control {
	readonly header: HeaderResult;
	/** undefined where the datagram ends before it. */
	readonly about: About | undefined;
	/** The original packet, from its IP header on: with X alone. */
	readonly packet: Uint8Array | undefined;
}

/** Cookie, header and service, then the packet (with X), or zeros up to `size`. */
export function encodeControl(header: Uint8Array, about: About, packet?: Uint8Array, size = 0): Uint8Array {
	const service = 4 + header.length;
	const out = new Uint8Array(Math.max(service + ABOUT_SIZE + (packet?.length ?? 0), size));
	const view = new DataView(out.buffer);
	view.setUint32(0, COOKIE);
	out.set(header, 4);
	view.setUint8(service, about.protocol);
	view.setUint16(service + 2, about.port);
	out.set(about.address, service + 4);
	if (packet !== undefined) out.set(packet, service + ABOUT_SIZE);
	return out;
}

/** A UDP payload; undefined if the cookie is not there, so that it is none of ours. */
export function decodeControl(bytes: Uint8Array): Control | undefined {
	const header = decodeReset(bytes);
	if (header === undefined) return undefined;
	const service = 4 + headerLength(bytes[5] ?? 0);
	const rest = bytes.subarray(service + ABOUT_SIZE);
	const about =
		bytes.length < service + ABOUT_SIZE
			? undefined
			: {
					protocol: bytes[service] as number,
					port: half(bytes, service + 2),
					address: bytes.slice(service + 4, service + ABOUT_SIZE),
				};
	const follows = about !== undefined && header.ok && (header.header.flags & FLAG.packet) !== 0;
	return { header, about, packet: follows ? rest : undefined };
}

/** The data of a RST that redirects: cookie and header. Whose flow it is, its own ports tell. */
export function encodeReset(header: Uint8Array): Uint8Array {
	const out = new Uint8Array(4 + header.length);
	new DataView(out.buffer).setUint32(0, COOKIE);
	out.set(header, 4);
	return out;
}

/** The header behind a cookie; undefined if there is no cookie. */
export function decodeReset(bytes: Uint8Array): HeaderResult | undefined {
	if (bytes.length < 4 || word(bytes, 0) !== COOKIE) return undefined;
	return decodeHeader(bytes.subarray(4, 4 + (bytes.length > 5 ? headerLength(bytes[5] as number) : 0)));
}

/** UDP's surplus area (RFC 9868): OCS at its first even byte, then one option EXP with our ExID, then the end of options and
 * zeros up to `size`. `odd` tells that the UDP datagram before it has an odd length, so that a zero byte must stand before
 * the checksum. */
export function encodeSurplus(header: Uint8Array, odd: boolean, size = 0): Uint8Array {
	const start = odd ? 1 : 0;
	const out = new Uint8Array(Math.max(start + 2 + 4 + header.length, size));
	const view = new DataView(out.buffer);
	view.setUint8(start + 2, UDP_EXPERIMENT);
	view.setUint8(start + 3, 4 + header.length);
	view.setUint16(start + 4, EXID);
	out.set(header, start + 6);
	const sum = onesComplement(out, start, out.length);
	view.setUint16(start, sum === 0xffff ? 0xffff : ~sum & 0xffff);
	return out;
}

/** The header in a surplus area; undefined if its checksum is wrong or it holds none. */
export function decodeSurplus(surplus: Uint8Array, odd: boolean): HeaderResult | undefined {
	const start = odd ? 1 : 0;
	if (surplus.length < start + 2 || (odd && surplus[0] !== 0)) return undefined;
	if (onesComplement(surplus, start, surplus.length) !== 0xffff) return undefined;
	for (let at = start + 2; at < surplus.length; ) {
		const kind = surplus[at] as number;
		if (kind === 0) return undefined;
		if (kind === 1) {
			at++;
			continue;
		}
		const length = surplus[at + 1] ?? 0;
		// A length of 255 announces an extended one, which none of ours has.
		if (length < 2 || length === 255 || at + length > surplus.length) return undefined;
		if (kind === UDP_EXPERIMENT && length >= 4 && half(surplus, at + 2) === EXID) {
			return decodeHeader(surplus.subarray(at + 4, at + length));
		}
		at += length;
	}
	return undefined;
}

/** Sum of the area from OCS on, and of the whole area's length, folded to 16 bits (RFC 1071). */
function onesComplement(bytes: Uint8Array, from: number, length: number): number {
	let sum = length;
	for (let i = from; i < bytes.length; i += 2) sum += ((bytes[i] as number) << 8) | (bytes[i + 1] ?? 0);
	while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
	return sum;
}

/** The capability on a SYN. TCP has 40 bytes for all options, so of the header only version, type, flags and nonce
 * travel; all else in a capability is zero. 14 bytes. */
export function encodeTcpCapability(nonce: bigint): Uint8Array {
	const out = new Uint8Array(14);
	const view = new DataView(out.buffer);
	view.setUint8(0, TCP_EXPERIMENT);
	view.setUint8(1, out.length);
	view.setUint16(2, EXID);
	view.setUint8(4, 0x11);
	view.setBigUint64(6, nonce);
	return out;
}

/** The capability among a SYN's options; undefined if there is none. */
export function decodeTcpOptions(options: Uint8Array): HeaderResult | undefined {
	for (let at = 0; at < options.length; ) {
		const kind = options[at] as number;
		if (kind === 0) return undefined;
		if (kind === 1) {
			at++;
			continue;
		}
		const length = options[at + 1] ?? 0;
		if (length < 2 || at + length > options.length) return undefined;
		if (kind === TCP_EXPERIMENT && length >= 4 && half(options, at + 2) === EXID) {
			if (length !== 14) return { ok: false, reason: "header_length" };
			const whole = new Uint8Array(32);
			whole.set(options.subarray(at + 4, at + 6), 0);
			whole.set(options.subarray(at + 6, at + 14), 12);
			const result = decodeHeader(whole);
			return result.ok && result.header.type !== "capability" ? { ok: false, reason: "header_type" } : result;
		}
		at += length;
	}
	return undefined;
}

/** A capability with this nonce. */
export function capability(nonce: bigint): Header {
	return {
		type: "capability",
		flags: 0,
		port: 0,
		lease: 0,
		hops: 0,
		keyId: 0,
		issued: 0,
		nonce,
		address: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0),
		tag: 0n,
	};
}

function half(bytes: Uint8Array, at: number): number {
	return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function word(bytes: Uint8Array, at: number): number {
	return ((half(bytes, at) << 16) | half(bytes, at + 2)) >>> 0;
}
