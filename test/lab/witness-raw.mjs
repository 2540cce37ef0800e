// witness-raw.mjs - sends UDP datagrams crafted with the `raw-socket` package, which owes our code nothing.
// Usage: node witness-raw.mjs DESTINATION DESTINATION-PORT SOURCE-PORT COUNT PAYLOAD-HEX [PER-SECOND]

import { createRequire } from "node:module";

const raw = createRequire(import.meta.url)("raw-socket");
const [destination, port, from, count, payload, rate = "2000"] = process.argv.slice(2);
const socket = raw.createSocket({ protocol: raw.Protocol.UDP });
const body = Buffer.from(payload, "hex");
let sent = 0;
const began = performance.now();

// A bounded number, at a bounded rate: as many as are due, then the event loop's turn.
function send() {
	const due = Math.min(Number(count), Math.ceil(((performance.now() - began) / 1000) * Number(rate)));
	while (sent < due) {
		const number = Buffer.alloc(4);
		number.writeUInt32BE(sent);
		const datagram = Buffer.concat([Buffer.alloc(8), number, body]);
		datagram.writeUInt16BE(Number(from), 0);
		datagram.writeUInt16BE(Number(port), 2);
		datagram.writeUInt16BE(datagram.length, 4); // the checksum stays 0: RFC 768 allows a sender to make none
		socket.send(datagram, 0, datagram.length, destination, (error) => {
			if (error) throw error;
		});
		sent++;
	}
	if (sent < Number(count)) setTimeout(send, 1);
	else setTimeout(() => socket.close(), 50);
}
socket.on("error", (error) => {
	throw error;
});
send();
