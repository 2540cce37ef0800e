// The state and event tables of docs/client.md name the states and events of the machine, and no others.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const page = read("docs/client.md");
const tables = page.slice(page.indexOf("## States")).split("\n\n| ");

function column(table: string | undefined, index: number): string[] {
	const rows = (table ?? "").split("\n").slice(2);
	return rows.filter((row) => row.startsWith("|")).map((row) => row.split("|")[index + 1]?.trim() ?? "");
}

test("docs/client.md lists every state of every region", () => {
	const declared = read("src/client/machine/state.ts").matchAll(/readonly state: ((?:"\w+"(?: \| )?)+)/g);
	const states = [...declared].flatMap(([, names]) => [...(names ?? "").matchAll(/"(\w+)"/g)].map(([, name]) => name));
	expect(new Set(column(tables[1], 1))).toEqual(new Set(states));
});

test("docs/client.md lists every event", () => {
	const declared = read("src/client/machine/events.ts").matchAll(/readonly type: "(\w+)"/g);
	const events = [...declared].map(([, name]) => name);
	expect(new Set(column(tables[2], 0).map((cell) => cell.replace(/:.*/, "")))).toEqual(new Set(events));
});
