/**
 * The undo log: what a daemon has changed on its host, with the value from before, so that the change can be undone by
 * this daemon at its end or by the next one after a crash.
 *
 * Owns: one small file per daemon and network namespace under /run. It is removed with the last change undone, and lost
 * at a reboot, as the changes are. Its name and keys are a format: a daemon reads the log of an earlier version.
 * Must never: be written after the change: a crash between the two would record the changed value as the original.
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { networkNamespace } from "./interfaces.js";

export interface UndoEntry {
	/** The changed object: its key without the requested prefix. */
	readonly object: string;
	/** Its value before the change. */
	readonly before: string;
}

export class UndoLog {
	readonly #file: string;
	/** Original value by key. */
	readonly #before: Map<string, string>;

	/** `daemon`: the daemon's name. A network namespace has its own sysctls and addresses, so it has its own log. */
	constructor(daemon: string, namespace = networkNamespace()) {
		this.#file = `/run/shunt/${daemon}.${namespace}.journal`;
		this.#before = new Map(Object.entries(readJson(this.#file)));
	}

	/** Records a change; call it before the change. Of several values for one key the first stays: it is the host's own.
	 * Throws if the file cannot be written: then the change must not be made. */
	record(key: string, before: string): void {
		this.recordAll([key], before);
	}

	/** The same for several keys of one value. */
	recordAll(keys: readonly string[], before: string): void {
		const fresh = keys.filter((key) => !this.#before.has(key));
		if (fresh.length === 0) return;
		for (const key of fresh) this.#before.set(key, before);
		this.#write();
	}

	/** All changes whose key begins with `prefix`, latest first. */
	entries(prefix: string): UndoEntry[] {
		return [...this.#before]
			.filter(([key]) => key.startsWith(prefix))
			.map(([key, before]) => ({ object: key.slice(prefix.length), before }))
			.reverse();
	}

	has(key: string): boolean {
		return this.#before.has(key);
	}

	/** Removes a record; call it after the change has been undone. */
	remove(key: string): void {
		this.removeAll([key]);
	}

	removeAll(keys: readonly string[]): void {
		if (keys.filter((key) => this.#before.delete(key)).length > 0) this.#write();
	}

	#write(): void {
		if (this.#before.size === 0) {
			rmSync(this.#file, { force: true });
			return;
		}
		mkdirSync(dirname(this.#file), { recursive: true });
		writeFileAtomic.sync(this.#file, JSON.stringify(Object.fromEntries(this.#before)));
	}
}

function readJson(file: string): Record<string, string> {
	try {
		return JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
	} catch {
		return {}; // there is none: no earlier daemon has crashed
	}
}
