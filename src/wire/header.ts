// header.ts - the redirection header: bytes <-> a plain object, and its tag (docs/protocol.md, sections 1 and 3).
//
// Owns: what native/datapath/header.h owns, for programs without native code. test/vectors tests both codecs.
// Must never: throw on hostile bytes. A refusal is a value, named as in native/datapath/reasons.h.

import { mapped } from "./address.js";
import { siphash } from "./siphash.js";

export const HEADER_VERSION = 1;
/** Maximum of the hops field. */
export const HEADER_HOPS = 5;
export const HEADER_MAX = 64;

/** By number; 0 is not a type. */
export const HEADER_TYPES = [
	undefined,
	"capability",
	"forward",
	"redirect",
	"failure",
	"probe",
	"probe-ack",
	"revoke",
] as const;
export type HeaderType = NonNullable<(typeof HEADER_TYPES)[number]>;

export const FLAG = {
	redirect: 0x80, // R: the client is expected to redirect itself
	permanent: 0x40, // P
	once: 0x20, // O
	leased: 0x10, // L; at most one of P, O, L is set, none means once
	failure: 0x08, // F: a failure report, or a consequence of one
	packet: 0x04, // X: the original packet follows the header
	ipv6: 0x02, // V: the service address, and the alternative, are IPv6
	alternative: 0x01, // A: one alternative follows the service address
} as const;
const TERMS = FLAG.permanent | FLAG.once | FLAG.leased;

/** In the order of the decoder's checks. */
export const HEADER_REASONS = [
	"header_version",
	"header_type",
	"header_flags",
	"header_length",
	"header_hops",
	"header_port",
] as const;
export type HeaderReason = (typeof HEADER_REASONS)[number];

export interface Header {
	readonly type: HeaderType;
	readonly flags: number;
	readonly port: number;
	readonly lease: number;
	readonly hops: number;
	readonly keyId: number;
	/** Seconds since 1970, 32 bits. */
	readonly issued: number;
	readonly nonce: bigint;
	/** 16 bytes, IPv4 in mapped form. Address and port are the service address. */
	readonly address: Uint8Array;
	readonly alternative?: { readonly address: Uint8Array; readonly port: number };
	/** SipHash's output number; little-endian on the wire. */
	readonly tag: bigint;
}

export type HeaderResult = { ok: true; header: Header } | { ok: false; reason: HeaderReason };

/** The flow key: a 5-tuple as the client sent it. */
export interface Flow {
	readonly family: 4 | 6;
	/** 16 bytes, IPv4 in mapped form. */
	readonly source: Uint8Array;
	readonly destination: Uint8Array;
	readonly sourcePort: number;
	readonly destinationPort: number;
	readonly protocol: number;
}

// The flags that each type allows (docs/protocol.md, "Fields by type").
const ALLOWED: Record<HeaderType, number> = {
	capability: 0,
	forward: 0xff & ~FLAG.packet, // a packet always follows
	redirect: 0xff,
	failure: 0xff,
	probe: 0xff & ~(FLAG.packet | FLAG.failure),
	"probe-ack": FLAG.redirect | TERMS | FLAG.ipv6,
	revoke: FLAG.redirect | TERMS | FLAG.ipv6,
};

/** Length of the header in bytes, from its flags V and A. */
export function headerLength(flags: number): number {
	if (flags & FLAG.ipv6) return flags & FLAG.alternative ? 64 : 44;
	return flags & FLAG.alternative ? 40 : 32;
}

/** A capability with this nonce; all its other fields are zero. */
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
		address: mapped([0, 0, 0, 0]),
		tag: 0n,
	};
}

/** Encodes the header with its tag as given. The flags determine the family and whether an alternative follows. */
export function encodeHeader(header: Header): Uint8Array {
	const out = new Uint8Array(headerLength(header.flags));
	write(out, header, HEADER_TYPES.indexOf(header.type), header.flags);
	new DataView(out.buffer).setBigUint64(out.length - 8, header.tag, true);
	return out;
}

function write(out: Uint8Array, header: Header, type: number, flags: number): void {
	const view = new DataView(out.buffer, out.byteOffset, out.length);
	const size = flags & FLAG.ipv6 ? 16 : 4;
	view.setUint8(0, (HEADER_VERSION << 4) | type);
	view.setUint8(1, flags);
	view.setUint16(2, header.port);
	view.setUint16(4, header.lease);
	view.setUint8(6, header.hops);
	view.setUint8(7, header.keyId);
	view.setUint32(8, header.issued);
	view.setBigUint64(12, header.nonce);
	out.set(header.address.subarray(16 - size), 20);
	if (flags & FLAG.alternative && header.alternative !== undefined) {
		out.set(header.alternative.address.subarray(16 - size), 20 + size);
		view.setUint16(20 + 2 * size, header.alternative.port);
	}
}

/** Decodes a header that fills `bytes` exactly (the carrier determines the length). */
export function decodeHeader(bytes: Uint8Array): HeaderResult {
	if (bytes.length < 4) return refuse("header_length");
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	const first = view.getUint8(0);
	if (first >> 4 !== HEADER_VERSION) return refuse("header_version");
	const type = HEADER_TYPES[first & 15];
	if (type === undefined) return refuse("header_type");
	const flags = view.getUint8(1);
	const terms = flags & TERMS;
	if (terms & (terms - 1) || flags & ~ALLOWED[type]) return refuse("header_flags");
	if (type === "failure" && !(flags & FLAG.failure)) return refuse("header_flags");
	const length = headerLength(flags);
	if (bytes.length !== length) return refuse("header_length");

	const address = readAddress(bytes, 20, flags);
	let alternative: Header["alternative"];
	if (flags & FLAG.alternative) {
		const at = flags & FLAG.ipv6 ? 36 : 24;
		if (view.getUint16(length - 10) !== 0) return refuse("header_flags"); // reserved bytes
		alternative = { address: readAddress(bytes, at, flags), port: view.getUint16(length - 12) };
	}
	const hops = view.getUint8(6);
	if (hops > HEADER_HOPS) return refuse("header_hops");
	const port = view.getUint16(2);
	if (port === 0 && type !== "capability") return refuse("header_port");
	if (alternative?.port === 0) return refuse("header_port");
	const header: Header = {
		type,
		flags,
		port,
		lease: view.getUint16(4),
		hops,
		keyId: view.getUint8(7),
		issued: view.getUint32(8),
		nonce: view.getBigUint64(12),
		address,
		...(alternative === undefined ? {} : { alternative }),
		tag: view.getBigUint64(length - 8, true),
	};
	return { ok: true, header };
}

function refuse(reason: HeaderReason): HeaderResult {
	return { ok: false, reason };
}

function readAddress(bytes: Uint8Array, at: number, flags: number): Uint8Array {
	return flags & FLAG.ipv6 ? bytes.slice(at, at + 16) : mapped(bytes.subarray(at, at + 4));
}

/** The tag of a header for a flow under a 16-byte key: SipHash-2-4 over the header with a zero tag, then the flow
 * block. Redirect, failure and probe share one tag: that of a redirect with F and X clear, for the client's address and
 * source port 0. The header's own `tag` is ignored. */
export function headerTag(header: Header, flow: Flow, key: Uint8Array): bigint {
	const ticket = header.type === "redirect" || header.type === "failure" || header.type === "probe";
	const flags = ticket ? header.flags & ~(FLAG.failure | FLAG.packet) : header.flags;
	const length = headerLength(flags);
	const size = flow.family === 4 ? 4 : 16;
	const message = new Uint8Array(length + 2 * size + 8);
	write(message, header, HEADER_TYPES.indexOf(ticket ? "redirect" : header.type), flags);
	message.set(flow.source.subarray(16 - size), length);
	message.set(flow.destination.subarray(16 - size), length + size);
	const view = new DataView(message.buffer);
	view.setUint16(length + 2 * size, ticket ? 0 : flow.sourcePort);
	view.setUint16(length + 2 * size + 2, flow.destinationPort);
	view.setUint8(length + 2 * size + 4, flow.protocol);
	return siphash(key, message);
}

/** The header with its tag set. */
export function signHeader(header: Omit<Header, "tag">, flow: Flow, key: Uint8Array): Header {
	return { ...header, tag: headerTag({ ...header, tag: 0n }, flow, key) };
}
