// tcp-reset.ts - a redirect for a TCP connection: a RST whose data are cookie and header (docs/protocol.md, section
// 4.5).
//
// Must never: throw on hostile bytes. The flow is that of the RST's own addresses and ports.

import type { HeaderResult } from "../header.js";
import { COOKIE, headerAfterCookie } from "./control.js";

/** The data of the RST. */
export function encodeReset(header: Uint8Array): Uint8Array {
	const out = new Uint8Array(4 + header.length);
	new DataView(out.buffer).setUint32(0, COOKIE);
	out.set(header, 4);
	return out;
}

/** The header in a RST's data; undefined if the data do not begin with the cookie. */
export function decodeReset(bytes: Uint8Array): HeaderResult | undefined {
	return headerAfterCookie(bytes);
}
