// agent-echo.mjs - both ends of an application that knows nothing of redirections.
//
//   serve PORT NAME ADDRESS...   UDP: answers "NAME n" to "n", from the address asked; TCP: one HTTP answer, NAME
//   ask ADDRESS PORT EVERY_MS    one connected UDP socket, numbers; prints "n NAME" for each answer, "error CODE" for each error

import { createSocket } from "node:dgram";
import { createServer } from "node:http";

const [what, ...rest] = process.argv.slice(2);
const family = (address) => (address.includes(":") ? "udp6" : "udp4");

if (what === "serve") {
	const [port, name, ...addresses] = rest;
	for (const address of addresses) {
		const socket = createSocket(family(address));
		socket.on("message", (bytes, from) => socket.send(`${name} ${bytes}`, from.port, from.address));
		socket.bind(Number(port), address);
	}
	const server = createServer((_, answer) => answer.end(`${name}\n`));
	server.listen(Number(port), "::", () => console.log("ready"));
} else {
	const [address, port, every] = rest;
	const socket = createSocket(family(address));
	let n = 0;
	socket.on("message", (bytes) => {
		const [name, number] = String(bytes).split(" ");
		console.log(`${number} ${name}`);
	});
	socket.on("error", (/** @type {NodeJS.ErrnoException} */ error) => console.log(`error ${error.code}`));
	socket.connect(Number(port), address, () => setInterval(() => socket.send(String(n++)), Number(every)));
}
