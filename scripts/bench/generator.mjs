// generator.mjs - sends UDP frames of one size flat out for a bounded time, by the addon's injector; says how many.
// Usage: node generator.mjs INTERFACE FRAME-BYTES FLOWS SECONDS

import { inject } from "../../dist/engine/index.js";
import { udpFrame } from "./udp_frame.mjs";

const [device, size, flows, seconds] = process.argv.slice(2);
const frame = udpFrame({
	size: Number(size),
	sourceMac: "02:bb:00:00:00:01",
	destinationMac: "02:bb:00:00:00:02",
	source: "198.51.100.7",
	destination: "203.0.113.53",
	sourcePort: 4000,
	destinationPort: 53,
});
const result = await inject({
	interface: device,
	frames: [frame],
	seconds: Number(seconds),
	flows: Number(flows),
	qdiscBypass: true,
});
console.log(JSON.stringify({ sent: result.sent, seconds: result.seconds }));
