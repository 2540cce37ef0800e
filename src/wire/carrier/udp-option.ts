// udp-option.ts - the header as an option in the surplus area of a UDP datagram (RFC 9868; docs/protocol.md, section
// 4.3).
//
// Owns: the option checksum (OCS) over the surplus area. Must never: throw on hostile bytes.

import { u16 } from "../bytes.js";
import { decodeHeader, FLAG, type HeaderResult } from "../header.js";
import { EXID } from "./experiment.js";

const KIND_EXPERIMENT = 127;
/** Longer areas are ignored. */
const MAX_SURPLUS = 192;

/** The surplus area: OCS at its first even byte, then one EXP option with our ExID, then the end of options and zeros
 * up to `size`. `odd`: the UDP datagram before it has an odd length, so a zero byte precedes the checksum. */
export function encodeSurplus(header: Uint8Array, odd: boolean, size = 0): Uint8Array {
	const start = odd ? 1 : 0;
	const out = new Uint8Array(Math.max(start + 2 + 4 + header.length, size));
	const view = new DataView(out.buffer);
	view.setUint8(start + 2, KIND_EXPERIMENT);
	view.setUint8(start + 3, 4 + header.length);
	view.setUint16(start + 4, EXID);
	out.set(header, start + 6);
	const sum = onesComplement(out, start, out.length);
	view.setUint16(start, sum === 0xffff ? 0xffff : ~sum & 0xffff);
	return out;
}

/** The header in a surplus area; undefined if the checksum is wrong or the first option is none of ours. */
export function decodeSurplus(surplus: Uint8Array, odd: boolean): HeaderResult | undefined {
	const start = odd ? 1 : 0;
	if (surplus.length < start + 6 || surplus.length > MAX_SURPLUS || (odd && surplus[0] !== 0)) return undefined;
	if (onesComplement(surplus, start, surplus.length) !== 0xffff) return undefined;
	const length = surplus[start + 3] as number;
	if (surplus[start + 2] !== KIND_EXPERIMENT || u16(surplus, start + 4) !== EXID) return undefined;
	if (length < 4 || start + 2 + length > surplus.length) return undefined;
	const result = decodeHeader(surplus.subarray(start + 6, start + 2 + length));
	return result.ok && result.header.flags & FLAG.packet ? { ok: false, reason: "header_flags" } : result;
}

/** Sum of the area from OCS on, and of the whole area's length, folded to 16 bits (RFC 1071). */
function onesComplement(bytes: Uint8Array, from: number, length: number): number {
	let sum = length;
	for (let i = from; i < bytes.length; i += 2) sum += u16(bytes, i);
	while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
	return sum;
}
