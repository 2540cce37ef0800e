// reasons.test.ts - docs/reasons.md: every exit of a packet, from native/datapath/reasons.h, and the golden cases that prove it.
// `-u` writes it.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { reasons } from "../../src/engine/index.js";
import { cases } from "../golden/cases.js";
import { policies } from "../golden/policies.js";
import { questions } from "../golden/questions.js";

const root = join(import.meta.dirname, "../..");

const VERDICTS = {
	forward: "packet and header go to the service address",
	return: "packet and header go back to the client, which replays it",
	indicate: "the header alone goes to the client",
	control: "answered by the packet program itself",
	pass: "left to this host's own network stack",
	drop: "ends here",
} as const;

/** Cases that a line names; it must stay readable. */
const NAMED = 16;

/** Names of the golden cases whose counters include the reason. */
function proofs(reason: string): string[] {
	const all = [...cases, ...questions, ...policies]
		.filter(({ name }) => {
			const file = join(root, "test/golden/expected", name, "counters.json");
			return existsSync(file) && reason in JSON.parse(readFileSync(file, "utf8")).reasons;
		})
		.map(({ name }) => name);
	return all.length > NAMED ? [...all.slice(0, NAMED), `${all.length - NAMED} more`] : all;
}

/** The first dozen: a line of the page has an end. */
function listed(names: readonly string[]): string {
	const rest = names.length > 12 ? `, and ${names.length - 12} more` : "";
	return names.slice(0, 12).join(", ") + rest;
}

function page(): string {
	const lines = [
		"# Reasons",
		"",
		"Every packet leaves the packet program by exactly one reason, and each reason has one counter: in = the sum of all of",
		"them. `shunt status` shows those that have counted, `shunt reasons` all. Made from `native/datapath/reasons.h`",
		"(`npx vitest run test/docs -u`); the last column names the golden cases (`test/golden`) that prove it.",
	];
	for (const [verdict, text] of Object.entries(VERDICTS)) {
		const rows = reasons().filter((one) => one.verdict === verdict);
		if (rows.length === 0) continue;
		lines.push("", `## ${verdict}: ${text}`, "", "| reason | what it means | cases |", "|---|---|---|");
		for (const one of rows)
			lines.push(`| \`${one.name}\` | ${one.text} | ${listed(proofs(one.name)) || "a live engine only"} |`);
	}
	return `${lines.join("\n")}\n`;
}

test("docs/reasons.md is what the packet program has", async () => {
	await expect(page()).toMatchFileSnapshot(join(root, "docs/reasons.md"));
});
