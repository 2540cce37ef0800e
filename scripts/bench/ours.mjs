// ours.mjs - our engine as the device under test, without the daemon around it.
// Usage: node ours.mjs TRANSMIT SERVICE? IFINDEX   (SERVICE 0: all packets pass, which measures the capture alone)

import { NativeEngine } from "../../dist/engine/index.js";

const [transmit, service, ifindex] = process.argv.slice(2);
const mapped = (text) => Buffer.from([...Array(10).fill(0), 255, 255, ...text.split(".").map(Number)]);
const mac = (text) => Buffer.from(text.replaceAll(":", ""), "hex");
const engine = new NativeEngine({
	workers: [{ interface: "d0", bufferBytes: 64 << 20 }],
	transmit: /** @type {"pcap" | "ring" | "sendmmsg"} */ (transmit),
	qdiscBypass: true,
	sessions4: 1 << 18,
});
engine.publish({
	epoch: 1,
	roles: 1,
	seed: [1n, 2n],
	wallOffsetNs: BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint(),
	windowS: 30,
	tunnelPort: 6081,
	signKey: 1,
	maxHops: 5,
	keys: [{ id: 1, secret: Buffer.alloc(16, 7) }],
	own: [],
	services:
		service === "1"
			? [{ id: 1, address: mapped("203.0.113.53"), port: 53, protocol: 17, family: 4, redirection: 0, idleMs: 30_000 }]
			: [],
	rules: [],
	redirections: [{ rows: Uint16Array.from({ length: 251 }, () => 1), spread: 0 }],
	targets: [
		{
			id: 1,
			address: mapped("10.77.3.11"),
			source: mapped("10.77.3.1"),
			nextHop: mac("02:bb:00:00:00:04"),
			ownMac: mac("02:bb:00:00:00:03"),
			port: 53,
			family: 4,
			epoch: 0,
			state: 1,
			mtu: 9000,
			ifindex: Number(ifindex),
			alternative: 0,
			headerFlags: 0,
			leaseS: 0,
		},
	],
});
engine.start();
console.log("ready");
process.once("SIGINT", () => {
	engine.stop();
	const { packetsIn, captureDropped, reasons } = engine.statistics.counters();
	console.log(JSON.stringify({ captured: packetsIn, dropped: captureDropped, reasons }));
	process.exit(0);
});
setInterval(() => {}, 1000);
