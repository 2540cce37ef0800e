// stop.ts - `shunt stop`: ends a daemon and waits for its end. A backend drains first.
//
// Must never: signal a process other than the daemon that answered, or leave a backend draining that it does not end.

import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { ApiClient } from "../api/client.js";
import type { Status } from "../api/types.js";
import { ShuntError } from "../errors.js";
import { printAnswer } from "./answer.js";
import { count, duration } from "./units.js";
import { daemonOf, type Which } from "./which-daemon.js";

interface Options extends Which {
	readonly json?: boolean;
	readonly keep?: boolean;
	readonly now?: boolean;
	/** Milliseconds. */
	readonly deadline?: number;
}

/** Longer than any daemon takes to restore its host. */
const TIMEOUT_MS = 15_000;
const POLL_MS = 20;
const DRAIN_POLL_MS = 250;
const DEFAULT_DRAIN_MS = 30_000;

interface Drained {
	readonly ms: number;
	/** Left at the deadline. */
	readonly sessions: number;
}

export async function stop(options: Options): Promise<void> {
	const daemon = await daemonOf(options, "stop");
	const { pid, role, name, engine } = await daemon.status();
	if (options.keep && engine.mode === "user")
		throw new ShuntError("SHUNT_USAGE", {
			what: `--keep: ${role} ${name} runs in user space, so no engine would remain; omit --keep to end it.`,
		});
	if (options.keep && !engine.outlivesDaemon) throw new ShuntError("SHUNT_PINS_NOT_KEPT", { role, name });
	const started = startTime(pid);
	const drains = role === "backend" && !options.keep && !options.now;
	const drained = drains ? await drain(daemon, name, options.deadline ?? DEFAULT_DRAIN_MS) : undefined;
	process.kill(pid, options.keep ? "SIGUSR2" : "SIGTERM");
	const end = Date.now() + TIMEOUT_MS;
	// A reused pid belongs to a process with a later start time.
	while (startTime(pid) === started) {
		if (Date.now() > end)
			throw new ShuntError("SHUNT_ENGINE_FAILED", {
				step: "stopping",
				why: `process ${pid} has not ended within ${TIMEOUT_MS / 1000} seconds`,
			});
		await delay(POLL_MS);
	}
	const answer = { role, name, pid, kept: options.keep ?? false, drained: drained ?? null };
	const what = options.keep ? "the kernel engine continues, and the next daemon takes over" : "the host is restored";
	const text = `${role} ${name} has stopped${drainedText(drained)}; ${what}`;
	printAnswer(options, answer, () => text);
}

function drainedText(drained: Drained | undefined): string {
	if (drained === undefined) return "";
	const { ms, sessions } = drained;
	const left = sessions === 0 ? "" : `, with ${count(sessions, "session")} left, which choose anew`;
	return `, drained for ${duration(ms)}${left}`;
}

/** Resolves when the backend has no session, or at the deadline. An interruption ends the drain and this command. */
async function drain(daemon: ApiClient, backend: string, deadlineMs: number): Promise<Drained> {
	const begun = Date.now();
	const ms = () => Date.now() - begun;
	let interrupted: NodeJS.Signals | undefined;
	const interrupt = (signal: NodeJS.Signals) => {
		interrupted = signal;
	};
	for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupt);
	try {
		await daemon.override({ kind: "drain", backend, transient: 1, force: 1 });
		for (;;) {
			const status = await daemon.status();
			const sessions = sessionsOf(status);
			if ((sessions === 0 && countedSince(begun, status)) || ms() >= deadlineMs) return { ms: ms(), sessions };
			if (interrupted !== undefined) {
				await daemon.override({ kind: "undrain", backend, transient: 1 });
				const why = `${interrupted}; ${backend} serves on, and drains no more`;
				throw new ShuntError("SHUNT_ENGINE_FAILED", { step: "stopping", why });
			}
			await delay(Math.min(DRAIN_POLL_MS, Math.max(0, deadlineMs - ms())));
		}
	} finally {
		for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupt);
	}
}

/** As the backend counts them: UDP sessions at the last sweep, and TCP connections. */
function sessionsOf({ load, sessions }: Status): number {
	return load === null ? sessions.live : load.udpSessions + load.tcpSessions;
}

/** Its load was measured after a whole sweep that ended after this time. */
function countedSince(begun: number, { load, sessions: { sweptAtMs } }: Status): boolean {
	const measuredAt = Date.now() - (load?.ageMs ?? Number.POSITIVE_INFINITY);
	return sweptAtMs !== null && sweptAtMs >= begun && measuredAt >= sweptAtMs;
}

/** The 22nd field of /proc/PID/stat (proc(5)), after a name that may contain any character. */
function startTime(pid: number): string | undefined {
	try {
		const [state, ...fields] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
		return state === "Z" ? undefined : fields[18];
	} catch {
		return undefined;
	}
}
