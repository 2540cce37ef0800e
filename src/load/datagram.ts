// datagram.ts - the datagrams by which a gateway queries a backend's load: two UDP datagrams a second.
//
//   0        4       5      6        7    8          16       24
//   "SHLD"   version kind   key id   why  at, ms     nonce    body (JSON, in an answer alone)      tag, 16 bytes
//
// The tag is HMAC-SHA-256 (RFC 2104), truncated to 128 bits, under a key derived from the cluster's key of that id for
// this purpose alone. `at` must be within the cluster's window, and an answer carries the question's nonce, so that an
// old answer or one to another gateway is refused. An answer is larger than its question, so a question is answered
// once only: the backend remembers the nonces of a window (backend/reporter.ts).
//
// A refusal tells the sender of a question why it is not answered: its clock, its key id or its tag. It is as long as
// the question, so that it amplifies nothing, and is exempt from the window: it is there to tell clocks. `why` is 0 in
// the other kinds. docs/protocol.md, section 12, is the specification.
//
// Owns: the format. Must never: throw on invalid bytes.

import { createHmac, timingSafeEqual } from "node:crypto";
import { type LoadReport, readReport } from "./report.js";

export interface Key {
	readonly id: number;
	/** 32 hex digits. */
	readonly secret: string;
}

export interface LoadQuestion {
	readonly kind: "question";
	readonly nonce: bigint;
	/** Milliseconds since 1970. */
	readonly at: number;
}

export interface LoadAnswer {
	readonly kind: "answer";
	readonly nonce: bigint;
	readonly at: number;
	readonly report: LoadReport;
}

/** The question with this nonce is not answered. */
export interface LoadRefusal {
	readonly kind: "refusal";
	readonly nonce: bigint;
	/** By the clock of the one that refuses. */
	readonly at: number;
	/** window: the clocks differ by more than the window. key: there is no key of that id. tag: that key is another. */
	readonly why: "window" | "key" | "tag";
}

/** A valid tag, and a time that differs from the receiver's by more than the window. */
export interface OutsideWindow {
	readonly kind: "outside";
	readonly nonce: bigint;
	readonly at: number;
}

/** Why a datagram is refused. */
export type Refusal = "short" | "long" | "magic" | "version" | "kind" | "key" | "tag" | "body";

export type LoadMessage = LoadQuestion | LoadAnswer | LoadRefusal;

const MAGIC = 0x53484c44;
const VERSION = 1;
const KIND = { question: 1, answer: 2, refusal: 3 } as const;
const WHY = { window: 1, key: 2, tag: 3 } as const;
const HEAD = 24;
const TAG = 16;
/** Holds a report of 64 uplinks. */
export const MOST_BYTES = 16_384;

export function encode(message: LoadMessage, key: Key): Buffer {
	const body = message.kind === "answer" ? Buffer.from(JSON.stringify(message.report)) : Buffer.alloc(0);
	const datagram = Buffer.alloc(HEAD + body.length + TAG);
	datagram.writeUInt32BE(MAGIC, 0);
	datagram.writeUInt8(VERSION, 4);
	datagram.writeUInt8(KIND[message.kind], 5);
	datagram.writeUInt8(key.id, 6);
	if (message.kind === "refusal") datagram.writeUInt8(WHY[message.why], 7);
	datagram.writeBigUInt64BE(BigInt(message.at), 8);
	datagram.writeBigUInt64BE(message.nonce, 16);
	body.copy(datagram, HEAD);
	tagOf(datagram, key).copy(datagram, HEAD + body.length);
	return datagram;
}

/** `nowMs`: since 1970. `windowMs`: the largest difference between the clocks of sender and receiver. */
export function decode(
	datagram: Buffer,
	keys: readonly Key[],
	nowMs: number,
	windowMs: number,
): LoadMessage | OutsideWindow | Refusal {
	const malformed = malformation(datagram);
	if (malformed !== undefined) return malformed;
	const key = keys.find((one) => one.id === datagram.readUInt8(6));
	if (key === undefined) return "key";
	if (!timingSafeEqual(tagOf(datagram, key), datagram.subarray(datagram.length - TAG))) return "tag";
	const at = Number(datagram.readBigUInt64BE(8));
	const nonce = datagram.readBigUInt64BE(16);
	if (datagram.readUInt8(5) === KIND.refusal) return refusalOf(datagram) ?? "body";
	if (Math.abs(at - nowMs) > windowMs) return { kind: "outside", nonce, at };
	const body = datagram.subarray(HEAD, datagram.length - TAG);
	switch (datagram.readUInt8(5)) {
		case KIND.question:
			return body.length === 0 ? { kind: "question", nonce, at } : "body";
		case KIND.answer: {
			const report = readReport(parsed(body));
			return report === undefined ? "body" : { kind: "answer", nonce, at, report };
		}
		default:
			return "kind";
	}
}

/** What a refusal says that cannot be verified, because the keys differ: to be believed only if its nonce is that of a
 * question that was sent to its source. undefined: it is none. */
export function unverifiedRefusal(datagram: Buffer): LoadRefusal | undefined {
	if (malformation(datagram) !== undefined || datagram.readUInt8(5) !== KIND.refusal) return undefined;
	return refusalOf(datagram);
}

function malformation(datagram: Buffer): Refusal | undefined {
	if (datagram.length < HEAD + TAG) return "short";
	if (datagram.length > MOST_BYTES) return "long";
	if (datagram.readUInt32BE(0) !== MAGIC) return "magic";
	return datagram.readUInt8(4) === VERSION ? undefined : "version";
}

function refusalOf(datagram: Buffer): LoadRefusal | undefined {
	const code = datagram.readUInt8(7);
	const why = (["window", "key", "tag"] as const).find((one) => WHY[one] === code);
	if (why === undefined || datagram.length !== HEAD + TAG) return undefined;
	const at = Number(datagram.readBigUInt64BE(8));
	return { kind: "refusal", nonce: datagram.readBigUInt64BE(16), at, why };
}

/** What a question is, whose tag cannot be verified: enough to refuse it. */
export function questionNonce(datagram: Buffer): bigint | undefined {
	if (malformation(datagram) !== undefined || datagram.readUInt8(5) !== KIND.question) return undefined;
	return datagram.length === HEAD + TAG ? datagram.readBigUInt64BE(16) : undefined;
}

function tagOf(datagram: Buffer, key: Key): Buffer {
	const derivedKey = createHmac("sha256", Buffer.from(key.secret, "hex")).update("shunt load datagram 1").digest();
	return createHmac("sha256", derivedKey)
		.update(datagram.subarray(0, datagram.length - TAG))
		.digest()
		.subarray(0, TAG);
}

function parsed(body: Buffer): unknown {
	try {
		return JSON.parse(body.toString("utf8"));
	} catch {
		return undefined;
	}
}

/** "clock is 41 s ahead (window 30 s; synchronize it: chronyc tracking)" */
export function clockText(offsetMs: number, windowMs: number): string {
	const side = offsetMs >= 0 ? "ahead" : "behind";
	return `clock is ${Math.round(Math.abs(offsetMs) / 1000)} s ${side} (window ${windowMs / 1000} s; synchronize it: chronyc tracking)`;
}
