// stop.ts - `shunt stop`: ends a daemon and waits for its end.
//
// Must never: signal a process other than the daemon that answered.

import { readFileSync } from "node:fs";
import { ShuntError } from "../errors.js";
import { daemonOf, type Which } from "./which-daemon.js";

/** Longer than any daemon takes to restore its host. */
const TIMEOUT_MS = 15_000;
const POLL_MS = 20;

export async function stop(options: Which & { readonly json?: boolean; readonly keep?: boolean }): Promise<void> {
	const daemon = await daemonOf(options, "stop");
	const { pid, role, name, engine } = await daemon.status();
	if (options.keep && engine.mode === "user")
		throw new ShuntError("SHUNT_USAGE", {
			what: `--keep: ${role} ${name} runs in user space, so no engine would remain; omit --keep to end it.`,
		});
	const started = startTime(pid);
	process.kill(pid, options.keep ? "SIGUSR2" : "SIGTERM");
	const end = Date.now() + TIMEOUT_MS;
	// A reused pid belongs to a process with a later start time.
	while (startTime(pid) === started) {
		if (Date.now() > end)
			throw new ShuntError("SHUNT_ENGINE_FAILED", {
				step: "stopping",
				why: `process ${pid} has not ended within ${TIMEOUT_MS / 1000} seconds`,
			});
		await new Promise((resolve) => setTimeout(resolve, POLL_MS));
	}
	const answer = { role, name, pid, kept: options.keep ?? false };
	const what = options.keep ? "the kernel engine continues, and the next daemon takes over" : "the host is restored";
	process.stdout.write(`${options.json ? JSON.stringify(answer) : `${role} ${name} has stopped; ${what}`}\n`);
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
