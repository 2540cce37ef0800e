/**
 * What the next daemon needs to read the sessions that a kernel engine keeps: the ids of services and targets, and the
 * targets' epochs, in a file beside the pinned tables.
 *
 * Owns: that file, under /run. It is written before the tables that use its ids are published: a crash between the two
 * leaves ids that are not used, never sessions that cannot be read.
 * Must never: be used without the pinned sessions, nor they without it.
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { type KeptIds, type TableIds, type TargetEpoch, type TargetEpochs, tableIdsOf } from "../database/index.js";
import { ShuntError } from "../errors.js";

export interface PersistedState {
	/** Of the last set of tables. */
	readonly epoch: number;
	readonly ids: TableIds;
	readonly epochs: TargetEpochs;
}

/** Changes with the file's format; a file of another version is ignored. */
const VERSION = 1;

interface FileContent extends KeptIds {
	version: number;
	epoch: number;
	epochs: [number, TargetEpoch][];
}

export class PersistedStateFile {
	readonly #file: string;

	/** What the file has, save the number of the set of tables. */
	#written: string | undefined;

	constructor(daemon: string, namespace: string, folder = "/run/shunt") {
		this.#file = `${folder}/${daemon}.${namespace}.tables`;
	}

	/** undefined: there is no file, or it cannot be read. */
	read(): PersistedState | undefined {
		try {
			const { version, epoch, epochs, ...ids } = JSON.parse(readFileSync(this.#file, "utf8")) as FileContent;
			if (version !== VERSION) return undefined;
			return { epoch, ids: tableIdsOf(ids), epochs: new Map(epochs) };
		} catch {
			return undefined;
		}
	}

	/** Rejects with SHUNT_STATE_UNWRITABLE if the file cannot be written and has other ids or epochs of targets than these:
	 * then the tables must not be published. Returns what cannot be written otherwise: only the number of the set of tables. */
	async write({ epoch, ids, epochs }: PersistedState): Promise<string | undefined> {
		const { services, targets, sets } = ids;
		const needed = JSON.stringify({ services, targets, sets, epochs: [...epochs] });
		const text = `{"version":${VERSION},"epoch":${epoch},${needed.slice(1)}`;
		try {
			mkdirSync(dirname(this.#file), { recursive: true });
			await writeFileAtomic(this.#file, text);
			this.#written = needed;
			return undefined;
		} catch (cause) {
			const error = new ShuntError(
				"SHUNT_STATE_UNWRITABLE",
				{ file: this.#file, why: (cause as Error).message },
				{ cause },
			);
			if (this.#written !== needed) throw error;
			return error.message;
		}
	}

	remove(): void {
		this.#written = undefined;
		rmSync(this.#file, { force: true });
	}
}
