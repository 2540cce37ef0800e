// pcap-file.ts - classic pcap files, read and written without libpcap: `dump -r` and `-w` need no addon and no
// privilege.
//
// Owns: the file header and the records, of both byte orders, in microseconds and nanoseconds. Files are read as
// streams, so that a file may be a pipe or larger than memory.
// Must never: look into a packet, or trust a length that exceeds the file.

import { createReadStream } from "node:fs";
import { ShuntError } from "../errors.js";
import type { CaptureFormat } from "./capture-writer.js";

const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;
const PCAPNG = 0x0a0d0d0a;
/** Longer than any packet of any link: a file with a larger length is corrupt. */
const MAX_PACKET = 1 << 20;
const SNAPLEN = 262_144;

export interface Packet {
	/** Nanoseconds since 1970. */
	readonly timestampNs: bigint;
	/** Bytes on the wire; `data` may be shorter. */
	readonly length: number;
	readonly data: Uint8Array;
}

export interface PcapFile {
	/** The LINKTYPE_ value: 1 Ethernet, 101 raw IP, 113 and 276 Linux cooked. */
	readonly linktype: number;
	readonly nanoseconds: boolean;
	/** Can be iterated once. */
	readonly packets: AsyncGenerator<Packet>;
}

/** "-" is standard input. undefined: a pcapng file, which libpcap reads. */
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
	if (!little && !big) throw invalid(magic === undefined ? "it is too short" : "it has no pcap or pcapng header");
	const header = await input.take(24);
	if (header === undefined) throw invalid("it ends within its header");
	const u32 = (from: Buffer, at: number) => (little ? from.readUInt32LE(at) : from.readUInt32BE(at));
	const nanoseconds = u32(header, 0) === NANOSECONDS;

	async function* packets(): AsyncGenerator<Packet> {
		try {
			for (let number = 1; (await input.peek(1)) !== undefined; number++) {
				const record = await input.take(16);
				const captured = record === undefined ? 0 : u32(record, 8);
				if (captured > MAX_PACKET) throw invalid(`the length of packet ${number} is invalid`);
				const data = await input.take(captured);
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
	// The upper bits tell whether frames end with a frame check sequence.
	return { linktype: u32(header, 20) & 0xffff, nanoseconds, packets: packets() };
}

/** Splits a stream into pieces of given lengths. */
class ByteQueue {
	readonly #chunks: AsyncIterator<Buffer>;
	readonly #toError: (error: NodeJS.ErrnoException) => Error;
	#rest: Buffer = Buffer.alloc(0);

	constructor(chunks: AsyncIterable<Buffer>, toError: (error: NodeJS.ErrnoException) => Error) {
		this.#chunks = chunks[Symbol.asyncIterator]();
		this.#toError = toError;
	}

	/** Exactly this many bytes, which remain in the queue; undefined if the stream ends before. */
	async peek(length: number): Promise<Buffer | undefined> {
		while (this.#rest.length < length) {
			const next = await this.#chunks.next().catch((error) => {
				throw this.#toError(error);
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

	/** Closes the stream, whether or not it is read to its end: an open standard input keeps the process alive. */
	async close(): Promise<void> {
		await this.#chunks.return?.();
	}
}

/** Little-endian. */
export function pcapFormat(options: { linktype: number; nanoseconds: boolean }): CaptureFormat<Packet> {
	return {
		header() {
			const header = Buffer.alloc(24);
			header.writeUInt32LE(options.nanoseconds ? NANOSECONDS : MICROSECONDS, 0);
			header.writeUInt16LE(2, 4);
			header.writeUInt16LE(4, 6);
			header.writeUInt32LE(SNAPLEN, 16);
			header.writeUInt32LE(options.linktype, 20);
			return header;
		},
		record(packet) {
			const record = Buffer.alloc(16 + packet.data.length);
			const fraction = packet.timestampNs % 1_000_000_000n;
			record.writeUInt32LE(Number((packet.timestampNs / 1_000_000_000n) & 0xffffffffn), 0);
			record.writeUInt32LE(Number(options.nanoseconds ? fraction : fraction / 1000n), 4);
			record.writeUInt32LE(packet.data.length, 8);
			record.writeUInt32LE(packet.length, 12);
			record.set(packet.data, 16);
			return record;
		},
	};
}
