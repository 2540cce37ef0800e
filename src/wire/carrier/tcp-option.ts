// tcp-option.ts - the capability as a TCP option of a SYN (RFC 6994; docs/protocol.md, section 4.4).
//
// Must never: throw on hostile bytes.

import { u16 } from "../bytes.js";
import { decodeHeader, type HeaderResult } from "../header.js";
import { EXID } from "./experiment.js";

const KIND_EXPERIMENT = 254; // RFC 6994 allows 253 too, but tcpdump decodes 254 only

/** The option, 14 bytes. TCP has 40 bytes for all options, so only version, type, flags and nonce of the header are
 * sent; every other field of a capability is zero. */
export function encodeTcpCapability(nonce: bigint): Uint8Array {
	const out = new Uint8Array(14);
	const view = new DataView(out.buffer);
	view.setUint8(0, KIND_EXPERIMENT);
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
		if (kind === KIND_EXPERIMENT && length >= 4 && u16(options, at + 2) === EXID) {
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
