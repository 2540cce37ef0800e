// duration.ts - durations as people write them: "500ms", "30s", "2m", "1h", "50us".
//
// Owns: the spelling. Must never: guess a unit for a bare number.

const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

export const DURATION_PATTERN = "^[0-9]+(\\.[0-9]+)?(us|ms|s|m|h)$";
const SPELLING = /^([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h)$/;

/** Milliseconds, or undefined if the text is no duration. */
export function parseDuration(text: string): number | undefined {
	const match = SPELLING.exec(text);
	if (match === null) return undefined;
	// Rounded to whole nanoseconds, so that 0.1 + 0.2 does not leave its dust in a comparison.
	return Math.round(Number(match[1]) * (UNITS[match[2]!] ?? 0) * 1e6) / 1e6;
}

/** Milliseconds of a text that the schema has accepted. */
export function ms(text: string): number {
	return parseDuration(text) ?? 0;
}
