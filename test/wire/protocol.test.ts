// docs/protocol.md is the specification: what it lists must equal the vectors and the code.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
	CONTROL_PORT,
	CONTROL_SIZE,
	COOKIE,
	EXID,
	GENEVE_CLASS,
	GENEVE_PORT,
	GENEVE_TYPE,
	HEADER_REASONS,
	HEADER_TYPES,
} from "../../src/wire/index.js";
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
	const points = text.slice(text.indexOf("## 14."));
	const point = (what: string) => new RegExp(`^\\| ${what} \\| ([^|]+) \\|`, "m").exec(points)?.[1];
	expect(point("control port")).toBe(`UDP ${CONTROL_PORT}`);
	expect(point("tunnel port")).toBe(`UDP ${GENEVE_PORT}`);
	expect(point("cookie")?.replaceAll(" ", "")).toBe(COOKIE.toString(16));
	expect(point("Geneve option class")).toBe(`0x${GENEVE_CLASS.toString(16)}`);
	expect(point("Geneve option type")).toBe(`0x${GENEVE_TYPE.toString(16)}`);
	expect(point("ExID")).toBe(`0x${EXID.toString(16)}`);
	expect(point("types")).toBe(`1 to ${HEADER_TYPES.length - 1}`);
});

test("rules are numbered from 1 on in each section, and every rule that is referred to exists", () => {
	const rules = new Set<string>();
	let section = "";
	let count = 0;
	for (const line of text.split("\n")) {
		const heading = /^#{2,3} (\d+(?:\.\d+)?)/.exec(line)?.[1];
		if (heading !== undefined) [section, count] = [heading, 0];
		const rule = /^- \*\*(\d+(?:\.\d+)?-\d+)\*\*/.exec(line)?.[1];
		if (rule === undefined) continue;
		expect(rule).toBe(`${section}-${++count}`);
		rules.add(rule);
	}
	const referred = [...text.matchAll(/\brules? (\d+(?:\.\d+)?-\d+)(?: (?:and|to) (\d+(?:\.\d+)?-\d+))?/g)];
	expect(referred.length).toBeGreaterThan(20);
	for (const [, one, other = one] of referred) {
		expect(rules).toContain(one);
		expect(rules).toContain(other);
	}
});
