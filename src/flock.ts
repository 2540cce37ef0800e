// flock.ts - an exclusive lock of the kernel on an open file.
//
// Node has no call for it: flock(1) locks the descriptor that it inherits, and the lock belongs to the open file, which
// this process keeps. The kernel releases it when the file is closed, also by a crash.
//
// Must never: know what is locked, or for what.

import { spawn } from "node:child_process";

/** <sysexits.h>: none of flock(1)'s own exit statuses. */
const HELD = 69;

/** false: another process has held it for `waitS` seconds. Rejects with a reason if flock(1) fails. */
export function flock(fd: number, waitS = 0): Promise<boolean> {
	return new Promise((resolve, reject) => {
		const wait = waitS > 0 ? ["--timeout", String(waitS)] : ["--nonblock"];
		const args = ["--exclusive", ...wait, "--conflict-exit-code", String(HELD), "3"];
		const child = spawn("flock", args, { stdio: ["ignore", "ignore", "ignore", fd] });
		child.once("error", (error) => reject(error));
		child.once("exit", (status) => {
			if (status === 0 || status === HELD) resolve(status === 0);
			else reject(new Error(`exit status ${status}`));
		});
	});
}
