// The state and event tables of docs/client.md name the states and events of the machine, and no others; the timers of
// docs/protocol.md are its defaults.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SETTINGS } from "../../src/client/index.js";

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

test("docs/protocol.md, section 9, has the machine's timers and bounds", () => {
	const text = read("docs/protocol.md");
	const table = text.slice(text.indexOf("## 9."), text.indexOf("## 10.")).split("\n\n")[1];
	const values = column(table, 1);
	const value = (name: string) => values[column(table, 0).findIndex((row) => row.startsWith(name))];
	const list = (ms: readonly number[]) => {
		const seconds = ms.map((one) => String(one / 1000));
		return `${ms.length}: ${seconds.slice(0, -1).join(", ")} and ${seconds.at(-1)} s`;
	};
	const seconds = (ms: number) => `${ms / 1000} s`;
	const { windowMs, permanentMs, plainMs, barMs, maxBarMs, stayMs, maxRedirections, silenceMs } = SETTINGS;
	expect(value("window of")).toBe(seconds(windowMs));
	expect(value("permanent")).toBe(`${permanentMs / 3_600_000} h`);
	expect(value("transmissions of a query")).toBe(list(SETTINGS.queryTimeoutsMs));
	expect(value("transmissions of a probe")).toBe(list(SETTINGS.probeTimeoutsMs));
	expect(value("wait after")).toBe(
		`${plainMs / 60_000} min; ${seconds(barMs)} if the gateway has redirected this client before`,
	);
	expect(value("silence")).toMatch(`${seconds(silenceMs)}, doubling to ${seconds(32 * silenceMs)}`);
	expect(value("bar on")).toBe(`${seconds(barMs)}, doubling to ${seconds(maxBarMs)}`);
	expect(value("redirections")).toBe(`${maxRedirections} in ${seconds(stayMs)}; ${seconds(stayMs)}`);
});
