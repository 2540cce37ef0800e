// status.ts - `shunt status`: queries a daemon's status, once or at an interval; with --wait, once it is ready.
//
// Must never: format; status-text.ts does.

import { setTimeout as delay } from "node:timers/promises";
import type { ApiClient } from "../api/client.js";
import type { Status } from "../api/types.js";
import { type ErrorCode, ShuntError } from "../errors.js";
import { paintFor, widthOf } from "./paint.js";
import { statusLines } from "./status-text.js";
import { daemonOf, type Which } from "./which-daemon.js";

export interface StatusOptions extends Which {
	readonly json?: boolean;
	readonly all?: boolean;
	/** Seconds between two queries; true: one second. */
	readonly watch?: number | true;
	readonly wait?: boolean;
	/** Milliseconds; with `wait`. */
	readonly timeout?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

const HOME = "\x1b[H";
const CLEAR = "\x1b[2J";
const REST_OF_LINE = "\x1b[K";
const REST_OF_SCREEN = "\x1b[J";

export async function status(options: StatusOptions): Promise<void> {
	const daemon = options.wait ? await readyDaemon(options) : await daemonOf(options, "status");
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

/** Waits for a daemon that may not have begun to start. Throws SHUNT_NOT_READY, or what keeps it from answering. */
async function readyDaemon(options: StatusOptions): Promise<ApiClient> {
	const timeoutMs = options.timeout ?? DEFAULT_TIMEOUT_MS;
	const end = performance.now() + timeoutMs;
	for (;;) {
		const late = performance.now() >= end;
		try {
			const daemon = await daemonOf(options, "status");
			const { ready } = await daemon.status();
			if (ready.ready) return daemon;
			if (late) {
				const why = `waiting for ${ready.waitingFor.join(", ")}`;
				throw new ShuntError("SHUNT_NOT_READY", { socket: daemon.socket, seconds: timeoutMs / 1000, why });
			}
		} catch (error) {
			if (late || !(error instanceof ShuntError) || !MAY_PASS.has(error.code)) throw error;
		}
		await delay(POLL_MS);
	}
}

/** The daemon has not been started, or is starting. */
const MAY_PASS: ReadonlySet<ErrorCode> = new Set(["SHUNT_DAEMON_UNREACHABLE", "SHUNT_DAEMON_STARTING"]);

/** Overwrites the previous lines without a flicker; lines below the screen are left out. */
function screen(lines: readonly string[]): string {
	const visible = lines.slice(0, Math.max(1, process.stdout.rows - 1));
	return `${HOME}${visible.map((line) => `${line}${REST_OF_LINE}\n`).join("")}${REST_OF_SCREEN}`;
}
