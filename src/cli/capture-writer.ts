// capture-writer.ts - writes a capture, whatever its format, to a file or to standard output.
//
// Owns: the output stream and its errors. A format (pcap-file.ts, pcapng-file.ts) owns the bytes.
// Must never: look into a packet.

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { ShuntError } from "../errors.js";

/** The bytes of a capture format. */
export interface CaptureFormat<Packet> {
	/** What a file begins with. */
	header(): Uint8Array;
	record(packet: Packet): Uint8Array;
}

export class CaptureWriter<Packet> {
	readonly #out: NodeJS.WritableStream;
	readonly #file: string;
	readonly #format: CaptureFormat<Packet>;
	#error: Error | undefined;

	private constructor(out: NodeJS.WritableStream, file: string, format: CaptureFormat<Packet>) {
		this.#out = out;
		this.#file = file;
		this.#format = format;
		out.on("error", (error: Error) => {
			this.#error = error;
		});
	}

	/** Truncates an existing file; "-" is standard output. Throws SHUNT_FILE_UNWRITABLE, as the other methods do. */
	static async open<Packet>(file: string, format: CaptureFormat<Packet>): Promise<CaptureWriter<Packet>> {
		const out = file === "-" ? process.stdout : createWriteStream(file);
		if (file !== "-")
			await once(out, "open").catch((error: Error) => {
				throw unwritable(file, error);
			});
		const writer = new CaptureWriter(out, file, format);
		await writer.#put(format.header());
		return writer;
	}

	write(packet: Packet): Promise<void> {
		return this.#put(this.#format.record(packet));
	}

	/** Resolves when everything is written. */
	async close(): Promise<void> {
		if (this.#out !== process.stdout) {
			this.#out.end();
			await once(this.#out, "close").catch(() => {});
		}
		this.#check();
	}

	async #put(bytes: Uint8Array): Promise<void> {
		if (!this.#error && !this.#out.write(bytes)) await once(this.#out, "drain").catch(() => {});
		this.#check();
	}

	#check(): void {
		if (this.#error) throw unwritable(this.#file, this.#error);
	}
}

function unwritable(file: string, error: NodeJS.ErrnoException): ShuntError {
	const why =
		error.code === "ENOENT"
			? "its directory does not exist"
			: error.code === "EACCES"
				? "permission denied"
				: error.message;
	return new ShuntError("SHUNT_FILE_UNWRITABLE", { file, why }, { cause: error });
}
