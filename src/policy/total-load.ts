// total-load.ts - the total load of a server (R10): one number from what it carries.
//
//   sessions = (udp · UDP sessions + tcp · TCP sessions) / capacity
//   total    = max(sessions, cpu · busy share of the processors, link · use of the links)
//
// The largest, not a sum: a server is as full as what it runs out of first, and a sum would call one full that is half full
// in two respects. 0 is idle, 1 is full, and it can be fuller than that. A weight of 0 leaves a part out.
//
// Must never: look at a clock; times are given.

export interface LoadParts {
	/** Artificial UDP sessions, and TCP sessions. */
	readonly udpSessions: number;
	readonly tcpSessions: number;
	/** Above 0. */
	readonly capacity: number;
	/** 0 to 1; null: unknown, and left out. */
	readonly cpu: number | null;
	readonly link: number | null;
}

export interface LoadWeights {
	readonly udp: number;
	readonly tcp: number;
	readonly cpu: number;
	readonly link: number;
}

export function totalLoad(parts: LoadParts, weights: LoadWeights): number {
	return Math.max(
		(weights.udp * parts.udpSessions + weights.tcp * parts.tcpSessions) / parts.capacity,
		weights.cpu * (parts.cpu ?? 0),
		weights.link * (parts.link ?? 0),
	);
}

/**
 * Exponential smoothing with a time constant, right for periods of any length: what lasts for `timeConstantMs` is reported to
 * 1 - 1/e. undefined before, or no time constant: the value itself.
 */
export function smoothed(before: number | undefined, value: number, elapsedMs: number, timeConstantMs: number): number {
	if (before === undefined || timeConstantMs <= 0) return value;
	return value + (before - value) * Math.exp(-Math.max(0, elapsedMs) / timeConstantMs);
}
