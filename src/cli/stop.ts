// stop.ts - `shunt stop`: ends a daemon, and waits until it has ended.
//
// Must never: end a process that is not the daemon that answered.

import { readFileSync } from "node:fs";
import { ShuntError } from "../errors.js";
import { daemonOf, type Which } from "./which-daemon.js";

/** A daemon that has much to take back takes no longer. */
const PATIENCE_MS = 15_000;
const LOOK_MS = 20;

export async function stop(options: Which & { readonly json?: boolean; readonly keep?: boolean }): Promise<void> {
	const daemon = await daemonOf(options, "stop");
	const { pid, role, name, engine } = await daemon.status();
	if (options.keep && engine.mode === "user")
		throw new ShuntError("SHUNT_USAGE", {
			what: `${role} ${name} runs in user space: nothing would serve packets after it. Leave out --keep to end it.`,
		});
	const started = startOf(pid);
	process.kill(pid, options.keep ? "SIGUSR2" : "SIGTERM");
	const end = Date.now() + PATIENCE_MS;
	// A pid that is used again belongs to a process that started later.
	while (startOf(pid) === started) {
		if (Date.now() > end)
			throw new ShuntError("SHUNT_ENGINE_FAILED", { step: "stopping", why: `process ${pid} goes on` });
		await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
	}
	const answer = { role, name, pid, kept: options.keep ?? false };
	const what = options.keep ? "the kernel goes on, and the next daemon takes over" : "the host is as it was";
	process.stdout.write(`${options.json ? JSON.stringify(answer) : `${role} ${name} has stopped; ${what}`}\n`);
}

/** proc(5), stat: the 22nd field, behind a name that may hold anything. */
function startOf(pid: number): string | undefined {
	try {
		const [state, ...fields] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
		return state === "Z" ? undefined : fields[18];
	} catch {
		return undefined;
	}
}
