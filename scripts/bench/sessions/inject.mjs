// inject.mjs - UDP packets on c0 of so many flows: first one of each, when every flow is new, then all of them again.
// Usage: node inject.mjs FLOWS NUMBER     prints the processor's nanoseconds a packet: [new, known]
//
// Processor time, since others may want the processor; what the receiving end does is part of it, for a veth delivers
// on the sender's.

import { inject } from "../../../dist/engine/index.js";
import { udpFrame } from "../udp_frame.mjs";

const [count, number] = process.argv.slice(2).map(Number);
const frame = udpFrame({
	size: 60,
	sourceMac: "02:bb:00:00:00:11",
	destinationMac: "02:bb:00:00:00:12",
	source: `10.${number}.0.1`,
	destination: "198.18.0.1",
	sourcePort: 1024,
	destinationPort: 53,
});
const KNOWN_LEAST = 500_000; // packets: a few would be over before the clock has moved
const found = [];
for (const packets of [count, Math.max(count, KNOWN_LEAST)]) {
	const before = process.cpuUsage();
	const result = await inject({ interface: "c0", frames: [frame], count: packets, flows: count, qdiscBypass: true });
	const { user, system } = process.cpuUsage(before);
	if (result.sent !== packets) throw new Error(`sent ${result.sent} of ${packets}`);
	found.push((1000 * (user + system)) / packets);
}
console.log(JSON.stringify(found));
