// exchange.mjs - one client: questions and answers over UDP, one after the other or at a steady rate; a line of JSON says how it went.
//
//   node exchange.mjs '{ "service", "port", "from", "seconds" | "count", "gapMs", "warm", "mode": "plain" | "shunt", "redirection" }'
//
//   count, gapMs 0    the next question follows the answer: latency
//   gapMs > 0         a question every so often, answered or not: gaps between answers
//
// Must never: count an exchange that took part in warming up.

import { createSocket as plainSocket } from "node:dgram";
import { createSocket } from "../../../dist/client/index.js";

const ask = JSON.parse(process.argv[2]);
const { service, port, from, count = Infinity, seconds = 60, gapMs = 0, warm = 0, mode, redirection = {} } = ask;
const NAME = Buffer.from("\x06whoami\x03lab\x00\x00\x10\x00\x01", "latin1");
const socket = mode === "plain" ? plainSocket("udp4") : createSocket({ type: "udp4", redirection });
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const events = [];
for (const name of ["redirect", "failover"])
	socket.on(name, ({ cause }) => events.push({ event: name, cause, at: performance.now() }));
await new Promise((resolve) => socket.bind({ address: from }, () => resolve(undefined)));

const head = Buffer.from("000001000001000000000000", "hex");
function question(id) {
	const bytes = Buffer.concat([head, NAME]);
	bytes.writeUInt16BE(id & 0xffff);
	return bytes;
}

const times = [];
const answered = [];
let lost = 0;
let ended;
let current;
socket.on("message", (message) => {
	answered.push(performance.now());
	if (current !== undefined && message.readUInt16BE(0) === (current.id & 0xffff)) current.done();
});
const end = performance.now() + seconds * 1000;
if (gapMs > 0) {
	for (let id = 0; id < count && performance.now() < end; id++) {
		socket.send(question(id), port, service);
		await wait(gapMs);
	}
	ended = performance.now();
	await wait(300);
} else {
	for (let id = 0; id < count + warm && performance.now() < end; id++) {
		const began = performance.now();
		const good = await new Promise((resolve) => {
			const late = setTimeout(() => resolve(false), 1000);
			const done = () => {
				clearTimeout(late);
				resolve(true);
			};
			current = { id, done };
			socket.send(question(id), port, service);
		});
		if (!good) lost++;
		else if (id >= warm) times.push(performance.now() - began);
	}
}
let longest = 0;
if (ended !== undefined && answered.length > 0) longest = ended - answered.at(-1); // it may never have come back
for (let i = 1; i < answered.length; i++) longest = Math.max(longest, answered[i] - answered[i - 1]);
times.sort((a, b) => a - b);
const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? null;
process.stdout.write(
	`${JSON.stringify({ exchanges: times.length, answers: answered.length, lost, p50Ms: at(0.5), p99Ms: at(0.99), longestGapMs: longest, events, counters: "counters" in socket ? socket.counters : undefined })}\n`,
);
socket.close();
