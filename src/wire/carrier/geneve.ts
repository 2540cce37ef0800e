// geneve.ts - Geneve (RFC 8926) with the redirection header as its only option, server to server (docs/protocol.md,
// section 4.1).
//
// Must never: throw on hostile bytes, or look at the inner packet.

import { decodeHeader, type HeaderReason, type HeaderResult } from "../header.js";

export const GENEVE_PORT = 6081;
/** In the range that RFC 8926 reserves for experiments. */
export const GENEVE_CLASS = 0xff17;
/** The high bit makes it critical: a receiver that does not implement the option drops the packet. */
export const GENEVE_TYPE = 0x81;
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;

export type GeneveReason = "tunnel_bad" | "tunnel_no_header" | HeaderReason;

export interface Geneve {
	/** 0x0800 or 0x86dd. */
	readonly protocol: number;
	readonly critical: boolean;
	readonly control: boolean;
	readonly vni: number;
	readonly options: readonly { class: number; type: number; data: Uint8Array }[];
	/** Of our option, if present. */
	readonly header: HeaderResult | undefined;
	/** Where the inner packet begins. */
	readonly innerAt: number;
}

/** Geneve header and option; the inner packet follows. */
export function encodeGeneve(header: Uint8Array, innerFamily: 4 | 6): Uint8Array {
	const out = new Uint8Array(12 + header.length);
	const view = new DataView(out.buffer);
	view.setUint8(0, 1 + header.length / 4); // version 0, length of the options in words
	view.setUint8(1, 0x40); // C: a critical option is present
	view.setUint16(2, innerFamily === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
	view.setUint16(8, GENEVE_CLASS);
	view.setUint8(10, GENEVE_TYPE);
	view.setUint8(11, header.length / 4);
	out.set(header, 12);
	return out;
}

/** Any Geneve header, with or without our option, for display. undefined if it is truncated or not version 0. */
export function decodeGeneve(bytes: Uint8Array): Geneve | undefined {
	if (bytes.length < 8) return undefined;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	const innerAt = 8 + (view.getUint8(0) & 0x3f) * 4;
	if (view.getUint8(0) >> 6 !== 0 || innerAt > bytes.length) return undefined;
	const options: { class: number; type: number; data: Uint8Array }[] = [];
	let header: HeaderResult | undefined;
	for (let at = 8; at < innerAt; ) {
		const next = at + 4 + (view.getUint8(at + 3) & 0x1f) * 4;
		if (next > innerAt) return undefined;
		const option = { class: view.getUint16(at), type: view.getUint8(at + 2), data: bytes.subarray(at + 4, next) };
		options.push(option);
		if (option.class === GENEVE_CLASS && option.type === GENEVE_TYPE) header ??= decodeHeader(option.data);
		at = next;
	}
	return {
		protocol: view.getUint16(2),
		critical: (view.getUint8(1) & 0x40) !== 0,
		control: (view.getUint8(1) & 0x80) !== 0,
		vni: view.getUint32(4) >>> 8,
		options,
		header,
		innerAt,
	};
}

/** The reason for which a server refuses these bytes on the tunnel port before it checks key, tag and age; undefined if
 * it accepts them. Same order as docs/protocol.md, section 5. */
export function geneveRefusal(bytes: Uint8Array): GeneveReason | undefined {
	if (bytes.length < 12) return "tunnel_bad";
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	if (view.getUint8(0) >> 6 !== 0 || view.getUint8(1) & 0x80) return "tunnel_bad";
	const options = (view.getUint8(0) & 0x3f) * 4;
	if (options < 4 || view.getUint16(8) !== GENEVE_CLASS || view.getUint8(10) !== GENEVE_TYPE) return "tunnel_no_header";
	const length = (view.getUint8(11) & 0x1f) * 4;
	if (options !== 4 + length || 12 + length > bytes.length) return "header_length";
	const result = decodeHeader(bytes.subarray(12, 12 + length));
	return result.ok ? undefined : result.reason;
}
