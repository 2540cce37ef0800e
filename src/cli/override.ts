// override.ts - `shunt drain`, `undrain` and `weight`: change a backend's state or weight at run time, or show what
// that would move.
//
// Owns: the text of the answer. Must never: decide what moves; the daemon does.

import type { ApiClient } from "../api/client.js";
import type { Overridden, PlannedRedirection } from "../api/types.js";
import { ShuntError } from "../errors.js";
import { printAnswer } from "./answer.js";
import { table } from "./table.js";
import { count, duration, endpoint, percent } from "./units.js";
import { daemonOf, type Which } from "./which-daemon.js";

interface Options extends Which {
	readonly json?: boolean;
	readonly plan?: boolean;
	readonly force?: boolean;
	/** Milliseconds. */
	readonly deadline?: number;
	readonly reset?: boolean;
}

export async function drain(backend: string, options: Options): Promise<void> {
	const { deadline } = options;
	const end = deadline === undefined ? "" : ` within ${duration(deadline)}`;
	await change(`${backend} drains${end}`, { kind: "drain", backend, deadlineMs: deadline }, options);
}

export async function undrain(backend: string, options: Options): Promise<void> {
	await change(`${backend} drains no more`, { kind: "undrain", backend }, options);
}

export async function weight(
	service: string,
	backend: string,
	value: number | undefined,
	options: Options,
): Promise<void> {
	if ((value === undefined) !== (options.reset ?? false))
		throw new ShuntError("SHUNT_USAGE", { what: "Either a weight or --reset must be given." });
	const what = value === undefined ? "has the weight of the file" : `has the weight ${value}`;
	await change(`${backend} ${what} in ${service}`, { kind: "weight", service, backend, weight: value }, options);
}

type Query = Parameters<ApiClient["override"]>[0];

async function change(sentence: string, query: Query, options: Options): Promise<void> {
	const daemon = await daemonOf(options, String(query.kind));
	const flags = { plan: options.plan ? 1 : undefined, force: options.force ? 1 : undefined };
	const answer = await daemon.override({ ...query, ...flags });
	const lines = [
		answer.applied
			? `${sentence}; tables of epoch ${answer.epoch} are in force`
			: `${sentence}: planned, nothing changed`,
		`  ${sessionsText(answer)}`,
		...answer.left.map((name) => `  no active backend is left for ${name}: its new sessions are dropped`),
		...sharesLines(answer.redirections),
	];
	printAnswer(options, answer, () => lines.join("\n"));
}

function sessionsText({ sessions, fate }: Overridden): string {
	return `${count(sessions, "session")} of this host with it ${sessions === 1 ? fate.replace("stay", "stays") : fate}`;
}

function sharesLines(redirections: readonly PlannedRedirection[]): string[] {
	if (redirections.length === 0) return ["  no share of new sessions changes"];
	const rows = redirections.flatMap(({ service, protocol, address, port, rule, shares }) => {
		const name = `${service} ${protocol} ${endpoint(address, port)}${rule === null ? "" : ` from ${rule}`}`;
		return shares.map(({ backend, before, after }, i) => [
			i === 0 ? name : "",
			backend,
			percent(before),
			"→",
			percent(after),
		]);
	});
	const head = ["new sessions of", "", "before", "", "after"];
	return table(["left", "left", "right", "left", "right"], [head, ...rows], "  ");
}
