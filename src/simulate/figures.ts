// figures.ts - the figures that a run is judged by, from its series: balance, oscillation, links and stale backends
// (docs/balancing.md has their meaning).
//
// Owns: their formulas. Must never: keep state. `from` is the first second that is measured.

import type { Options, Result, Series } from "./model.js";
import type { Servers } from "./servers.js";
import { average, evenness, trend } from "./statistics.js";

export function balanceFigures({ loads, mean, maxOverMean }: Series, from: number): Result["balance"] {
	const perSecond: number[] = [];
	for (let at = from; at < mean.length; at++) perSecond.push(evenness(loads.map((column) => column[at]!)).deviation);
	const measured = maxOverMean.subarray(from);
	return {
		now: { max: average(measured), deviation: average(perSecond) },
		worst: measured.reduce((most, one) => Math.max(most, Number.isNaN(one) ? 0 : one), 0),
		// Over the mean of each second, so that a backend that joined late is compared with the loads at that time.
		lasting: evenness(loads.map((column) => average(column.subarray(from).map((load, i) => load / mean[from + i]!)))),
	};
}

/** Each backend's load over the mean of that second, less its own linear trend: how far it swings, and how often. */
export function swings(
	{ loads, mean }: Series,
	from: number,
): { readonly amplitude: number; readonly signChangesPerMinute: number } {
	let squares = 0;
	let count = 0;
	let signChanges = 0;
	for (const column of loads) {
		const points: [number, number][] = [];
		for (let at = from; at < column.length; at++) {
			const value = column[at]! / mean[at]!;
			if (Number.isFinite(value)) points.push([at, value]);
		}
		if (points.length < 3) continue;
		const line = trend(points);
		let previous = 0;
		for (const [at, value] of points) {
			const rest = value - line(at);
			squares += rest * rest;
			count++;
			if (previous * rest < 0) signChanges++;
			if (rest !== 0) previous = rest;
		}
	}
	return {
		amplitude: count === 0 ? 0 : Math.sqrt(squares / count),
		signChangesPerMinute: count === 0 ? 0 : (signChanges / count) * 60,
	};
}

export function linkFigures(series: Series, options: Options, servers: Servers, from: number): Result["links"] {
	const { links, bytes, clients, timeS, backends } = options;
	if (links.length < 2) return [];
	const newSessions = links.map((_, link) => {
		let sum = 0;
		for (let b = 0; b < backends; b++) sum += newSessionsOf(series, servers.targetOf(b, link), from);
		return sum;
	});
	const all = Math.max(
		1,
		newSessions.reduce((sum, one) => sum + one, 0),
	);
	const headrooms = links.map((link) =>
		link.downFromS === undefined ? Math.max(0, link.speedBps - (link.foreign?.bps ?? 0)) / link.cost : 0,
	);
	const headroom = headrooms.reduce((sum, one) => sum + one, 0);
	const sessionBps = (8 * bytes * clients) / timeS / backends;
	return links.map((link, i) => ({
		share: newSessions[i]! / all,
		headroom: headrooms[i]! / headroom,
		use: ((link.foreign?.bps ?? 0) + (sessionBps * newSessions[i]!) / all) / link.speedBps,
	}));
}

/** `stale`: the backends whose reports stopped; `from`: the first second without them. */
export function staleFigures(
	series: Series,
	servers: Servers,
	stale: readonly number[],
	from: number,
): Result["stale"] {
	if (stale.length === 0 || from >= series.mean.length) return null;
	const perBackend = servers.names.map((_, b) => {
		let sum = 0;
		for (let link = 0; link < servers.perBackend; link++) sum += newSessionsOf(series, servers.targetOf(b, link), from);
		return sum;
	});
	const mean = perBackend.reduce((sum, one) => sum + one, 0) / perBackend.length;
	const shares = stale.map((b) => perBackend[b]! / mean);
	return { share: average(shares), most: Math.max(...shares) };
}

function newSessionsOf(series: Series, target: number, from: number): number {
	return series.newByTarget[target]!.subarray(from).reduce((sum, one) => sum + one, 0);
}
