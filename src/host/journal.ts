/**
 * The journal: what a daemon has changed on its host, so that it can be taken back, by this daemon at its end or by the next
 * one after a crash.
 *
 * Owns: one small file under /run, written before each change. It goes with the last change taken back, and with a reboot,
 * as the changes do.
 * Must never: be written after the change: a crash between the two would take the changed value for the original.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export class Journal {
	readonly #file: string;
	/** By what was changed: its value from before. */
	readonly #before: Map<string, string>;

	/** `name` is the daemon's. A network namespace has settings of its own, so it has a journal of its own. */
	constructor(name: string, namespace: string) {
		this.#file = `/run/shunt/${name}.${namespace}.journal`;
		this.#before = new Map(Object.entries(readJson(this.#file)));
	}

	/** To be called before the change. The first value stays: that is the host's own. */
	note(what: string, before: string): void {
		if (this.#before.has(what)) return;
		this.#before.set(what, before);
		this.#write();
	}

	/** Everything that begins so, the last change first. */
	noted(prefix: string): { what: string; before: string }[] {
		return [...this.#before]
			.filter(([what]) => what.startsWith(prefix))
			.map(([what, before]) => ({ what: what.slice(prefix.length), before }))
			.reverse();
	}

	has(what: string): boolean {
		return this.#before.has(what);
	}

	/** To be called after the change has been taken back. */
	forget(what: string): void {
		if (this.#before.delete(what)) this.#write();
	}

	#write(): void {
		if (this.#before.size === 0) {
			rmSync(this.#file, { force: true });
			return;
		}
		mkdirSync(dirname(this.#file), { recursive: true });
		writeFileSync(`${this.#file}.new`, JSON.stringify(Object.fromEntries(this.#before)));
		renameSync(`${this.#file}.new`, this.#file);
	}
}

function readJson(file: string): Record<string, string> {
	try {
		return JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
	} catch {
		return {}; // no daemon has crashed
	}
}
