// weighted.ts - one row of a forwarding table whose weights follow loads (factors.ts).

import { CHOICE } from "../table-fields.js";
import type { Strategy } from "./strategy.js";

export const weighted = {
	name: "weighted",
	summary: "shares follow weights and loads",
	page: {
		goesTo: "the same, with rows by weight × factor",
		gatewaysAlike: "mostly: factors differ by a step while they move, and by more where a gateway began later",
	},
	choice: CHOICE.row,
	needsLoads: false,
	needsFactors: true,
} as const satisfies Strategy;
