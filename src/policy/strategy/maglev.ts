// maglev.ts - one row of the forwarding table, by the hash of the flow.

import { CHOICE } from "../table-fields.js";
import type { Strategy } from "./strategy.js";

export const maglev = {
	name: "maglev",
	summary: "by a hash, in shares that follow weights",
	page: {
		goesTo: "the row that its flow's hash names (Eisenbud et al., *Maglev*, 2016)",
		gatewaysAlike: "always",
	},
	choice: CHOICE.row,
	needsLoads: false,
	needsFactors: false,
} as const satisfies Strategy;
