// source-hash.ts - one row of the forwarding table, by the hash of the source address alone.

import { CHOICE } from "../table-fields.js";
import type { Strategy } from "./strategy.js";

export const sourceHash = {
	name: "source-hash",
	summary: "the same by the source address alone",
	page: { goesTo: "the same by its source alone", gatewaysAlike: "always" },
	spread: "source",
	choice: CHOICE.row,
	needsLoads: false,
	needsFactors: false,
} as const satisfies Strategy;
