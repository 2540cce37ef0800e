// generator.mjs - sends UDP frames of one size flat out for a bounded time, by the addon's injector; says how many.
// Usage: node generator.mjs INTERFACE FRAME-BYTES FLOWS SECONDS

import { inject } from "../../dist/engine/index.js";

const [device, size, flows, seconds] = process.argv.slice(2);
const frame = Buffer.alloc(Number(size));
Buffer.from("02bb0000000202bb000000010800", "hex").copy(frame);
const ip = frame.subarray(14);
ip[0] = 0x45;
ip.writeUInt16BE(frame.length - 14, 2);
ip[8] = 64;
ip[9] = 17;
ip.set([198, 51, 100, 7], 12);
ip.set([203, 0, 113, 53], 16);
ip.writeUInt16BE(~sum(ip.subarray(0, 20)) & 0xffff, 10);
ip.writeUInt16BE(4000, 20);
ip.writeUInt16BE(53, 22);
ip.writeUInt16BE(frame.length - 34, 24);

function sum(bytes) {
	let total = 0;
	for (let i = 0; i < bytes.length; i += 2) total += bytes.readUInt16BE(i);
	while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
	return total;
}

const result = await inject({
	interface: device,
	frames: [frame],
	seconds: Number(seconds),
	flows: Number(flows),
	qdiscBypass: true,
});
console.log(JSON.stringify({ sent: result.sent, seconds: result.seconds }));
