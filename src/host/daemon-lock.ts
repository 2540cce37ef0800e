/**
 * One daemon of a name in a network namespace: the lock comes before the undo log, the control socket and any change to the
 * host, so that a second daemon of the name is refused before it can undo what the first one did.
 *
 * The kernel releases the lock with the daemon's descriptor, however the daemon ends.
 *
 * Owns: the file, which holds the role and the process, and goes at a clean end.
 * Must never: wait for a lock, or remove the file of another holder.
 */
import {
	closeSync,
	constants,
	fstatSync,
	ftruncateSync,
	mkdirSync,
	openSync,
	readFileSync,
	rmSync,
	statSync,
	writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { ShuntError } from "../errors.js";
import { flock } from "../flock.js";
import { networkNamespace } from "./interfaces.js";

/** A holder that ends removes its file, which may have been opened before; another attempt opens the next one. */
const ATTEMPTS = 10;

export class DaemonLock {
	readonly #file: string;
	readonly #fd: number;

	private constructor(file: string, fd: number) {
		this.#file = file;
		this.#fd = fd;
	}

	/** Throws SHUNT_DAEMON_RUNNING if another process has it, SHUNT_STATE_UNWRITABLE if its file cannot be written. */
	static async take(
		role: string,
		name: string,
		folder = "/run/shunt",
		namespace = networkNamespace(),
	): Promise<DaemonLock> {
		const file = `${folder}/${name}.${namespace}.lock`;
		for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
			const fd = open(file);
			try {
				if (!(await lock(fd))) throw runningError(file, role, name);
				if (!isFile(file, fd)) {
					closeSync(fd);
					continue;
				}
				write(file, fd, `${role} ${process.pid}\n`);
				return new DaemonLock(file, fd);
			} catch (error) {
				closeSync(fd);
				throw error;
			}
		}
		throw runningError(file, role, name);
	}

	release(): void {
		rmSync(this.#file, { force: true });
		closeSync(this.#fd);
	}
}

function open(file: string): number {
	try {
		mkdirSync(dirname(file), { recursive: true });
		return openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o644);
	} catch (cause) {
		throw unwritable(file, cause);
	}
}

function write(file: string, fd: number, text: string): void {
	try {
		ftruncateSync(fd, 0);
		writeSync(fd, text, 0);
	} catch (cause) {
		rmSync(file, { force: true });
		throw unwritable(file, cause);
	}
}

function unwritable(file: string, cause: unknown): ShuntError {
	return new ShuntError("SHUNT_STATE_UNWRITABLE", { file, why: (cause as Error).message }, { cause });
}

/** Whether the path still leads to this open file. */
function isFile(file: string, fd: number): boolean {
	try {
		const [there, here] = [statSync(file, { bigint: true }), fstatSync(fd, { bigint: true })];
		return there.ino === here.ino && there.dev === here.dev;
	} catch {
		return false;
	}
}

/** false: another process has it. */
function lock(fd: number): Promise<boolean> {
	return flock(fd).catch((error: Error) => {
		throw new ShuntError("SHUNT_COMMAND_FAILED", { command: "flock", why: error.message });
	});
}

function runningError(file: string, role: string, name: string): ShuntError {
	const [holder = role, pid = "unknown"] = readHolder(file);
	return new ShuntError("SHUNT_DAEMON_RUNNING", { role: holder, name, pid });
}

function readHolder(file: string): string[] {
	try {
		return readFileSync(file, "utf8").split(/\s+/).filter(Boolean);
	} catch {
		return [];
	}
}
