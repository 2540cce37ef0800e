// dump-options.ts - the options of `shunt dump`: the source of the packets, their selection and their form.

/** The selection where Shunt's XDP program runs: its packets do not reach a capture filter. */
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
	/** Configuration whose keys verify tags. */
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
