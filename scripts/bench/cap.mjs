// cap.mjs - what a Node.js user has had so far, as the device under test: the packages `cap` and `raw-socket`.
// Usage: node cap.mjs send|raw      send: cap → cap.send on d1; raw: cap → raw-socket to 10.77.3.11

import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { Cap } = require("cap");
const kind = process.argv[2];
const capture = new Cap();
const buffer = Buffer.alloc(65_536);
let captured = 0;
let send;
if (kind === "send") {
	const out = new Cap();
	out.open("d1", "", 1 << 20, Buffer.alloc(65_536));
	const head = Buffer.from("02bb0000000402bb00000003", "hex");
	send = (length) => {
		head.copy(buffer);
		out.send(buffer, length);
	};
} else {
	const raw = require("raw-socket");
	const socket = raw.createSocket({ protocol: raw.Protocol.UDP });
	socket.on("error", () => {});
	send = (length) => socket.send(Buffer.from(buffer.subarray(34, length)), 0, length - 34, "10.77.3.11", () => {});
}
capture.open("d0", "udp dst port 53", 64 << 20, buffer);
capture.setMinBytes?.(0);
capture.on("packet", (length) => {
	captured++;
	send(length);
});
console.log("ready");
process.once("SIGINT", () => {
	console.log(JSON.stringify({ captured }));
	process.exit(0);
});
