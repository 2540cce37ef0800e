// plot.ts - a run as an SVG plot, legible on a light and on a dark background. d3 computes axes and lines.
//
// Owns: the panels and their style. Must never: compute a figure of the result; it plots the run's own series.

import { scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import type { Result } from "./model.js";

const WIDTH = 900;
const MARGIN = { top: 46, right: 24, bottom: 44, left: 64 };
const PANEL_HEIGHT = 170;
/** Points of a line: the plot cannot resolve more. */
const MAX_POINTS = 240;
/** Backends plotted: of more backends, every n-th. */
const MAX_LINES = 30;

const STYLE = `
text { fill: #333 } .axis { stroke: #888; fill: none } .grid { stroke: #8884 } .one { stroke: #2a78d688; fill: none }
.main { stroke: #c2410c; fill: none; stroke-width: 2 } .settle { fill: #8882 }
@media (prefers-color-scheme: dark) { text { fill: #ccc } .one { stroke: #6cb0ff88 } .main { stroke: #ff9d5c } }
`;

interface Panel {
	readonly title: string;
	readonly lines: readonly { readonly values: Float32Array; readonly style: "one" | "main" }[];
	/** Lower end of the axis. */
	readonly least: number;
}

export function plot(result: Result): string {
	const { series, options } = result;
	const every = Math.max(1, Math.ceil(series.loads.length / MAX_LINES));
	const backends = series.loads.filter((_, b) => b % every === 0).map((values) => ({ values, style: "one" as const }));
	const which = every === 1 ? "each backend" : `one backend in ${every}`;
	const panels: Panel[] = [
		{
			title: `load of ${which}, and the mean of all (1: full)`,
			lines: [...backends, { values: series.mean, style: "main" }],
			least: 0,
		},
		{ title: "most loaded backend over the mean", lines: [{ values: series.maxOverMean, style: "main" }], least: 1 },
	];
	if (options.leaseS > 0)
		panels.push({
			title: "fraction of all packets that pass a gateway",
			lines: [{ values: series.gatewayShare, style: "main" }],
			least: 0,
		});
	if (result.failures !== null)
		panels.push(
			{
				title: "new sessions of each backend that fails, over an equal share",
				lines: failing(options).map((backend) => ({ values: shareOf(result, backend), style: "main" as const })),
				least: 0,
			},
			{
				title: "fraction of all packets that go to dead backends",
				lines: [{ values: series.lost, style: "main" }],
				least: 0,
			},
		);
	const panelStep = PANEL_HEIGHT + MARGIN.bottom;
	const title = `${options.choose}: ${options.backends} backends, ${options.clients.toLocaleString("en-US")} clients in ${options.timeS} s, sessions of ${options.lifeS} s, seed ${options.seed}`;
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${MARGIN.top + panels.length * panelStep}" font-family="sans-serif" font-size="12">`,
		`<title>${title}</title>`,
		`<style>${STYLE}</style>`,
		`<text x="${MARGIN.left}" y="22" font-size="15" font-weight="bold">${title}</text>`,
		...panels.flatMap((panel, i) =>
			panelElements(panel, MARGIN.top + i * panelStep, series.mean.length, options.settleS),
		),
		"</svg>",
		"",
	].join("\n");
}

/** Backends that die in the run: of many, the first. */
function failing({ outages }: Result["options"]): number[] {
	return [...new Set(outages.map(({ backend }) => backend))].slice(0, MAX_LINES);
}

function shareOf({ series, options }: Result, backend: number): Float32Array {
	const { loads, newByTarget } = series;
	const perBackend = Math.max(1, options.links.length);
	const own = newByTarget.slice(1 + backend * perBackend, 1 + (backend + 1) * perBackend);
	return series.mean.map((_, at) => {
		const of = (columns: readonly Float32Array[]) => columns.reduce((sum, column) => sum + (column[at]! || 0), 0);
		const serving = loads.filter((column) => !Number.isNaN(column[at]!)).length;
		const all = of(newByTarget);
		return all === 0 ? Number.NaN : (of(own) * serving) / all;
	});
}

function panelElements(panel: Panel, top: number, seconds: number, settleS: number): string[] {
	const [left, right, bottom] = [MARGIN.left, WIDTH - MARGIN.right, top + PANEL_HEIGHT];
	const step = Math.max(1, Math.ceil(seconds / MAX_POINTS));
	const lines = panel.lines.map(({ values, style }) => ({
		style,
		points: [...values].map((value, at): [number, number] => [at, value]).filter(([at]) => at % step === 0),
	}));
	const values = lines.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite);
	const most = Math.max(panel.least, ...values);
	const x = scaleLinear([0, seconds], [left, right]);
	const y = scaleLinear([panel.least, most > panel.least ? most : panel.least + 1], [bottom, top]).nice(4);
	const labelOf = y.tickFormat(4);
	// A gap where a backend is inactive.
	const path = line<[number, number]>()
		.defined(([, value]) => Number.isFinite(value))
		.x(([at]) => x(at))
		.y(([, value]) => y(value))
		.digits(1);
	return [
		`<text x="${left}" y="${top - 8}">${panel.title}</text>`,
		`<rect class="settle" x="${left}" y="${top}" width="${(x(settleS) - left).toFixed(1)}" height="${PANEL_HEIGHT}"/>`,
		...y
			.ticks(4)
			.flatMap((tick) => [
				`<path class="grid" d="M${left} ${y(tick).toFixed(1)}H${right}"/>`,
				`<text x="${left - 6}" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end">${labelOf(tick)}</text>`,
			]),
		...x
			.ticks(6)
			.map((tick) => `<text x="${x(tick).toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${tick} s</text>`),
		...lines.map(({ points, style }) => `<path class="${style}" d="${path(points) ?? ""}"/>`),
		`<path class="axis" d="M${left} ${top}V${bottom}H${right}"/>`,
	];
}
