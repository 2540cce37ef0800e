// flow-options.ts - what chooses packets where the XDP program has them.

/** What chooses packets here; a capture filter can't, since these packets never come to where it works. */
export interface FlowOptions {
	readonly protocol?: string;
	readonly source?: string;
	readonly sourcePort?: number;
	readonly destination?: string;
	readonly destinationPort?: number;
	readonly reason?: readonly string[];
	readonly verdict?: readonly string[];
	readonly rate?: number;
	readonly stage?: "before" | "after" | "both";
}

export const FLOW_OPTIONS = [
	"protocol",
	"source",
	"sourcePort",
	"destination",
	"destinationPort",
	"reason",
	"verdict",
	"rate",
	"stage",
] as const satisfies readonly (keyof FlowOptions)[];
