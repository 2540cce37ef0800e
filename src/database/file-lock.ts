// file-lock.ts - work that one process of the host does at a time, by a lock on a file.
//
// Owns: the wait for the lock. Must never: leave a lock behind.

import { open } from "node:fs/promises";
import { ShuntError } from "../errors.js";
import { flock } from "../flock.js";

/** A write takes milliseconds: a holder of this long is stopped. */
const WAIT_S = 10;

/** Runs `work` while this process alone holds the lock. Throws SHUNT_STORE_LOCKED. */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
	const failed = (why: string) => new ShuntError("SHUNT_STORE_LOCKED", { file: path, why });
	const file = await open(path, "a", 0o600);
	try {
		const held = await flock(file.fd, WAIT_S).catch((error: Error) => {
			throw failed(`flock: ${error.message}`);
		});
		if (!held) throw failed(`another process has held it for ${WAIT_S} s`);
		return await work();
	} finally {
		await file.close();
	}
}
