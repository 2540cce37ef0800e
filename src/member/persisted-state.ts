/**
 * What the sessions in the kernel name: the numbers of services and targets, and the targets' epochs, kept in a file beside
 * the pinned tables, so that the next daemon reads the same sessions in the same way.
 *
 * Owns: that file, under /run. It is written before the tables that hold its numbers are published: a crash between the two
 * leaves numbers that nobody uses, never sessions that nobody can read.
 * Must never: be believed without the sessions, or they without it.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { IdAllocator, type TableIds, type TargetEpoch, type TargetEpochs } from "../database/index.js";

export interface Kept {
	/** Of the last set of tables. */
	readonly epoch: number;
	readonly ids: TableIds;
	readonly epochs: TargetEpochs;
}

/** Moved when the file's shape changes; another version's is not read. */
const VERSION = 1;

interface File {
	version: number;
	epoch: number;
	services: ReturnType<IdAllocator["toJSON"]>;
	targets: ReturnType<IdAllocator["toJSON"]>;
	epochs: [number, TargetEpoch][];
}

export class KeptFile {
	readonly #file: string;

	constructor(name: string, namespace: string) {
		this.#file = `/run/shunt/${name}.${namespace}.tables`;
	}

	/** undefined: there is none, or none that can be read. */
	read(): Kept | undefined {
		try {
			const { version, epoch, services, targets, epochs } = JSON.parse(readFileSync(this.#file, "utf8")) as File;
			if (version !== VERSION) return undefined;
			return {
				epoch,
				ids: {
					services: IdAllocator.fromJSON("services", services),
					targets: IdAllocator.fromJSON("targets", targets),
				},
				epochs: new Map(epochs),
			};
		} catch {
			return undefined;
		}
	}

	write({ epoch, ids, epochs }: Kept): void {
		const { services, targets } = ids;
		const text = JSON.stringify({ version: VERSION, epoch, services, targets, epochs: [...epochs] });
		mkdirSync(dirname(this.#file), { recursive: true });
		writeFileSync(`${this.#file}.new`, text);
		renameSync(`${this.#file}.new`, this.#file);
	}

	remove(): void {
		rmSync(this.#file, { force: true });
	}
}
