// load-dns.mjs - asks a DNS service whoami.lab at a steady rate over several flows, and counts every question and answer.
// Usage: node load-dns.mjs FROM SERVER FIRST-PORT FLOWS MOST PER-SECOND
//
// A question's number is its DNS id, so MOST is at most 65536. Says "flowing" once every flow has been answered. On standard
// input, "mark" is answered by "marked N" (the next question's number), and "end" ends it. Its last line is JSON: what was
// sent, what never was answered, what was answered twice, and by flow who answered which questions; and when the last of the
// unanswered ones was sent (milliseconds since 1970, or null).

import { createSocket } from "node:dgram";

const [from, server, ...numbers] = process.argv.slice(2);
const [firstPort, flows, most, rate] = numbers.map(Number);
const family = server.includes(":") ? "udp6" : "udp4";
// QD 1, no EDNS: the answer ends with the text itself.
const question = Buffer.from("0000010000010000000000000677686f616d69036c61620000100001", "hex");

const answers = new Uint8Array(most);
const sentAt = new Float64Array(most);
const seen = Array.from({ length: flows }, () => []);
let [sent, answered, twice, wrong] = [0, 0, 0, 0];
let [said, ending] = [false, false];

const sockets = await Promise.all(
	seen.map(
		(list, flow) =>
			new Promise((resolve) => {
				const socket = createSocket({ type: family, recvBufferSize: 1 << 20 });
				socket.on("message", (message) => {
					const number = message.readUInt16BE(0);
					if (number % flows !== flow || number >= sent) wrong++;
					else if (answers[number]++ > 0) twice++;
					else {
						answered++;
						list.push([number, message.toString("latin1", message.length - 2)]);
						if (!said) flowing();
					}
				});
				socket.bind(firstPort + flow, from, () => resolve(socket));
			}),
	),
);

function flowing() {
	if (seen.some((list) => list.length === 0)) return;
	said = true;
	console.log("flowing");
}

process.stdin.setEncoding("utf8").on("data", (text) => {
	for (const word of String(text).trim().split("\n")) {
		if (word === "mark") console.log(`marked ${sent}`);
		if (word === "end") ending = true;
	}
});

const began = performance.now();
function ask() {
	const due = Math.min(most, Math.ceil(((performance.now() - began) / 1000) * rate));
	for (; sent < due; sent++) {
		const message = Buffer.from(question);
		message.writeUInt16BE(sent, 0);
		sentAt[sent] = performance.timeOrigin + performance.now();
		sockets[sent % flows].send(message, 53, server);
	}
	if (ending || sent >= most) last(performance.now());
	else setTimeout(ask, 1);
}

/** The last answers may take a moment. */
function last(since) {
	if (answered < sent && performance.now() - since < 2000) return void setTimeout(last, 5, since);
	const lost = [...answers.subarray(0, sent).entries()].flatMap(([number, count]) => (count === 0 ? [number] : []));
	const by = seen.map((list, flow) => ({ port: firstPort + flow, answers: list.sort((a, b) => a[0] - b[0]) }));
	const lastLostAt = lost.length === 0 ? null : sentAt[lost.at(-1)];
	process.stdout.write(`${JSON.stringify({ sent, lost, lastLostAt, twice, wrong, flows: by })}\n`, () =>
		process.exit(0),
	);
}
ask();
