// client-udp.mjs - a UDP client that goes where the service's gateway tells it to go: node:dgram's interface, one import changed.
//
//   node examples/client-udp.mjs ADDRESS PORT [PREFIX...]     PREFIX: where targets may be, 10.0.0.0/8 say
//
// Sends a line a second and prints who answered, and each change of the way. Ends after ten lines.

import { createSocket } from "shunt/client";

const [address = "203.0.113.53", port = "53", ...targets] = process.argv.slice(2);
const socket = createSocket({
	type: address.includes(":") ? "udp6" : "udp4",
	redirection: targets.length > 0 ? { targets } : {},
});

socket.on("redirect", ({ target, term }) => console.log(`now to ${target.address} port ${target.port}, ${term}`));
socket.on("failover", ({ target, cause }) =>
	console.log(`${target.address} has failed (${cause}); by the gateway again`),
);
socket.on("plain", ({ why }) => console.log(`by the gateway: ${why}`));
socket.on("message", (message, from) => console.log(`${from.address}: ${message.length} bytes`));

for (let i = 0; i < 10; i++) {
	socket.send(`line ${i}`, Number(port), address);
	await new Promise((resolve) => setTimeout(resolve, 1000));
}
socket.close();
