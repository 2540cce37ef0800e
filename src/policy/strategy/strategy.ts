// strategy.ts - what a balancing strategy is: how a new session finds its backend.
//
// A strategy is one file of this folder and one entry of the list in index.ts. The configuration's schema and its pages,
// `shunt simulate --choose` and the table of docs/balancing.md follow from the list.
// Must never: decide anything itself. The packet program chooses by the tables; a strategy says how these are made.

import type { CHOICE } from "../table-fields.js";

export interface Strategy {
	/** As in the configuration file. */
	readonly name: string;
	/** In the description of the field `choose`: a phrase that begins in lower case, without its full stop. */
	readonly summary: string;
	/** In docs/balancing.md: what a new session goes to, and whether several gateways choose alike. */
	readonly page: { readonly goesTo: string; readonly gatewaysAlike: string };
	/** What is hashed, where the strategy decides it; else the service's own `spread` does. */
	readonly spread?: "flow" | "source";
	/** How the packet program chooses among the rows of a forwarding table. */
	readonly choice: (typeof CHOICE)[keyof typeof CHOICE];
	/** The tables carry the loads of its targets, and are published again when these move. */
	readonly needsLoads: boolean;
	/** Weights are multiplied by factors that follow loads (factors.ts). */
	readonly needsFactors: boolean;
}
