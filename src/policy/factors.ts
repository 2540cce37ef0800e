// factors.ts - by how much a backend's weight is raised or lowered, where a service is `choose: weighted` (R11).
//
// A loop in the logarithm of the factor f of each backend, whose load is x and whose error is e = ln(x / mean):
//
//   wanted  ln f = -(GAIN · e + I),   I grows by RATE · e a second
//
// The proportional part answers at once and damps; the integral one takes away what is left: backends that are stronger than
// their weights say. Sessions stay where they are, so the load follows a factor as slowly as sessions end: with a mean life of
// L seconds the loop is critically damped at RATE · L = (1 + GAIN)² / 4 (a minute), and swings below what arrivals at random
// make anyway up to ten. What is published follows in steps: none while the wanted factor is within DEAD_BAND of it, none
// larger than LARGEST_STEP: every step is a new forwarding table, which sends some new clients elsewhere. A stronger or more
// watchful loop evens loads a few hundredths better and moves several times the rows (docs/balancing.md has the runs).
//
// Must never: move anything where all are nearly idle: there a session more or less is no error.

export const GAIN = 0.5;
/** A second. */
export const RATE = 0.01;
export const DEAD_BAND = 0.1;
export const LARGEST_STEP = 0.2;
/** No factor is above this one, or below its inverse. */
export const FARTHEST = 8;
/** Below this mean load all are idle. */
const IDLE = 0.005;
/** An error is never taken for more than this: an idle one among busy ones is not infinitely wrong. */
const LARGEST_ERROR = 1;

export interface Factor {
	/** As published: 1 leaves the weight as it is. */
	readonly factor: number;
	/** I, in the formula. */
	readonly integral: number;
}

export const NEUTRAL: Factor = { factor: 1, integral: 0 };

/**
 * `error`: relative deviations of those that take part, by name; a backend of which nothing is known has none and keeps its
 * factor. `seconds`: since the factors before.
 */
export function nextFactor(before: Factor, load: number, mean: number, seconds: number): Factor {
	if (mean < IDLE) return before;
	const error = clamp(Math.log(Math.max(load, mean / 100) / mean), LARGEST_ERROR);
	const farthest = Math.log(FARTHEST);
	const integral = clamp(before.integral + RATE * error * seconds, farthest);
	const wanted = clamp(-(GAIN * error + integral), farthest);
	const published = Math.log(before.factor);
	if (Math.abs(wanted - published) <= DEAD_BAND) return { factor: before.factor, integral };
	return { factor: Math.exp(published + clamp(wanted - published, LARGEST_STEP)), integral };
}

function clamp(value: number, most: number): number {
	return Math.min(most, Math.max(-most, value));
}
