// health.ts - `shunt health`: what a gateway observes of its backends, once or at an interval.
//
// Must never: judge; the daemon has.

import { setTimeout as delay } from "node:timers/promises";
import type { HealthAnswer, HealthCheck } from "../api/types.js";
import { type Paint, paintFor } from "./paint.js";
import { table } from "./table.js";
import { duration, number } from "./units.js";
import { daemonOf, type Which } from "./which-daemon.js";

export interface HealthOptions extends Which {
	readonly json?: boolean;
	/** Seconds between two queries; true: one second. */
	readonly watch?: number | true;
}

export async function health(options: HealthOptions): Promise<void> {
	const daemon = await daemonOf(options, "health");
	const everyMs = (options.watch === true ? 1 : (options.watch ?? 0)) * 1000;
	for (;;) {
		const now = await daemon.health();
		if (options.json) process.stdout.write(`${JSON.stringify(now)}\n`);
		else process.stdout.write(`${healthLines(now, paintFor(process.stdout)).join("\n")}\n${everyMs > 0 ? "\n" : ""}`);
		if (everyMs === 0) return;
		await delay(everyMs);
	}
}

const COLOUR = { healthy: "green", unhealthy: "red", unknown: "yellow" } as const;

export function healthLines({ role, name, checks, advice }: HealthAnswer, paint: Paint): string[] {
	const advised = advice.map((text) => paint("yellow", text));
	if (role !== "gateway")
		return advised.length > 0 ? advised : [`backend ${name}: every service that is expected to listen here does`];
	if (checks.length === 0) return ["no backend is observed"];
	const rows = checks.map((check) => [
		check.backend,
		check.service ?? check.subject,
		check.check,
		paint(COLOUR[check.health], check.health),
		check.forMs === null ? "" : duration(check.forMs),
		lastText(check),
		check.reason,
	]);
	const head = ["backend", "service or address", "check", "health", "for", "last", "reason"];
	const [title, ...body] = table(["left", "left", "left", "left", "right", "left", "left"], [head, ...rows]);
	return [paint("dim", title ?? ""), ...body];
}

function lastText({ last }: HealthCheck): string {
	if (last === null) return "";
	const took = last.passed ? `${last.ms.toFixed(1)} ms` : last.detail;
	return `${took}, ${number(last.failed)} of ${number(last.sent)} failed`;
}
