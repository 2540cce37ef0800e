// ports.ts - a service's ports: one, a range, or any.
//
// Owns: their spelling, "53", "10000-20000" and "any", and the limit on ranges. Must never: know of backends.

/** From first to last; one port: both are equal. */
export interface Ports {
	readonly first: number;
	readonly last: number;
}

/** SH_RANGES of the packet program. */
export const MAX_RANGES = 6;

const ANY: Ports = { first: 1, last: 65_535 };

/** undefined: the text is none, or its numbers are. */
export function parsePorts(written: number | string): Ports | undefined {
	if (written === "any") return ANY;
	const [, low, high] = /^([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?$/.exec(String(written)) ?? [];
	const [first, last] = [Number(low), Number(high ?? low)];
	return first >= 1 && first <= last && last <= 65_535 ? { first, last } : undefined;
}

export function portsText({ first, last }: Ports): string {
	if (first === last) return String(first);
	return isAny({ first, last }) ? "any" : `${first}-${last}`;
}

export function isAny({ first, last }: Ports): boolean {
	return first === ANY.first && last === ANY.last;
}

/** A client's port is then the backend's as well. */
export function areMany({ first, last }: Ports): boolean {
	return last > first;
}

export function holdsPort({ first, last }: Ports, port: number): boolean {
	return first <= port && port <= last;
}
