// statistics.ts - mean and deviation of values of which some may be missing (NaN).

import type { Evenness } from "./model.js";

export function average(values: ArrayLike<number>): number {
	let sum = 0;
	let count = 0;
	for (let i = 0; i < values.length; i++) {
		if (Number.isNaN(values[i]!)) continue;
		sum += values[i]!;
		count++;
	}
	return count === 0 ? Number.NaN : sum / count;
}

export function evenness(loads: readonly number[]): Evenness {
	const known = loads.filter((load) => !Number.isNaN(load));
	const mean = average(known);
	if (known.length === 0 || mean === 0) return { max: Number.NaN, deviation: Number.NaN };
	const variance = known.reduce((sum, load) => sum + (load - mean) ** 2, 0) / known.length;
	return { max: Math.max(...known) / mean, deviation: Math.sqrt(variance) / mean };
}

/** Least-squares line through points. */
export function trend(points: readonly (readonly [number, number])[]): (x: number) => number {
	const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
	const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
	const squares = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
	const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / squares;
	return (x) => meanY + slope * (x - meanX);
}
