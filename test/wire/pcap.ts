// Frames and capture files for tests, encoded here independently of the code under test.

const START_S = 1_700_000_000;

/** A classic pcap file of Ethernet frames, one a second in microseconds; with `atNs`, frame i at START_S + atNs(i) in nanoseconds. */
export function pcap(frames: readonly Uint8Array[], atNs?: (i: number) => number): Buffer {
	const head = Buffer.alloc(24);
	head.writeUInt32LE(atNs === undefined ? 0xa1b2c3d4 : 0xa1b23c4d, 0);
	head.writeUInt16LE(2, 4);
	head.writeUInt16LE(4, 6);
	head.writeUInt32LE(65535, 16);
	head.writeUInt32LE(1, 20);
	const records = frames.flatMap((frame, i) => {
		const ns = atNs?.(i) ?? i * 1e9;
		const record = Buffer.alloc(16);
		record.writeUInt32LE(START_S + Math.floor(ns / 1e9), 0);
		record.writeUInt32LE(ns % 1e9, 4);
		record.writeUInt32LE(frame.length, 8);
		record.writeUInt32LE(frame.length, 12);
		return [record, frame];
	});
	return Buffer.concat([head, ...records]);
}

export function ethernet(type: number, payload: Uint8Array, vlans: number[] = []): Buffer {
	const tags = Buffer.from(vlans.flatMap((id) => [0x81, 0, id >> 8, id & 255]));
	const head = Buffer.from("020000000002020000000001", "hex");
	return Buffer.concat([head, tags, Buffer.from([type >> 8, type & 255]), payload]);
}

export function ipv4(source: string, destination: string, protocol: number, payload: Uint8Array, fragment = 0): Buffer {
	const head = Buffer.alloc(20);
	head[0] = 0x45;
	head.writeUInt16BE(20 + payload.length, 2);
	head.writeUInt16BE(fragment, 6);
	head[8] = 64;
	head[9] = protocol;
	head.set(source.split(".").map(Number), 12);
	head.set(destination.split(".").map(Number), 16);
	head.writeUInt16BE(~sum(head) & 0xffff, 10);
	return Buffer.concat([head, payload]);
}

/** Addresses as 32 hex digits. */
export function ipv6(source: string, destination: string, next: number, payload: Uint8Array): Buffer {
	const head = Buffer.alloc(8);
	head[0] = 0x60;
	head.writeUInt16BE(payload.length, 4);
	head[6] = next;
	head[7] = 64;
	return Buffer.concat([head, Buffer.from(source, "hex"), Buffer.from(destination, "hex"), payload]);
}

export function udp(
	sourcePort: number,
	destinationPort: number,
	payload: Uint8Array,
	surplus = Buffer.alloc(0),
): Buffer {
	const head = Buffer.alloc(8);
	head.writeUInt16BE(sourcePort, 0);
	head.writeUInt16BE(destinationPort, 2);
	head.writeUInt16BE(8 + payload.length, 4);
	return Buffer.concat([head, payload, surplus]);
}

export function tcp(
	sourcePort: number,
	destinationPort: number,
	flags: number,
	options: Uint8Array,
	data: Uint8Array,
): Buffer {
	const head = Buffer.alloc(20);
	head.writeUInt16BE(sourcePort, 0);
	head.writeUInt16BE(destinationPort, 2);
	head.writeUInt32BE(1000, 4);
	head[12] = ((20 + options.length) / 4) << 4;
	head[13] = flags;
	head.writeUInt16BE(64240, 14);
	return Buffer.concat([head, options, data]);
}

/** Geneve with one option of our class around an inner packet. */
export function geneve(header: Uint8Array, inner: Uint8Array, protocol = 0x0800): Buffer {
	const words = header.length / 4;
	const head = Buffer.alloc(12);
	head[0] = 1 + words;
	head[1] = 0x40;
	head.writeUInt16BE(protocol, 2);
	head.writeUInt16BE(0xff17, 8);
	head[10] = 0x81;
	head[11] = words;
	return Buffer.concat([head, header, inner]);
}

function sum(bytes: Buffer): number {
	let total = 0;
	for (let i = 0; i < bytes.length; i += 2) total += bytes.readUInt16BE(i);
	while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
	return total;
}
