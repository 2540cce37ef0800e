// file-lock.ts - an exclusive lock of the kernel on a file, held by this process among all processes of the host.
//
// Node has no call for it: flock(1) locks the descriptor that it inherits, and the lock belongs to the open file, which
// this process keeps. The kernel releases it when the file is closed, also by a crash.
//
// Owns: the wait for the lock. Must never: leave a lock behind.

import { spawn } from "node:child_process";
import { type FileHandle, open } from "node:fs/promises";
import { ShuntError } from "../errors.js";

/** A write takes milliseconds: a holder of this long is stopped. */
const WAIT_S = 10;
/** Of flock(1), when the time is over. */
const CONFLICT = 75;

/** Runs `work` while this process alone holds the lock. */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
	const file = await open(path, "a", 0o600);
	try {
		await lock(file, path);
		return await work();
	} finally {
		await file.close();
	}
}

function lock(file: FileHandle, path: string): Promise<void> {
	const failed = (why: string) => new ShuntError("SHUNT_STORE_LOCKED", { file: path, why });
	return new Promise((resolve, reject) => {
		const args = ["--exclusive", "--timeout", String(WAIT_S), "--conflict-exit-code", String(CONFLICT), "3"];
		const child = spawn("flock", args, { stdio: ["ignore", "ignore", "ignore", file.fd] });
		child.once("error", (error) => reject(failed(`flock does not start: ${error.message}`)));
		child.once("exit", (status) => {
			if (status === 0) resolve();
			else if (status === CONFLICT) reject(failed(`another process has held it for ${WAIT_S} s`));
			else reject(failed(`flock ended with the status ${status}`));
		});
	});
}
