// simulate.ts - `shunt simulate`: a simulation of clients, backends and gateways with the policy that the daemon runs.
//
// Owns: the text of the answer. Must never: simulate; simulate/ does.

import { writeFileSync } from "node:fs";
import { ShuntError } from "../errors.js";
import type { StrategyName } from "../policy/index.js";
import {
	DEFAULTS,
	type FailureFigures,
	type Flap,
	type Link,
	type Moment,
	type Options,
	outagesOf,
	plot,
	type Result,
	simulate as run,
} from "../simulate/index.js";
import { paintFor } from "./paint.js";
import { bps, count, number, percent } from "./units.js";

export interface SimulateOptions {
	readonly choose: StrategyName;
	readonly backends: number;
	readonly clients: number;
	readonly time: number;
	readonly life: number;
	readonly heavy?: boolean;
	readonly gateways: number;
	readonly lease: number;
	readonly packets: number;
	readonly unequal: number;
	readonly churn: number;
	readonly stale: number;
	readonly fail?: readonly Moment[];
	readonly recover?: readonly Moment[];
	readonly flap?: readonly Flap[];
	readonly loss: number;
	readonly uplinks?: readonly number[];
	readonly use: number;
	readonly foreign?: number;
	readonly seed: number;
	readonly plot?: string;
	readonly json?: boolean;
}

export async function simulate(options: SimulateOptions): Promise<void> {
	if (options.foreign !== undefined && options.uplinks === undefined)
		throw new ShuntError("SHUNT_USAGE", { what: "--foreign needs an uplink to be on; give --uplinks." });
	if (options.lease > 0 && (options.fail ?? options.flap) !== undefined)
		throw new ShuntError("SHUNT_USAGE", {
			what: "--lease and --fail or --flap exclude each other: how a redirected client leaves a dead backend is not simulated; leave out --lease.",
		});
	const progress = !options.json && process.stderr.isTTY;
	const began = performance.now();
	const result = run(modelOf(options), (part) => {
		if (progress) process.stderr.write(`\r${percent(part)} `);
	});
	if (progress) process.stderr.write("\r\x1b[K");
	if (options.plot !== undefined) save(options.plot, plot(result));
	const { series: _, ...figures } = result;
	process.stdout.write(
		options.json ? `${JSON.stringify(figures)}\n` : `${lines(result, performance.now() - began).join("\n")}\n`,
	);
	if (options.plot !== undefined && !options.json) process.stderr.write(`plot written to ${options.plot}\n`);
}

function modelOf(options: SimulateOptions): Options {
	const settleS = Math.floor(options.time / 2);
	return {
		...DEFAULTS,
		choose: options.choose,
		backends: options.backends,
		clients: options.clients,
		timeS: options.time,
		settleS,
		lifeS: options.life,
		life: options.heavy ? "heavy" : "exponential",
		gateways: options.gateways,
		leaseS: options.lease,
		packets: options.packets,
		unequal: options.unequal,
		churn: options.churn,
		stale: options.stale,
		staleAtS: Math.floor(options.time / 3),
		outages: outagesOf(options, options.backends, options.time),
		loss: options.loss,
		seed: options.seed,
		...linksOf(options),
	};
}

/** Sessions have as many bytes as use all links together to the fraction `use`. */
function linksOf({ uplinks = [], use, foreign, backends, clients, time }: SimulateOptions): Partial<Options> {
	if (uplinks.length === 0) return {};
	const speed = uplinks.reduce((sum, one) => sum + one, 0);
	const links = uplinks.map(
		(speedBps, i): Link => ({
			speedBps,
			cap: 0.95,
			cost: 1,
			...(i === 0 && foreign !== undefined ? { foreign: { bps: foreign, fromS: 0 } } : {}),
		}),
	);
	return { links, bytes: Math.max(1, Math.round((use * speed * backends * time) / 8 / clients)) };
}

function save(file: string, text: string): void {
	try {
		writeFileSync(file, text);
	} catch (error) {
		throw new ShuntError("SHUNT_FILE_UNWRITABLE", { file, why: (error as Error).message });
	}
}

function lines(result: Result, tookMs: number): string[] {
	const paint = paintFor(process.stdout);
	const { options, balance, oscillation, disruption } = result;
	const title = `${options.choose}, ${count(options.backends, "backend")}, ${count(options.gateways, "gateway")}, ${count(result.clients, "client")} in ${number(options.timeS)} s`;
	const line = (name: string, text: string) => `  ${name.padEnd(12)}${text}`;
	const fixed = (value: number, digits = 3) => value.toFixed(digits);
	return [
		paint("bold", title),
		line("load", `mean ${percent(result.load)} of capacity, ${number(result.live)} sessions at the end`),
		line(
			"balance",
			`most loaded / mean ${fixed(balance.lasting.max)} over the run, ${fixed(balance.now.max)} per second, ${fixed(balance.worst)} at worst`,
		),
		line(
			"",
			`standard deviation ${fixed(balance.lasting.deviation)} over the run, ${fixed(balance.now.deviation)} per second`,
		),
		line(
			"oscillation",
			`amplitude ${fixed(oscillation.amplitude)} (random arrivals alone: ${fixed(oscillation.noise)}), ${fixed(oscillation.signChangesPerMinute, 1)} sign changes per minute`,
		),
		line(
			"tables",
			`${fixed(oscillation.publishedPerMinute, 1)} publications per minute, which move ${percent(oscillation.rowsMovedPerMinute)} of the rows`,
		),
		...(disruption.changes === 0
			? []
			: [
					line(
						"disruption",
						`${count(disruption.changes, "change")} of backends: ${fixed(disruption.necessary, 0)} sessions moved each time; ${percent(disruption.elsewhere)} of the other clients' new flows would move`,
					),
				]),
		line(
			"gateways",
			`${percent(result.gatewayShare)} of all packets pass one; they agree on ${percent(result.agreement)} of choices`,
		),
		...(disruption.renewals === 0
			? []
			: [
					line(
						"leases",
						`${count(disruption.renewals, "renewal")}, ${percent(disruption.movedAtRenewal)} to another backend`,
					),
				]),
		...result.links.map(({ share, headroom, use }, i) =>
			line(
				i === 0 ? "uplinks" : "",
				`${bps(options.links[i]!.speedBps)}: ${percent(share)} of new sessions, ${percent(headroom)} of the headroom, ${percent(use)} used`,
			),
		),
		...(result.stale === null
			? []
			: [
					line(
						"stale",
						`backends without reports got ${fixed(result.stale.share, 2)} of an equal share, at most ${fixed(result.stale.most, 2)}`,
					),
				]),
		...(result.failures === null ? [] : failureLines(result.failures, options).map(([name, text]) => line(name, text))),
		line("", paint("dim", `seed ${options.seed}; took ${(tookMs / 1000).toFixed(1)} s`)),
	];
}

function failureLines(figures: FailureFigures, { health }: Options): [name: string, text: string][] {
	const { foundMs, harmless, returnShares, panicS } = figures;
	const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
	const out = harmless === 0 ? "" : `; ${number(harmless)} while the backend was out of service`;
	const fine = (part: number) => (part < 0.001 ? `${(100 * part).toFixed(3)} %` : percent(part));
	const late = figures.late === 0 ? "" : `; ${count(figures.late, "time")} a living backend was taken out`;
	return [
		[
			"failures",
			`${count(figures.outages, "outage")}, ${number(figures.found)} found after ${seconds(foundMs.mean)} (at most ${seconds(foundMs.most)})${out}${late}`,
		],
		["", `${count(figures.moved, "session")} moved, ${number(figures.movedAlive)} of living backends`],
		[
			"",
			`${figures.changesPerMinute.toFixed(1)} changes of tables per minute, ${number(figures.mostChangesPerMinute)} in the worst`,
		],
		[
			"",
			`each moves ${percent(figures.rowsChanged)} of the rows, ${percent(figures.rowsElsewhere)} between backends that keep their weights`,
		],
		[
			"lost",
			`${number(figures.lost)} of ${count(figures.packets, "packet")} (${fine(figures.lost / Math.max(1, figures.packets))})`,
		],
		...(panicS === 0
			? []
			: [
					["panic", `for ${number(Math.round(panicS))} s all backends were used, as too few were healthy`] as [
						string,
						string,
					],
				]),
		...(returnShares.length === 0
			? []
			: [
					[
						"return",
						`new sessions in steps of ${seconds(health.slowStartMs / 5)}: ${returnShares.map((share) => share.toFixed(2)).join(", ")} of an equal share; load at most ${figures.returnMost.toFixed(2)} of the mean`,
					] as [string, string],
				]),
	];
}
