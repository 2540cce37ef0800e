// datagram.ts - the datagrams by which a gateway queries a backend's load: two UDP datagrams a second.
//
//   0        4       5      6        7    8          16       24
//   "SHLD"   version kind   key id   0    at, ms     nonce    body (JSON, none in a question)      tag, 16 bytes
//
// The tag is HMAC-SHA-256 (RFC 2104), truncated to 128 bits, under a key derived from the cluster's key of that id for
// this purpose alone. `at` must be within the cluster's window, and an answer carries the question's nonce, so that an
// old answer or one to another gateway is refused. An answer is larger than its question, so a question is answered
// once only: the backend remembers the nonces of a window (backend/reporter.ts).
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

/** Why a datagram is refused. */
export type Refusal = "short" | "long" | "magic" | "version" | "kind" | "key" | "tag" | "window" | "body";

const MAGIC = 0x53484c44;
const VERSION = 1;
const KIND = { question: 1, answer: 2 } as const;
const HEAD = 24;
const TAG = 16;
/** Holds a report of 64 uplinks. */
export const MOST_BYTES = 16_384;

export function encode(message: LoadQuestion | LoadAnswer, key: Key): Buffer {
	const body = message.kind === "answer" ? Buffer.from(JSON.stringify(message.report)) : Buffer.alloc(0);
	const datagram = Buffer.alloc(HEAD + body.length + TAG);
	datagram.writeUInt32BE(MAGIC, 0);
	datagram.writeUInt8(VERSION, 4);
	datagram.writeUInt8(KIND[message.kind], 5);
	datagram.writeUInt8(key.id, 6);
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
): LoadQuestion | LoadAnswer | Refusal {
	if (datagram.length < HEAD + TAG) return "short";
	if (datagram.length > MOST_BYTES) return "long";
	if (datagram.readUInt32BE(0) !== MAGIC) return "magic";
	if (datagram.readUInt8(4) !== VERSION) return "version";
	const key = keys.find((one) => one.id === datagram.readUInt8(6));
	if (key === undefined) return "key";
	if (!timingSafeEqual(tagOf(datagram, key), datagram.subarray(datagram.length - TAG))) return "tag";
	const at = Number(datagram.readBigUInt64BE(8));
	if (Math.abs(at - nowMs) > windowMs) return "window";
	const nonce = datagram.readBigUInt64BE(16);
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
