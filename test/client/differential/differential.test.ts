// Each case is one program, run over Node's own modules and over the library: without a service, with a service that has
// no gateway, and with one whose target is known. What it sees must be the same, except for the differences that
// docs/client.md names.

import dgram from "node:dgram";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AGENT_CASES } from "./agent.cases.js";
import { CONNECTION_CASES } from "./connection.cases.js";
import { DATAGRAM_CASES } from "./datagram.cases.js";
import { DIFFERENCES } from "./differences.js";
import { Sides } from "./sides.js";

const TIMEOUT_MS = 5000;
const SUITES = { datagrams: DATAGRAM_CASES, connections: CONNECTION_CASES, agents: AGENT_CASES };

const late = () => new Promise((resolve) => setTimeout(resolve, TIMEOUT_MS, "no end").unref());

let sides: Sides;
beforeAll(async () => {
	sides = await Sides.start();
});
afterAll(() => sides.close());

describe.each(Object.entries(SUITES))("%s", (_, cases) => {
	test.each(Object.entries(cases))("R26: as Node: %s", { timeout: 5 * TIMEOUT_MS }, async (title, run) => {
		const seen: Record<string, unknown> = {};
		for (const side of sides.all) seen[side.name] = await Promise.race([run(side, sides.place), late()]);
		const { Node: node, ...library } = seen;
		const expected = new Set(
			DIFFERENCES.filter(({ of }) => of.includes(title)).flatMap((one) => one.sides as string[]),
		);
		for (const [name, one] of Object.entries(library)) {
			expect(node).not.toBe("no end");
			if (expected.has(name)) expect(one, `${name} is listed as different`).not.toEqual(node);
			else expect(one, name).toEqual(node);
		}
	});
});

/** Later versions of Node have more. */
test.skipIf(!process.version.startsWith("v20."))("R26: the cases use every public method of the classes", () => {
	const source = ["datagram.cases.ts"].map((file) => readFileSync(join(import.meta.dirname, file), "utf8")).join("\n");
	const methods = [dgram.Socket].flatMap(({ prototype }) => Object.getOwnPropertyNames(prototype));
	const missing = methods.filter(
		(name) => !name.startsWith("_") && name !== "constructor" && !new RegExp(`\\.${name}\\b`).test(source),
	);
	expect(missing).toEqual([]);
});

test("every difference is of a case, and docs/client.md has its row", () => {
	const titles = Object.values(SUITES).flatMap((cases) => Object.keys(cases));
	expect(DIFFERENCES.flatMap(({ of }) => of.filter((one) => !titles.includes(one)))).toEqual([]);
	const page = readFileSync(join(import.meta.dirname, "../../../docs/client.md"), "utf8");
	const rows = page.split("\n").filter((line) => DIFFERENCES.some(({ node }) => line.startsWith(`| ${node} |`)));
	expect(rows).toEqual(DIFFERENCES.map(({ node, library, reason }) => `| ${node} | ${library} | ${reason} |`));
});
