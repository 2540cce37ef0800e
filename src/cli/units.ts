// units.ts - numbers with units, as text: 1,234,567 · 1.23 MB · 2 m 13 s · 33 %.
//
// Must never: be used for --json, where numbers are plain.

const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function number(value: number): string {
	return GROUPED.format(value);
}

/** "1 session", "2 sessions" */
export function count(value: number, one: string, many = `${one}s`): string {
	return `${number(value)} ${value === 1 ? one : many}`;
}

/** Powers of 1000, three digits. */
export function bytes(value: number): string {
	return scaled(value, ["B", "kB", "MB", "GB", "TB", "PB"]);
}

/** Events per second. */
export function rate(perSecond: number): string {
	return `${scaled(perSecond, ["", "k", "M", "G"])}/s`;
}

/** Bits per second. */
export function bps(perSecond: number): string {
	return scaled(perSecond, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]);
}

function scaled(value: number, units: readonly string[]): string {
	let unit = 0;
	let rest = value;
	while (rest >= 999.5 && unit < units.length - 1) {
		rest /= 1000;
		unit++;
	}
	const digits = unit === 0 || rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
	return `${rest.toFixed(digits)} ${units[unit]}`.trimEnd();
}

/** At most two units: 350 ms, 4.2 s, 45 s, 2 m 13 s, 3 h 5 m, 2 d 3 h. */
export function duration(ms: number): string {
	if (ms < 999.5) return `${Math.round(ms)} ms`;
	if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
	const s = Math.round(ms / 1000);
	if (s < 60) return `${s} s`;
	if (s < 3600) return pair(Math.floor(s / 60), "m", s % 60, "s");
	if (s < 86_400) return pair(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "m");
	return pair(Math.floor(s / 86_400), "d", Math.floor((s % 86_400) / 3600), "h");
}

function pair(first: number, unit: string, second: number, smaller: string): string {
	return second === 0 ? `${first} ${unit}` : `${first} ${unit} ${second} ${smaller}`;
}

/** Of a part between 0 and 1. A part above 0 is never shown as 0 %, nor one below 1 as 100 %. */
export function percent(part: number): string {
	if (part > 0 && part < 0.001) return "<0.1 %";
	if (part < 1 && part > 0.999) return ">99.9 %";
	const digits = part > 0 && part < 0.0995 ? 1 : 0;
	return `${(part * 100).toFixed(digits)} %`;
}

export { formatEndpoint as endpoint } from "../wire/index.js";
