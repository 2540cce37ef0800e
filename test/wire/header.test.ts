// The TypeScript codec against the shared vectors, and SipHash against its reference outputs.

import { describe, expect, test } from "vitest";
import {
	decodeHeader,
	encodeHeader,
	FLAG,
	HEADER_REASONS,
	HEADER_TYPES,
	headerTag,
	siphash,
} from "../../src/wire/index.js";
import { PAPER_KEY, PAPER_TAGS } from "./siphash_reference.js";
import { bytesOf, flowOf, headerOf, vectors } from "./vectors.js";

describe("SipHash-2-4", () => {
	test("equals the 64 outputs of its reference implementation", () => {
		for (const [length, hex] of PAPER_TAGS.entries()) {
			const message = Uint8Array.from({ length }, (_, i) => i);
			const expected = Buffer.from(hex, "hex").readBigUInt64LE();
			expect(siphash(PAPER_KEY, message), `of ${length} bytes`).toBe(expected);
		}
	});

	test("equals the example in appendix A of SipHash's specification", () => {
		expect(
			siphash(
				PAPER_KEY,
				Uint8Array.from({ length: 15 }, (_, i) => i),
			),
		).toBe(0xa129ca6149be45e5n);
	});
});

describe("redirection header, TypeScript", () => {
	test("R1 R3 R4 R5 R6 R7: the vectors cover every type, flag, family and refusal", () => {
		const good = vectors.filter((v) => v.fields);
		expect(vectors.length).toBeGreaterThanOrEqual(24);
		for (const type of HEADER_TYPES.slice(1)) expect(good.some((v) => v.fields?.type === type)).toBe(true);
		for (const flag of Object.values(FLAG)) expect(good.some((v) => (v.fields?.flags ?? 0) & flag)).toBe(true);
		for (const reason of HEADER_REASONS) expect(vectors.some((v) => v.reason === reason)).toBe(true);
		const combinations = new Set(
			good.filter((v) => v.flow).map((v) => `${v.hex.length} ${v.flow?.source.includes(":")}`),
		);
		expect(combinations.size).toBe(8); // four forms of the header, two families of the flow
	});

	for (const vector of vectors) {
		test(vector.name, () => {
			const bytes = bytesOf(vector.hex);
			const result = decodeHeader(bytes);
			if (vector.fields === undefined) {
				expect(result).toEqual({ ok: false, reason: vector.reason });
				return;
			}
			const header = headerOf(vector.fields);
			expect(result).toEqual({ ok: true, header });
			expect(Buffer.from(encodeHeader(header)).toString("hex")).toBe(vector.hex);
			if (vector.flow === undefined || vector.key === undefined) return;
			expect(headerTag(header, flowOf(vector.flow), bytesOf(vector.key))).toBe(header.tag);
		});
	}

	test("a tag fails on another flow, another key, and any other bit of the header", () => {
		for (const vector of vectors) {
			if (vector.fields === undefined || vector.flow === undefined || vector.key === undefined) continue;
			const header = headerOf(vector.fields);
			const flow = flowOf(vector.flow);
			const key = bytesOf(vector.key);
			const ticket = ["redirect", "failure", "probe"].includes(header.type); // for any port of the client
			expect(headerTag(header, { ...flow, sourcePort: flow.sourcePort ^ 1 }, key) === header.tag).toBe(ticket);
			expect(headerTag(header, { ...flow, destinationPort: flow.destinationPort ^ 1 }, key)).not.toBe(header.tag);
			expect(headerTag(header, { ...flow, protocol: flow.protocol ^ 1 }, key)).not.toBe(header.tag);
			expect(headerTag(header, { ...flow, source: flow.destination, destination: flow.source }, key)).not.toBe(
				header.tag,
			);
			expect(
				headerTag(
					header,
					flow,
					key.map((b, i) => (i === 15 ? b ^ 1 : b)),
				),
			).not.toBe(header.tag);
			const bytes = bytesOf(vector.hex);
			for (let bit = 0; bit < (bytes.length - 8) * 8; bit++) {
				const moved = bytes.slice();
				moved[bit >> 3] = (moved[bit >> 3] as number) ^ (0x80 >> (bit & 7));
				const result = decodeHeader(moved);
				if (!result.ok || (ticket && bit < 16)) continue; // a ticket's type, F and X are not under its tag
				expect(headerTag(result.header, flow, key), `${vector.name}, bit ${bit}`).not.toBe(header.tag);
			}
		}
	});
});
