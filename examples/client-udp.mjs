// client-udp.mjs - a UDP client that follows the gateway's redirects: the interface of node:dgram, with another import.
//
//   node examples/client-udp.mjs ADDRESS PORT [PREFIX...]     PREFIX: accepted targets, such as 10.0.0.0/8
//
// Sends a line per second; prints the sender of each answer and each change of the path. Ends after ten lines.

import { createSocket } from "shunt-client";

const [address = "203.0.113.53", port = "53", ...targets] = process.argv.slice(2);
const socket = createSocket({
	type: address.includes(":") ? "udp6" : "udp4",
	redirection: targets.length > 0 ? { services: [address], targets } : { services: [address] },
});

socket.on("redirect", ({ target, term }) =>
	console.log(`redirected to ${target.address} port ${target.port}, ${term}`),
);
socket.on("failover", ({ target, cause }) =>
	console.log(`${target.address} has failed (${cause}); through the gateway again`),
);
socket.on("plain", ({ why }) => console.log(`through the gateway: ${why}`));
socket.on("message", (message, from) => console.log(`${from.address}: ${message.length} bytes`));

for (let i = 0; i < 10; i++) {
	socket.send(`line ${i}`, Number(port), address);
	await new Promise((resolve) => setTimeout(resolve, 1000));
}
socket.close();
