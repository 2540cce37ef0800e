// index.ts - the list of all strategies, in the order in which the pages name them.

import { leastLoad } from "./least-load.js";
import { maglev } from "./maglev.js";
import { sourceHash } from "./source-hash.js";
import type { Strategy } from "./strategy.js";
import { weighted } from "./weighted.js";

export type { Strategy } from "./strategy.js";

export const STRATEGIES = [maglev, sourceHash, weighted, leastLoad] as const;

export type StrategyName = (typeof STRATEGIES)[number]["name"];

export const DEFAULT_STRATEGY: StrategyName = maglev.name;

export const STRATEGY_NAMES: readonly StrategyName[] = STRATEGIES.map(({ name }) => name);

export function strategyOf(name: StrategyName): Strategy {
	const strategy = STRATEGIES.find((one) => one.name === name);
	if (strategy === undefined) throw new RangeError(`no strategy is named ${name}`);
	return strategy;
}

/** The table of docs/balancing.md. */
export function strategyTable(): string {
	const rows = STRATEGIES.map(({ name, page }) => `| \`${name}\` | ${page.goesTo} | ${page.gatewaysAlike} |`);
	return ["| `choose` | a new session goes to | gateways choose alike |", "|---|---|---|", ...rows].join("\n");
}
