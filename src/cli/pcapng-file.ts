// pcapng-file.ts - pcapng files, which `shunt dump -w` writes where packets have a verdict: pcap cannot hold one.
//
// Owns: the blocks that are written (draft-ietf-opsawg-pcapng): one section, an interface for each side of the packet
// program, and each packet with its comment, direction and XDP action. Little-endian, nanoseconds.
// Must never: read a file; libpcap does.

import type { CaptureFormat } from "./capture-writer.js";

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
/** First octet of epb_verdict: Linux eBPF XDP; the 64-bit action follows. */
const VERDICT_XDP = 2;
/** The lowest two bits of epb_flags. */
export const DIRECTION = { inbound: 1, outbound: 2 } as const;

export interface NgInterface {
	readonly name: string;
	readonly description: string;
}

export interface NgPacket {
	/** Index into the interfaces. */
	readonly on: number;
	/** Nanoseconds since 1970. */
	readonly timestampNs: bigint;
	readonly length: number;
	readonly data: Uint8Array;
	readonly direction: (typeof DIRECTION)[keyof typeof DIRECTION];
	readonly comment: string;
	/** enum xdp_action */
	readonly action: number;
}

export function pcapngFormat(application: string, interfaces: readonly NgInterface[]): CaptureFormat<NgPacket> {
	return {
		header() {
			const section = Buffer.alloc(16);
			section.writeUInt32LE(BYTE_ORDER, 0);
			section.writeUInt16LE(1, 4); // version 1.0
			section.writeBigInt64LE(-1n, 8); // section length: unknown
			const blocks = interfaces.map(({ name, description }) => {
				const body = Buffer.alloc(8);
				body.writeUInt16LE(LINKTYPE_ETHERNET, 0);
				const options = [text(OPTION.name, name), text(OPTION.description, description)];
				return block(INTERFACE, body, [...options, option(OPTION.resolution, Buffer.of(9))]);
			});
			return Buffer.concat([block(SECTION, section, [text(OPTION.application, application)]), ...blocks]);
		},
		record(packet) {
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
			return block(PACKET, Buffer.concat([body, padded(packet.data)]), [
				text(OPTION.comment, packet.comment),
				option(OPTION.flags, flags),
				option(OPTION.verdict, verdict),
			]);
		},
	};
}

/** Type, length, body, options, and the length again. */
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

/** Padded to a multiple of 32 bits. */
function padded(bytes: Uint8Array): Buffer {
	return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
