// docs/protocol.md is the specification: what it lists must equal the vectors and the code.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CONTROL_PORT, CONTROL_SIZE, COOKIE, EXID, HEADER_REASONS, HEADER_TYPES } from "../../src/wire/index.js";
import { vectors } from "./vectors.js";

const text = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");

test("every vector that the specification lists is in the file, byte for byte", () => {
	const listed = [...text.matchAll(/^\| (.+?) \| `([0-9a-f]{60,})` \|$/gm)];
	expect(listed.length).toBeGreaterThanOrEqual(24);
	for (const [, name, hex] of listed) {
		const vector = vectors.find((v) => name === (v.reason === undefined ? v.name : `${v.name}: \`${v.reason}\``));
		expect(vector?.hex, name).toBe(hex);
	}
	const types = new Set(listed.map(([, , hex]) => vectors.find((v) => v.hex === hex)?.fields?.type));
	for (const type of HEADER_TYPES.slice(1)) expect(types).toContain(type);
	for (const reason of HEADER_REASONS) expect(listed.some(([, name]) => name?.includes(`\`${reason}\``))).toBe(true);
});

test("the specification and the code have the same constants", () => {
	expect(text).toContain(COOKIE.toString(16).replace(/(..)(?=.)/g, "$1 "));
	expect(text).toContain(`${EXID.toString(16).slice(0, 2)} ${EXID.toString(16).slice(2)}`);
	expect(text).toContain(`${CONTROL_SIZE} bytes`);
	expect(text).toContain(String(CONTROL_PORT));
});
