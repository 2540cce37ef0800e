// plot.ts - a run as a picture: SVG, legible on white and on black.
//
// Owns: the picture. Must never: compute a figure; what it draws is the run's own series.

import type { Result } from "./model.js";

const WIDTH = 900;
const PANEL = 170;
const LEFT = 64;
const RIGHT = 16;
const TOP = 46;
const GAP = 44;
/** Points of a line: more would not be seen. */
const POINTS = 240;
/** Backends drawn: of more, every so manyth. */
const LINES = 30;

interface Panel {
	readonly title: string;
	readonly unit: string;
	readonly lines: readonly { readonly values: Float32Array; readonly kind: "one" | "main" }[];
	/** The axis begins here. */
	readonly from: number;
}

export function plot(result: Result): string {
	const { series, options } = result;
	const every = Math.max(1, Math.ceil(series.loads.length / LINES));
	const each = series.loads.filter((_, b) => b % every === 0).map((values) => ({ values, kind: "one" as const }));
	const panels: Panel[] = [
		{
			title: `load of ${series.loads.length === each.length ? "each backend" : `every ${every}th backend`}, and the mean`,
			unit: "1 is full",
			lines: [...each, { values: series.mean, kind: "main" }],
			from: 0,
		},
		{
			title: "the most loaded over the mean",
			unit: "",
			lines: [{ values: series.maxOverMean, kind: "main" }],
			from: 1,
		},
		...(options.leaseS > 0
			? [
					{
						title: "packets that a gateway sees, of all",
						unit: "",
						lines: [{ values: series.gatewayShare, kind: "main" as const }],
						from: 0,
					},
				]
			: []),
	];
	const height = TOP + panels.length * (PANEL + GAP);
	const seconds = series.mean.length;
	const head = `${options.choose}: ${options.backends} backends, ${options.clients.toLocaleString("en-US")} clients in ${options.timeS} s, sessions of ${options.lifeS} s, seed ${options.seed}`;
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
		`<title>${escaped(head)}</title>`,
		"<style>",
		"text { fill: #333 } .axis { stroke: #888; fill: none } .grid { stroke: #8884 } .one { stroke: #2a78d688; fill: none }",
		".main { stroke: #c2410c; fill: none; stroke-width: 2 } .settle { fill: #8882 }",
		"@media (prefers-color-scheme: dark) { text { fill: #ccc } .one { stroke: #6cb0ff88 } .main { stroke: #ff9d5c } }",
		"</style>",
		`<text x="${LEFT}" y="22" font-size="15" font-weight="bold">${escaped(head)}</text>`,
		...panels.flatMap((panel, i) => drawn(panel, TOP + i * (PANEL + GAP), seconds, options.settleS)),
		"</svg>",
		"",
	].join("\n");
}

function drawn(panel: Panel, top: number, seconds: number, settleS: number): string[] {
	const most = Math.max(
		panel.from,
		...panel.lines.flatMap(({ values }) => [...sampled(values)].map(([, value]) => value)),
	);
	const to = niceAbove(most, panel.from);
	const x = (at: number) => LEFT + (at / seconds) * (WIDTH - LEFT - RIGHT);
	const y = (value: number) => top + PANEL - ((value - panel.from) / (to - panel.from)) * PANEL;
	const ticks = Array.from({ length: 5 }, (_, i) => panel.from + ((to - panel.from) * i) / 4);
	const times = Array.from({ length: 7 }, (_, i) => Math.round((seconds * i) / 6));
	return [
		`<text x="${LEFT}" y="${top - 8}">${escaped(panel.title)}${panel.unit === "" ? "" : ` (${escaped(panel.unit)})`}</text>`,
		`<rect class="settle" x="${LEFT}" y="${top}" width="${(x(settleS) - LEFT).toFixed(1)}" height="${PANEL}"/>`,
		...ticks.map(
			(tick) =>
				`<path class="grid" d="M${LEFT} ${y(tick).toFixed(1)}H${WIDTH - RIGHT}"/><text x="${LEFT - 6}" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end">${numbered(tick, to - panel.from)}</text>`,
		),
		...times.map(
			(time) =>
				`<text x="${x(time).toFixed(1)}" y="${top + PANEL + 16}" text-anchor="middle">${time}${time === 0 ? " s" : ""}</text>`,
		),
		...panel.lines.map(({ values, kind }) => `<path class="${kind}" d="${path(values, x, y)}"/>`),
		`<path class="axis" d="M${LEFT} ${top}V${top + PANEL}H${WIDTH - RIGHT}"/>`,
	];
}

function* sampled(values: Float32Array): Generator<[number, number]> {
	const step = Math.max(1, Math.ceil(values.length / POINTS));
	for (let at = 0; at < values.length; at += step) if (Number.isFinite(values[at])) yield [at, values[at]!];
}

/** A gap where it was not there. */
function path(values: Float32Array, x: (at: number) => number, y: (value: number) => number): string {
	const step = Math.max(1, Math.ceil(values.length / POINTS));
	let before = Number.NEGATIVE_INFINITY;
	let text = "";
	for (const [at, value] of sampled(values)) {
		text += `${at - before > step ? "M" : "L"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
		before = at;
	}
	return text;
}

function niceAbove(most: number, from: number): number {
	const span = Math.max(most - from, 1e-6);
	const power = 10 ** Math.floor(Math.log10(span));
	const nice = [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10].find((one) => one * power >= span) ?? 10;
	return from + nice * power;
}

function numbered(value: number, span: number): string {
	return value.toFixed(Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(span)))));
}

function escaped(text: string): string {
	return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
