// pktgen.mjs - the stand-in for the kernel's pktgen where it is absent; scripts/pktgen calls it.

import { host, inject } from "../../dist/engine/index.js";
import { udpFrame } from "./udp_frame.mjs";

const [device, destinationMac, source, destination, port, count, size, flows, rate] = process.argv.slice(2);
const frame = udpFrame({
	size: Number(size),
	sourceMac: host().link(device).mac.toString("hex"),
	destinationMac,
	source,
	destination,
	sourcePort: 1024,
	destinationPort: Number(port),
});
const { sent, seconds } = await inject({
	interface: device,
	frames: [frame],
	count: Number(count),
	flows: Number(flows),
	...(Number(rate) > 0 ? { pps: Number(rate) } : {}),
});
console.log(JSON.stringify({ tool: "injector", sent, seconds }));
