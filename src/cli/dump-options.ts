// dump-options.ts - what `shunt dump` is asked for: where packets come from, which, and how they are shown.

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

export interface DumpOptions extends FlowOptions {
	readonly interface?: string;
	readonly read?: string;
	readonly write?: string;
	readonly count?: number;
	readonly hex?: boolean;
	readonly filter?: string;
	/** Its keys verify tags. */
	readonly config?: string;
	readonly json?: boolean;
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
