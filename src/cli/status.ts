// status.ts - `shunt status`: queries a daemon's status, once or at an interval.
//
// Must never: format; status-text.ts does.

import { setTimeout as delay } from "node:timers/promises";
import type { Status } from "../api/types.js";
import { paintFor, widthOf } from "./paint.js";
import { statusLines } from "./status-text.js";
import { daemonOf, type Which } from "./which-daemon.js";

export interface StatusOptions extends Which {
	readonly json?: boolean;
	readonly all?: boolean;
	/** Seconds between two queries; true: one second. */
	readonly watch?: number | true;
}

const HOME = "\x1b[H";
const CLEAR = "\x1b[2J";
const REST_OF_LINE = "\x1b[K";
const REST_OF_SCREEN = "\x1b[J";

export async function status(options: StatusOptions): Promise<void> {
	const daemon = await daemonOf(options, "status");
	const everyMs = (options.watch === true ? 1 : (options.watch ?? 0)) * 1000;
	const onScreen = everyMs > 0 && process.stdout.isTTY === true && !options.json;
	let before: { status: Status; at: number } | undefined;
	if (onScreen) process.stdout.write(CLEAR);
	for (;;) {
		const now = await daemon.status();
		const at = performance.now();
		if (options.json) process.stdout.write(`${JSON.stringify(now)}\n`);
		else {
			const lines = statusLines(now, {
				width: widthOf(process.stdout),
				paint: paintFor(process.stdout),
				all: options.all ?? false,
				now: Date.now(),
				before: before === undefined ? undefined : { status: before.status, ms: at - before.at },
			});
			process.stdout.write(onScreen ? screen(lines) : `${lines.join("\n")}\n${everyMs > 0 ? "\n" : ""}`);
		}
		if (everyMs === 0) return;
		before = { status: now, at };
		await delay(everyMs);
	}
}

/** Overwrites the previous lines without a flicker; lines below the screen are left out. */
function screen(lines: readonly string[]): string {
	const visible = lines.slice(0, Math.max(1, process.stdout.rows - 1));
	return `${HOME}${visible.map((line) => `${line}${REST_OF_LINE}\n`).join("")}${REST_OF_SCREEN}`;
}
