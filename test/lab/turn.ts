// turn.ts - runs before every file of the lab: waits until the file may begin. Files of alone.ts have the machine for
// themselves, other files share it; the turn ends after its last test. That holds between test runs, too.
//
// Owns: the lock /run/lock/shunt-lab-tests. Must never: count as a test's time, which begins afterwards.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, expect } from "vitest";
import { isAlone } from "./alone.js";
import { isRoot } from "./lab.js";

if (isRoot) {
	const mode = isAlone(expect.getState().testPath ?? "") ? "--exclusive" : "--shared";
	// The lock is released when cat ends: at the latest with this process, whose end of the pipe closes.
	const holder = spawn("flock", [mode, "/run/lock/shunt-lab-tests", "sh", "-c", "echo held; exec cat"], {
		stdio: ["pipe", "pipe", "inherit"],
	});
	const [first] = await Promise.race([once(holder.stdout, "data"), once(holder, "exit").then(() => ["ended"])]);
	if (!String(first).startsWith("held")) throw new Error("flock (util-linux) could not lock /run/lock/shunt-lab-tests");
	afterAll(async () => {
		holder.stdin.end();
		if (holder.exitCode === null) await once(holder, "exit");
	});
}
