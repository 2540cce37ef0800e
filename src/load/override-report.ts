// override-report.ts - the part of a load report by which a backend passes on what its operator has changed at run time:
// that it drains, and its weights.
//
// Owns: the fields and their limits. Must never: trust a field; see report.ts.

export interface ReportedOverride {
	/** Absent: it does not drain. Times are milliseconds since 1970, by the backend's clock. */
	readonly drain?: {
		/** draining: it keeps its sessions. inactive: its deadline is over, they choose anew. */
		readonly state: "draining" | "inactive";
		readonly since: number;
		readonly until: number | null;
	};
	readonly weights: readonly { readonly service: string; readonly weight: number; readonly since: number }[];
}

const MAX_WEIGHTS = 128;
const MAX_WEIGHT = 1000;

/** undefined: not valid. */
export function readOverride(value: unknown): ReportedOverride | undefined {
	if (typeof value !== "object" || value === null) return undefined;
	const { drain, weights } = value as Record<string, unknown>;
	if (!Array.isArray(weights) || weights.length > MAX_WEIGHTS || !weights.every(isWeight)) return undefined;
	if (drain !== undefined && !isDrain(drain)) return undefined;
	return {
		...(drain === undefined ? {} : { drain: { state: drain.state, since: drain.since, until: drain.until } }),
		weights: weights.map(({ service, weight, since }) => ({ service, weight, since })),
	};
}

function isDrain(value: unknown): value is NonNullable<ReportedOverride["drain"]> {
	if (typeof value !== "object" || value === null) return false;
	const { state, since, until } = value as Record<string, unknown>;
	return (state === "draining" || state === "inactive") && isTime(since) && (until === null || isTime(until));
}

function isWeight(value: unknown): value is ReportedOverride["weights"][number] {
	if (typeof value !== "object" || value === null) return false;
	const { service, weight, since } = value as Record<string, unknown>;
	if (typeof service !== "string" || service.length === 0 || service.length > 64 || !isTime(since)) return false;
	return Number.isInteger(weight) && (weight as number) >= 0 && (weight as number) <= MAX_WEIGHT;
}

function isTime(value: unknown): value is number {
	return Number.isSafeInteger(value) && (value as number) >= 0;
}
