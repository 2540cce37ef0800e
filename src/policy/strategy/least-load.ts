// least-load.ts - the less loaded of two rows (the power of two choices).

import { CHOICE } from "../table-fields.js";
import type { Strategy } from "./strategy.js";

export const leastLoad = {
	name: "least-load",
	summary: "the less loaded of two that hashes name",
	page: {
		goesTo: "the less loaded of the two rows that two hashes name (Mitzenmacher, *The power of two choices*, 2001)",
		gatewaysAlike: "no: loads are each gateway's own",
	},
	choice: CHOICE.lessLoaded,
	needsLoads: true,
	needsFactors: false,
} as const satisfies Strategy;
