// pcap-file.ts - classic pcap files, read and written here, so that `dump -r` and `-w` need no addon and no privilege.
//
// Owns: the file's head and records, of both byte orders, in microseconds and nanoseconds; streams, so that a file may be
// larger than memory, or a pipe.
// Must never: look into a packet, or believe a length that the file does not hold.

import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { ShuntError } from "../errors.js";

const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;
const PCAPNG = 0x0a0d0d0a;
/** No link has packets so large; a file that says so is damaged. */
const PACKET_MOST = 1 << 20;
const SNAPLEN = 262_144;

export interface Packet {
	/** Since 1970. */
	readonly timestampNs: bigint;
	/** On the wire; data may be shorter. */
	readonly length: number;
	readonly data: Uint8Array;
}

export interface PcapFile {
	/** The LINKTYPE_ value: 1 Ethernet, 101 raw IP, 113 and 276 Linux cooked. */
	readonly linktype: number;
	readonly nanoseconds: boolean;
	/** To be read once. */
	readonly packets: AsyncGenerator<Packet>;
}

/** "-" is standard input. undefined: it is a pcapng file, which is not read here. */
export async function openPcap(file: string): Promise<PcapFile | undefined> {
	const invalid = (why: string) => new ShuntError("SHUNT_CAPTURE_INVALID", { file, why });
	const input = new ByteQueue(file === "-" ? process.stdin : createReadStream(file), (error) =>
		invalid(error.code === "ENOENT" ? "there is no such file" : error.message),
	);
	const magic = await input.peek(4);
	if (magic?.readUInt32LE(0) === PCAPNG) {
		await input.close();
		return undefined;
	}
	const little = magic !== undefined && [MICROSECONDS, NANOSECONDS].includes(magic.readUInt32LE(0));
	const big = magic !== undefined && [MICROSECONDS, NANOSECONDS].includes(magic.readUInt32BE(0));
	if (!little && !big) throw invalid(magic === undefined ? "it is too short" : "it does not begin as one");
	const head = await input.take(24);
	if (head === undefined) throw invalid("it ends within its head");
	const u32 = (from: Buffer, at: number) => (little ? from.readUInt32LE(at) : from.readUInt32BE(at));
	const nanoseconds = u32(head, 0) === NANOSECONDS;

	async function* packets(): AsyncGenerator<Packet> {
		try {
			for (let number = 1; (await input.peek(1)) !== undefined; number++) {
				const record = await input.take(16);
				const kept = record === undefined ? 0 : u32(record, 8);
				if (kept > PACKET_MOST) throw invalid(`packet ${number} has an impossible length`);
				const data = await input.take(kept);
				if (record === undefined || data === undefined) throw invalid(`it ends within packet ${number}`);
				yield {
					timestampNs: BigInt(u32(record, 0)) * 1_000_000_000n + BigInt(u32(record, 4)) * (nanoseconds ? 1n : 1000n),
					length: u32(record, 12),
					data: new Uint8Array(data),
				};
			}
		} finally {
			await input.close();
		}
	}
	// The upper bits say whether a frame check sequence follows.
	return { linktype: u32(head, 20) & 0xffff, nanoseconds, packets: packets() };
}

/** Takes a stream apart by lengths. */
class ByteQueue {
	readonly #chunks: AsyncIterator<Buffer>;
	readonly #refuse: (error: NodeJS.ErrnoException) => Error;
	#rest: Buffer = Buffer.alloc(0);

	constructor(chunks: AsyncIterable<Buffer>, refuse: (error: NodeJS.ErrnoException) => Error) {
		this.#chunks = chunks[Symbol.asyncIterator]();
		this.#refuse = refuse;
	}

	/** Exactly so many bytes, which stay; undefined if the stream ends before. */
	async peek(length: number): Promise<Buffer | undefined> {
		while (this.#rest.length < length) {
			const next = await this.#chunks.next().catch((error) => {
				throw this.#refuse(error);
			});
			if (next.done) return undefined;
			this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
		}
		return this.#rest.subarray(0, length);
	}

	async take(length: number): Promise<Buffer | undefined> {
		const bytes = await this.peek(length);
		if (bytes !== undefined) this.#rest = this.#rest.subarray(length);
		return bytes;
	}

	/** Lets go of the stream, read to its end or not: an open standard input would keep the process alive. */
	async close(): Promise<void> {
		await this.#chunks.return?.();
	}
}

export class PcapWriter {
	readonly #out: NodeJS.WritableStream;
	readonly #file: string;
	readonly #nanoseconds: boolean;
	#error: Error | undefined;

	private constructor(out: NodeJS.WritableStream, file: string, nanoseconds: boolean) {
		this.#out = out;
		this.#file = file;
		this.#nanoseconds = nanoseconds;
		out.on("error", (error: Error) => {
			this.#error = error;
		});
	}

	/** Empties the file if it is there; "-" is standard output. */
	static async open(file: string, options: { linktype: number; nanoseconds: boolean }): Promise<PcapWriter> {
		const out = file === "-" ? process.stdout : createWriteStream(file);
		if (file !== "-") await once(out, "open").catch((error: Error) => refuse(file, error));
		const writer = new PcapWriter(out, file, options.nanoseconds);
		const head = Buffer.alloc(24);
		head.writeUInt32LE(options.nanoseconds ? NANOSECONDS : MICROSECONDS, 0);
		head.writeUInt16LE(2, 4);
		head.writeUInt16LE(4, 6);
		head.writeUInt32LE(SNAPLEN, 16);
		head.writeUInt32LE(options.linktype, 20);
		await writer.#put(head);
		return writer;
	}

	async write(packet: Packet): Promise<void> {
		const record = Buffer.alloc(16 + packet.data.length);
		const fraction = packet.timestampNs % 1_000_000_000n;
		record.writeUInt32LE(Number((packet.timestampNs / 1_000_000_000n) & 0xffffffffn), 0);
		record.writeUInt32LE(Number(this.#nanoseconds ? fraction : fraction / 1000n), 4);
		record.writeUInt32LE(packet.data.length, 8);
		record.writeUInt32LE(packet.length, 12);
		record.set(packet.data, 16);
		await this.#put(record);
	}

	/** Resolves when everything is written. */
	async close(): Promise<void> {
		if (this.#out !== process.stdout) {
			this.#out.end();
			await once(this.#out, "close").catch(() => {});
		}
		if (this.#error) refuse(this.#file, this.#error);
	}

	async #put(bytes: Buffer): Promise<void> {
		if (!this.#error && !this.#out.write(bytes)) await once(this.#out, "drain").catch(() => {});
		if (this.#error) refuse(this.#file, this.#error);
	}
}

/** Throws the sentence for a file that cannot be written. */
export function refuse(file: string, error: NodeJS.ErrnoException): never {
	const why =
		error.code === "ENOENT" ? "its folder is not there" : error.code === "EACCES" ? "permission denied" : error.message;
	throw new ShuntError("SHUNT_FILE_UNWRITABLE", { file, why }, { cause: error });
}
