// loopback.mjs - a gateway and a backend on loopback, in a process of its own: `npm run bench -- library` measures the
// client library against them. Prints {"port", "controlPort"} when it is ready, and ends with its standard input.
//
// Owns: their answers by docs/protocol.md. Must never: verify a tag; no server of Shunt's is measured here.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { decodeControl, encodeControl, encodeHeader, FLAG, parseAddress } from "shunt-client/wire";

const SERVICE = "127.0.0.53";
const BACKEND = "127.0.0.11";
const now = () => Math.floor(Date.now() / 1000);

async function udp(address, port, take) {
	const socket = createSocket("udp4");
	socket.on("message", (message, from) => take(socket, message, from));
	socket.bind(port, address);
	await once(socket, "listening");
	return socket;
}

const answer = (socket, from, { about }, header) =>
	socket.send(encodeControl(encodeHeader(header), about), from.port, from.address);
const echo = (socket, message, from) => socket.send(message, from.port, from.address);
const service = await udp(SERVICE, 0, echo);
const { port } = service.address();
const control = await udp(SERVICE, 0, (socket, message, from) => {
	const query = decodeControl(message);
	if (!query?.header.ok) return;
	const terms = { flags: FLAG.redirect | FLAG.leased, lease: 600, issued: now(), keyId: 1, tag: 1n };
	const redirect = { ...query.header.header, ...terms, port, address: parseAddress(BACKEND) };
	answer(socket, from, query, { ...redirect, type: "redirect" });
});
await udp(BACKEND, port, (socket, message, from) => {
	const probe = decodeControl(message);
	if (!probe?.header.ok) {
		echo(socket, message, from);
		return;
	}
	answer(socket, from, probe, { ...probe.header.header, type: "probe-ack", issued: now() });
});
for (const address of [SERVICE, BACKEND]) {
	const server = createServer((socket) => {
		socket.on("error", () => {});
		socket.on("data", (data) => socket.end(data));
	});
	server.listen(port, address, 512);
	await once(server, "listening");
}
console.log(JSON.stringify({ port, controlPort: control.address().port }));
process.stdin.resume().on("end", () => process.exit(0));
