// quantities.ts - quantities with their units: durations ("50us", "500ms", "30s", "2m", "1h"), speeds ("100Mbit") and
// shares ("95%").
//
// Owns: the spellings. Must never: guess the unit of a bare number.

const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

export const DURATION_PATTERN = "^[0-9]+(\\.[0-9]+)?(us|ms|s|m|h)$";
const SPELLING = /^([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h)$/;

/** Milliseconds, or undefined if the text is not a duration. */
export function parseDuration(text: string): number | undefined {
	const match = SPELLING.exec(text);
	if (match === null) return undefined;
	// Rounded to whole nanoseconds, so that comparisons are not off by a binary fraction.
	return Math.round(Number(match[1]) * (UNITS[match[2]!] ?? 0) * 1e6) / 1e6;
}

/** Milliseconds of a text that the schema has accepted as a duration. */
export function ms(text: string): number {
	return parseDuration(text) ?? 0;
}

const SPEED_UNITS: Readonly<Record<string, number>> = { kbit: 1e3, Mbit: 1e6, Gbit: 1e9, Tbit: 1e12 };

export const SPEED_PATTERN = "^[0-9]+(\\.[0-9]+)?(kbit|Mbit|Gbit|Tbit)$";
const SPEED = /^([0-9]+(?:\.[0-9]+)?)(kbit|Mbit|Gbit|Tbit)$/;

/** Whole bits per second, above 0; or undefined if the text is not a speed. */
export function parseSpeed(text: string): number | undefined {
	const match = SPEED.exec(text);
	if (match === null) return undefined;
	return Math.round(Number(match[1]) * (SPEED_UNITS[match[2]!] ?? 0)) || undefined;
}

export const SHARE_PATTERN = "^[0-9]+(\\.[0-9]+)?%$";
const SHARE = /^([0-9]+(?:\.[0-9]+)?)%$/;

/** Above 0, up to 1; or undefined if the text is not a share. */
export function parseShare(text: string): number | undefined {
	const share = Number(SHARE.exec(text)?.[1] ?? 0) / 100;
	return share > 0 && share <= 1 ? share : undefined;
}
