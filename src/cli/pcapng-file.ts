// pcapng-file.ts - pcapng files as `shunt dump -w` writes them where packets have a verdict: that has no place in a pcap.
//
// Owns: the blocks that are written here (draft-ietf-opsawg-pcapng): one section, an interface for each side of the packet
// program, and for each packet its comment, direction and XDP action. Little-endian, nanoseconds.
// Must never: read one; libpcap does.

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { refuse } from "./pcap-file.js";

const [SECTION, INTERFACE, PACKET] = [0x0a0d0d0a, 1, 6];
const BYTE_ORDER = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;
const OPTION = {
	end: 0,
	comment: 1,
	name: 2,
	description: 3,
	resolution: 9,
	application: 4,
	flags: 2,
	verdict: 7,
} as const;
/** epb_verdict's first octet: Linux eBPF XDP, an action of 64 bits follows. */
const VERDICT_XDP = 2;
/** epb_flags, the lowest two bits. */
export const DIRECTION = { inbound: 1, outbound: 2 } as const;

export interface NgInterface {
	readonly name: string;
	readonly description: string;
}

export interface NgPacket {
	/** Index into the interfaces. */
	readonly on: number;
	/** Since 1970. */
	readonly timestampNs: bigint;
	readonly length: number;
	readonly data: Uint8Array;
	readonly direction: (typeof DIRECTION)[keyof typeof DIRECTION];
	readonly comment: string;
	/** enum xdp_action */
	readonly action: number;
}

export class PcapngWriter {
	readonly #out: NodeJS.WritableStream;
	readonly #file: string;
	#error: Error | undefined;

	private constructor(out: NodeJS.WritableStream, file: string) {
		this.#out = out;
		this.#file = file;
		out.on("error", (error: Error) => {
			this.#error = error;
		});
	}

	/** Empties the file if it is there; "-" is standard output. */
	static async open(file: string, application: string, interfaces: readonly NgInterface[]): Promise<PcapngWriter> {
		const out = file === "-" ? process.stdout : createWriteStream(file);
		if (file !== "-") await once(out, "open").catch((error: Error) => refuse(file, error));
		const writer = new PcapngWriter(out, file);
		const section = Buffer.alloc(16);
		section.writeUInt32LE(BYTE_ORDER, 0);
		section.writeUInt16LE(1, 4); // version 1.0
		section.writeBigInt64LE(-1n, 8); // of unknown length
		await writer.#put(block(SECTION, section, [text(OPTION.application, application)]));
		for (const { name, description } of interfaces) {
			const body = Buffer.alloc(8);
			body.writeUInt16LE(LINKTYPE_ETHERNET, 0);
			const options = [text(OPTION.name, name), text(OPTION.description, description)];
			await writer.#put(block(INTERFACE, body, [...options, option(OPTION.resolution, Buffer.of(9))]));
		}
		return writer;
	}

	async write(packet: NgPacket): Promise<void> {
		const body = Buffer.alloc(20);
		body.writeUInt32LE(packet.on, 0);
		body.writeUInt32LE(Number(packet.timestampNs >> 32n), 4);
		body.writeUInt32LE(Number(packet.timestampNs & 0xffffffffn), 8);
		body.writeUInt32LE(packet.data.length, 12);
		body.writeUInt32LE(packet.length, 16);
		const flags = Buffer.alloc(4);
		flags.writeUInt32LE(packet.direction);
		const verdict = Buffer.alloc(9);
		verdict[0] = VERDICT_XDP;
		verdict.writeBigUInt64LE(BigInt(packet.action), 1);
		await this.#put(
			block(PACKET, Buffer.concat([body, padded(packet.data)]), [
				text(OPTION.comment, packet.comment),
				option(OPTION.flags, flags),
				option(OPTION.verdict, verdict),
			]),
		);
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

/** Type and length before, length again behind. */
function block(type: number, body: Buffer, options: readonly Buffer[]): Buffer {
	const end = Buffer.alloc(4); // opt_endofopt
	const length = 12 + body.length + options.reduce((sum, one) => sum + one.length, 0) + end.length;
	const head = Buffer.alloc(8);
	head.writeUInt32LE(type, 0);
	head.writeUInt32LE(length, 4);
	const tail = Buffer.alloc(4);
	tail.writeUInt32LE(length, 0);
	return Buffer.concat([head, body, ...options, end, tail]);
}

function option(code: number, value: Uint8Array): Buffer {
	const head = Buffer.alloc(4);
	head.writeUInt16LE(code, 0);
	head.writeUInt16LE(value.length, 2);
	return Buffer.concat([head, padded(value)]);
}

function text(code: number, value: string): Buffer {
	return option(code, Buffer.from(value, "utf8"));
}

/** To whole words of 32 bits. */
function padded(bytes: Uint8Array): Buffer {
	return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
