/**
 * The journal of the embedded database: a file of lines, each with its checksum, that only grows, until a new
 * generation of it begins with the whole state.
 *
 *   <folder>/lock             held by the process that writes
 *   <folder>/journal-<n>      the generation of the highest number is in force; its first lines are a whole state
 *
 * Owns: durability. A line is acknowledged when it is on the disk; a crash at any byte leaves a last line without its end
 * or its checksum, which was not acknowledged and is cut off by the next writer. A new generation is written beside the
 * old one, and takes effect by its rename.
 * Must never: know what a line means, or pass over an invalid line that others follow: that is damage, and an error.
 */
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { ShuntError } from "../errors.js";
import { withFileLock } from "./file-lock.js";
import type { Json } from "./store.js";

const NAME = /^journal-([1-9][0-9]{0,14})$/;
/** Bytes; a new generation begins long before. */
const LARGEST = 1 << 30;

export interface JournalReader {
	/** A line of the generation in force. Throws for one that cannot be. */
	line(content: Json): void;
	/** The lines that follow are a whole state: what was read before is no longer in force. */
	begin(): void;
}

export class Journal {
	readonly #folder: string;
	readonly #reader: JournalReader;
	#file: FileHandle | undefined;
	#generation = 0;
	/** Bytes of the file that have been read: whole lines. */
	#offset = 0;

	constructor(folder: string, reader: JournalReader) {
		this.#folder = folder;
		this.#reader = reader;
	}

	/** Bytes in force. */
	get size(): number {
		return this.#offset;
	}

	/** Reads what this and other processes have written since. */
	async read(): Promise<void> {
		await this.#readOn();
		const newest = await this.#newest();
		if (newest <= this.#generation) return;
		// Its state is that of the last line of the generation before, of which the rest is read first.
		await this.#readOn();
		await this.#openGeneration(newest);
		await this.#readOn();
	}

	/** Runs `work` while no other process writes, with all that is written read. */
	async exclusively<T>(work: () => Promise<T>): Promise<T> {
		await mkdir(this.#folder, { recursive: true, mode: 0o700 });
		return withFileLock(join(this.#folder, "lock"), async () => {
			await this.read();
			return work();
		});
	}

	/** Appends a line. Resolves when it is on the disk. Only within exclusively(), after a generation has begun. */
	async append(content: Json): Promise<void> {
		const file = this.#file as FileHandle;
		const line = lineOf(content);
		// What follows the last whole line was never acknowledged.
		if ((await file.stat()).size > this.#offset) await file.truncate(this.#offset);
		try {
			await writeAll(file, line, this.#offset);
			await file.datasync();
		} catch (cause) {
			// A line that may not be on the disk must not be read back as if it were.
			await file.truncate(this.#offset).catch(() => {});
			throw unwritable(this.#path(this.#generation), cause);
		}
		this.#offset += line.length;
	}

	/** Begins the next generation with these lines. Only within exclusively(). */
	async renew(state: Iterable<Json>): Promise<void> {
		const generation = this.#generation + 1;
		const path = this.#path(generation);
		const beside = `${path}.new`;
		const text = Buffer.concat([...state].map(lineOf));
		try {
			const file = await open(beside, "w", 0o600);
			try {
				await writeAll(file, text, 0);
				await file.sync();
			} finally {
				await file.close();
			}
			await rename(beside, path);
			await this.#syncFolder();
		} catch (cause) {
			await rm(beside, { force: true }).catch(() => {});
			throw unwritable(path, cause);
		}
		const before = this.#generation;
		await this.#file?.close();
		this.#file = await open(path, "r+");
		this.#generation = generation;
		this.#offset = text.length;
		if (before > 0) await rm(this.#path(before), { force: true });
	}

	async close(): Promise<void> {
		await this.#file?.close();
		this.#file = undefined;
	}

	#path(generation: number): string {
		return join(this.#folder, `journal-${generation}`);
	}

	/** 0: there is none. */
	async #newest(): Promise<number> {
		try {
			const numbers = (await readdir(this.#folder)).map((name) => Number(NAME.exec(name)?.[1] ?? 0));
			return Math.max(0, ...numbers);
		} catch (cause) {
			if ((cause as NodeJS.ErrnoException).code === "ENOENT") return 0;
			throw unreadable(this.#folder, cause);
		}
	}

	async #openGeneration(generation: number): Promise<void> {
		const path = this.#path(generation);
		let file: FileHandle;
		try {
			file = await open(path, "r+");
		} catch (cause) {
			// A later generation has replaced it meanwhile.
			if ((cause as NodeJS.ErrnoException).code === "ENOENT" && (await this.#newest()) > generation)
				return this.#openGeneration(await this.#newest());
			throw unreadable(path, cause);
		}
		await this.#file?.close();
		this.#file = file;
		this.#generation = generation;
		this.#offset = 0;
		this.#reader.begin();
	}

	async #readOn(): Promise<void> {
		const file = this.#file;
		if (file === undefined) return;
		const { size } = await file.stat();
		if (size <= this.#offset) return;
		if (size > LARGEST)
			throw unreadable(this.#path(this.#generation), new Error(`it has ${size} bytes; must be at most ${LARGEST}`));
		const bytes = Buffer.alloc(size - this.#offset);
		const { bytesRead } = await file.read(bytes, 0, bytes.length, this.#offset);
		const base = this.#offset;
		let start = 0;
		for (let end = bytes.indexOf(10); end >= 0 && end < bytesRead; end = bytes.indexOf(10, start)) {
			const content = contentOf(bytes.subarray(start, end));
			if (content === undefined) {
				// The last line may be one that was not acknowledged.
				if (end + 1 < bytesRead) throw this.#damaged(base + start);
				return;
			}
			try {
				this.#reader.line(content);
			} catch (cause) {
				throw this.#damaged(base + start, cause);
			}
			start = end + 1;
			this.#offset = base + start;
		}
	}

	#damaged(at: number, cause?: unknown): ShuntError {
		return new ShuntError("SHUNT_STORE_DAMAGED", { file: this.#path(this.#generation), at }, { cause });
	}

	async #syncFolder(): Promise<void> {
		const folder = await open(this.#folder, "r");
		try {
			await folder.sync();
		} finally {
			await folder.close();
		}
	}
}

/** "<crc32 in hex> <JSON>\n": JSON has no line feed of its own. */
function lineOf(content: Json): Buffer {
	const json = Buffer.from(JSON.stringify(content));
	return Buffer.concat([Buffer.from(`${checksum(json)} `), json, Buffer.from("\n")]);
}

/** undefined: the line is not whole. */
function contentOf(line: Buffer): Json | undefined {
	const json = line.subarray(9);
	if (line.length < 10 || line.subarray(0, 9).toString("latin1") !== `${checksum(json)} `) return undefined;
	try {
		return JSON.parse(json.toString()) as Json;
	} catch {
		return undefined;
	}
}

async function writeAll(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
	for (let done = 0; done < bytes.length; )
		done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}

function unwritable(file: string, cause: unknown): ShuntError {
	return new ShuntError("SHUNT_FILE_UNWRITABLE", { file, why: (cause as Error).message }, { cause });
}

function unreadable(file: string, cause: unknown): ShuntError {
	return new ShuntError("SHUNT_STORE_UNREADABLE", { file, why: (cause as Error).message }, { cause });
}

const checksum = (bytes: Buffer) => crc32(bytes).toString(16).padStart(8, "0");
