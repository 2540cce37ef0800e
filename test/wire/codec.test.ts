// The C codec against the shared vectors, and against the TypeScript codec on generated headers.

import { afterAll, describe, expect, test } from "vitest";
import { decodeHeader, encodeHeader, type Flow, headerLength, headerTag, mapped } from "../../src/wire/index.js";
import { buildCodec, type Request } from "./native.js";
import { random } from "./random.js";
import { PAPER_KEY, PAPER_TAGS } from "./siphash_reference.js";
import { bytesOf, flowOf, headerOf, vectors } from "./vectors.js";

const codec = buildCodec(["g++", "-x", "c++", "-std=c++20"]);
afterAll(() => codec.remove());

describe("redirection header, C", () => {
	test("SipHash equals the 64 outputs of its reference implementation", () => {
		const messages = PAPER_TAGS.map((_, length) => Uint8Array.from({ length }, (_, i) => i));
		const answers = codec.run(messages.map((bytes) => ({ bytes, key: PAPER_KEY, hash: true })));
		expect(answers.map((a) => a.rightTag)).toEqual(PAPER_TAGS.map((hex) => Buffer.from(hex, "hex").readBigUInt64LE()));
	});

	test.each([["gcc"], ["clang-16"]])("R1 R3: the vectors, built by %s as C", (compiler) => {
		const other = buildCodec([compiler]);
		checkVectors(other);
		other.remove();
	});

	test("R1 R3: the vectors, built as C++20", () => checkVectors(codec));

	test("R1: agrees with TypeScript on 120,000 mutated and random headers", { timeout: 60_000 }, () => {
		const below = random(1);
		const requests = Array.from({ length: 120_000 }, (_, i) => (i % 2 ? mutated(below) : wellFormed(below)));
		const answers = codec.run(requests);
		let accepted = 0;
		for (const [i, request] of requests.entries()) {
			const answer = answers[i];
			const result = decodeHeader(request.bytes);
			const same = result.ok
				? answer?.header !== undefined && equal(result.header, answer.header)
				: result.reason === answer?.reason;
			if (!same) expect(answer, hex(request.bytes)).toEqual(result);
			if (!result.ok) continue;
			accepted++;
			const right = headerTag(result.header, request.flow as Flow, request.key);
			if (right !== answer?.rightTag) expect(answer?.rightTag, hex(request.bytes)).toBe(right);
			if (answer?.encoded !== hex(request.bytes)) expect(answer?.encoded).toBe(hex(request.bytes));
			if (hex(encodeHeader(result.header)) !== hex(request.bytes)) expect.unreachable(hex(request.bytes));
		}
		expect(accepted).toBeGreaterThan(20_000);
		expect(accepted).toBeLessThan(110_000);
	});
});

function checkVectors(built: typeof codec): void {
	const requests = vectors.map((v) => ({
		bytes: bytesOf(v.hex),
		key: bytesOf(v.key ?? "00".repeat(16)),
		flow: v.flow === undefined ? anyFlow(random(2)) : flowOf(v.flow),
	}));
	const answers = built.run(requests);
	for (const [i, vector] of vectors.entries()) {
		const answer = answers[i];
		expect(answer?.reason, vector.name).toBe(vector.reason);
		if (vector.fields === undefined) continue;
		expect(answer?.header, vector.name).toEqual(headerOf(vector.fields));
		expect(answer?.encoded, vector.name).toBe(vector.hex);
		if (vector.flow !== undefined) expect(answer?.rightTag, vector.name).toBe(answer?.header?.tag);
	}
}

function equal(a: object, b: object): boolean {
	const text = (o: object) =>
		JSON.stringify(o, (_, v) => (typeof v === "bigint" ? `${v}n` : v instanceof Uint8Array ? hex(v) : v));
	return text(a) === text(b);
}

function hex(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

function someBytes(below: (n: number) => number, length: number): Uint8Array {
	return Uint8Array.from({ length }, () => below(256));
}

function anyFlow(below: (n: number) => number): Flow {
	const family = below(2) ? 4 : 6;
	const address = () => (family === 4 ? mapped(someBytes(below, 4)) : someBytes(below, 16));
	const ports = { sourcePort: below(65536), destinationPort: below(65536) };
	return { family, source: address(), destination: address(), ...ports, protocol: below(2) ? 6 : 17 };
}

/** A vector with a few bits flipped, truncated, or extended. */
function mutated(below: (n: number) => number): Request {
	let bytes: Uint8Array = bytesOf((vectors[below(vectors.length)] as (typeof vectors)[0]).hex);
	if (below(4) === 0) bytes = Uint8Array.from([...bytes, ...someBytes(below, 8)]).subarray(0, below(bytes.length + 9));
	for (let n = below(4); n > 0 && bytes.length > 0; n--) {
		const at = below(2) ? below(Math.min(bytes.length, 8)) : below(bytes.length);
		bytes[at] = (bytes[at] as number) ^ (1 << below(8));
	}
	return { bytes, key: someBytes(below, 16), flow: anyFlow(below) };
}

/** Random bytes after a first word that is mostly valid. */
function wellFormed(below: (n: number) => number): Request {
	const flags = below(256);
	const bytes = someBytes(below, below(16) === 0 ? below(80) : headerLength(flags));
	if (bytes.length > 7 && below(16) > 0) {
		bytes[0] = 0x10 | (1 + below(7));
		bytes[1] = flags;
		bytes[6] = below(8);
	}
	const reserved = bytes.length - 10;
	if (flags & 1 && reserved > 7 && below(8) > 0) bytes[reserved] = bytes[reserved + 1] = 0;
	return { bytes, key: someBytes(below, 16), flow: anyFlow(below) };
}
