// exchange-tcp.mjs - one client: questions and answers over one TCP connection, one after the other; a line of JSON says
// how it went.
//
//   node exchange-tcp.mjs '{ "service", "port", "from", "count", "warm", "warmMs" }'
//
//   warm, warmMs    exchanges and the time that come before the measurement, such as for MPTCP to open its second subflow
//
// Must never: count an exchange that took part in warming up.

import { connect } from "node:net";

const { service, port, from, count, warm, warmMs = 0 } = JSON.parse(process.argv[2]);
const QUESTION = Buffer.alloc(32, "x");
const socket = connect({ host: service, port, localAddress: from, noDelay: true });
socket.setTimeout(5000, () => socket.destroy(new Error("no answer for 5 s")));
let received = 0;
let answered = () => {};
socket.on("data", (bytes) => {
	received += bytes.length;
	if (received >= QUESTION.length) {
		received = 0;
		answered();
	}
});
socket.on("error", (error) => {
	console.error(`exchange-tcp: ${error.message}`);
	process.exit(1);
});
await new Promise((resolve) => socket.once("connect", () => resolve(undefined)));
const exchange = () =>
	new Promise((resolve) => {
		answered = () => resolve(undefined);
		socket.write(QUESTION);
	});
const begun = performance.now();
for (let i = 0; i < warm || performance.now() < begun + warmMs; i++) await exchange();
const times = [];
for (let i = 0; i < count; i++) {
	const began = performance.now();
	await exchange();
	times.push(performance.now() - began);
}
times.sort((a, b) => a - b);
const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
console.log(JSON.stringify({ p50Ms: at(0.5), p99Ms: at(0.99), lost: 0 }));
socket.destroy();
