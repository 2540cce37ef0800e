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
import { ShuntError } from "../errors.js";
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
	/** Keys that an earlier daemon recorded. */
	readonly #inherited: ReadonlySet<string>;
	#keepsInherited = false;

	/** `daemon`: the daemon's name. A network namespace has its own sysctls and addresses, so it has its own log. */
	constructor(daemon: string, namespace = networkNamespace(), folder = "/run/shunt") {
		this.#file = `${folder}/${daemon}.${namespace}.journal`;
		this.#before = new Map(Object.entries(readJson(this.#file)));
		this.#inherited = new Set(this.#before.keys());
	}

	/** From now on the log has this daemon's own changes alone: an earlier one's are still needed by the engine that it left. */
	keepInherited(): void {
		this.#keepsInherited = true;
	}

	/** Records a change; call it before the change. Of several values for one key the first stays: it is the host's own.
	 * Throws SHUNT_STATE_UNWRITABLE if the file cannot be written: then the change must not be made. */
	record(key: string, before: string): void {
		this.recordAll([key], before);
	}

	/** The same for several keys of one value. */
	recordAll(keys: readonly string[], before: string): void {
		const fresh = keys.filter((key) => !this.#before.has(key));
		if (fresh.length === 0) return;
		for (const key of fresh) this.#before.set(key, before);
		try {
			this.#write();
		} catch (cause) {
			for (const key of fresh) this.#before.delete(key);
			throw new ShuntError("SHUNT_STATE_UNWRITABLE", { file: this.#file, why: (cause as Error).message }, { cause });
		}
	}

	/** All changes whose key begins with `prefix`, latest first. */
	entries(prefix: string): UndoEntry[] {
		return [...this.#before]
			.filter(([key]) => key.startsWith(prefix) && this.#isOurs(key))
			.map(([key, before]) => ({ object: key.slice(prefix.length), before }))
			.reverse();
	}

	has(key: string): boolean {
		return this.#before.has(key) && this.#isOurs(key);
	}

	/** Removes a record; call it after the change has been undone. */
	remove(key: string): void {
		this.removeAll([key]);
	}

	/** A file that cannot be written keeps records of changes that are undone: to undo them again changes nothing, while a
	 * change that stays is worse. */
	removeAll(keys: readonly string[]): void {
		if (keys.filter((key) => this.#before.delete(key)).length === 0) return;
		try {
			this.#write();
		} catch {
			// The disk is full; the last removal deletes the file.
		}
	}

	#isOurs(key: string): boolean {
		return !this.#keepsInherited || !this.#inherited.has(key);
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
