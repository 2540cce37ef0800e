/**
 * The service manager's side of the daemon: sd_notify(3), where NOTIFY_SOCKET is set.
 *
 *   READY=1      routing may lead packets here: tables are complete and health is known (member/readiness.ts)
 *   RELOADING=1  with MONOTONIC_USEC, before the configuration is read again; READY=1 follows, whatever came of it
 *   STOPPING=1   the daemon ends
 *   STATUS=      one line for `systemctl status`
 *   WATCHDOG=1   twice in each WATCHDOG_USEC, while the event loop turns and no worker has ended
 *
 * Owns: the notifications and their order.
 * Must never: fail the daemon: a manager that does not read is a warning.
 */
import { host } from "../engine/index.js";

type Environment = Readonly<Record<string, string | undefined>>;

export interface ServiceManagerOptions {
	readonly environment?: Environment;
	readonly send?: (socket: string, text: string) => void;
	/** Gets the first problem. */
	readonly warn: (problem: string) => void;
}

export class ServiceManager {
	readonly #socket: string | undefined;
	/** Milliseconds between two signs of life; undefined: none is expected. */
	readonly #watchdogMs: number | undefined;
	readonly #send: (socket: string, text: string) => void;
	readonly #warn: (problem: string) => void;
	#ready = false;
	#warned = false;
	#timer: NodeJS.Timeout | undefined;

	constructor({ environment = process.env, send, warn }: ServiceManagerOptions) {
		this.#socket = environment.NOTIFY_SOCKET || undefined;
		this.#watchdogMs = watchdogMs(environment);
		this.#send = send ?? ((socket, text) => host().sendUnixDatagram(socket, text));
		this.#warn = warn;
	}

	/** The first call begins the signs of life, too. `alive` is asked before each of them. */
	ready(status: string, alive: () => boolean): void {
		this.#ready = true;
		this.#notify("READY=1", `STATUS=${status}`);
		if (this.#watchdogMs === undefined || this.#timer !== undefined) return;
		this.#timer = setInterval(() => alive() && this.#notify("WATCHDOG=1"), this.#watchdogMs);
		this.#timer.unref();
	}

	status(status: string): void {
		this.#notify(`STATUS=${status}`);
	}

	/** Before the daemon is ready there is nothing that a reload could interrupt. */
	reloading(): void {
		if (this.#ready) this.#notify("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
	}

	/** `ready()` again, after a reload; nothing before the daemon was ready. */
	reloaded(status: string): void {
		if (this.#ready) this.#notify("READY=1", `STATUS=${status}`);
	}

	stopping(status: string): void {
		this.#notify("STOPPING=1", `STATUS=${status}`);
	}

	close(): void {
		clearInterval(this.#timer);
	}

	#notify(...lines: readonly string[]): void {
		if (this.#socket === undefined) return;
		try {
			// A line each; a text of several lines would be read as several.
			this.#send(this.#socket, lines.map((line) => line.replaceAll("\n", " ")).join("\n"));
		} catch (error) {
			if (this.#warned) return;
			this.#warned = true;
			this.#warn(`the service manager at ${this.#socket} (NOTIFY_SOCKET) is not told: ${(error as Error).message}`);
		}
	}
}

/** Half of what the manager allows. WATCHDOG_PID names the process that it watches. */
function watchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: Environment): number | undefined {
	const us = Number(WATCHDOG_USEC);
	if (!Number.isFinite(us) || us <= 0) return undefined;
	if (WATCHDOG_PID !== undefined && Number(WATCHDOG_PID) !== process.pid) return undefined;
	return Math.max(1, us / 2000);
}
