// strategies.test.ts - what follows from the list of strategies. `npx vitest run test/policy -u` rewrites the page.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { STRATEGIES, STRATEGY_NAMES, strategyOf, strategyTable } from "../../src/policy/index.js";

const page = join(import.meta.dirname, "../../docs/balancing.md");

test("docs/balancing.md has the table of all strategies", async () => {
	const text = readFileSync(page, "utf8");
	const marked = /(<!-- strategies -->\n)[\s\S]*(<!-- \/strategies -->)/;
	const fresh = text.replace(marked, (_, begin, end) => `${begin}${strategyTable()}\n${end}`);
	expect(fresh).toContain("| `maglev` |");
	await expect(fresh).toMatchFileSnapshot(page);
});

test("every strategy is found by its name, and names are unique", () => {
	for (const strategy of STRATEGIES) expect(strategyOf(strategy.name)).toBe(strategy);
	expect(new Set(STRATEGY_NAMES).size).toBe(STRATEGIES.length);
});
