// client-program.mjs - a program that uses the client library, run in the lab's client: one exchange after another, a line of JSON each.
//
//   node client-program.mjs '{ "kind": "dns" | "http", "service": ADDRESS, "port": N, "from": ADDRESS, "fromPort": N, "count": N, "gapMs": N, "tries": N, "waitMs": N,
//                              "redirection": { … } }'
//
// Lines: {"i", "ms", "who", "way"} for each exchange (who null: it failed), {"event", …} as they come, {"counters"} at the end.
// Owns: one socket, or one agent. Must never: hide a failed exchange; a DNS question is asked again, as resolvers do.

import { get } from "node:http";
import { createSocket, RedirectedAgent } from "../../dist/client/index.js";

const {
	kind,
	service,
	port,
	from,
	fromPort = 0,
	count,
	gapMs,
	tries: most = 3,
	waitMs = 1000,
	redirection,
} = JSON.parse(process.argv[2]);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const told = (emitter) => {
	for (const name of ["redirect", "failover", "lease", "plain"])
		emitter.on(name, ({ target, cause, change, why }) => say({ event: name, target, cause, change, why }));
};

const NAME = Buffer.from("\x06whoami\x03lab\x00\x00\x10\x00\x01", "latin1");
function question(id) {
	const head = Buffer.from("000001000001000000000000", "hex");
	head.writeUInt16BE(id);
	return Buffer.concat([head, NAME]);
}

async function dns() {
	const socket = createSocket({ type: service.includes(":") ? "udp6" : "udp4", redirection });
	told(socket);
	await new Promise((resolve) => socket.bind({ address: from, port: fromPort }, () => resolve(undefined)));
	const answers = new Map();
	socket.on("message", (message, rinfo) => {
		if (rinfo.address !== service) say({ event: "stranger", from: rinfo.address });
		answers.get(message.readUInt16BE(0))?.(message.subarray(-2).toString("latin1"));
	});
	for (let i = 0; i < count; i++) {
		const began = performance.now();
		const answered = new Promise((resolve) => answers.set(i, resolve));
		let who = null;
		for (let tries = 0; tries < most && who === null; tries++) {
			socket.send(question(i), port, service);
			who = await Promise.race([answered, wait(waitMs).then(() => null)]);
		}
		say({ i, ms: performance.now() - began, who, way: socket.target(service, port)?.address ?? "gateway" });
		await wait(gapMs);
	}
	say({ counters: socket.counters });
	socket.close();
}

async function http() {
	const agent = new RedirectedAgent({ redirection });
	told(agent.dialer);
	for (let i = 0; i < count; i++) {
		const began = performance.now();
		const [who, way] = await new Promise((resolve) => {
			get({ host: service, port, agent, localAddress: from, path: "/" }, (response) => {
				const by = response.socket.remoteAddress;
				let body = "";
				response.on("data", (chunk) => {
					body += chunk;
				});
				response.on("end", () => resolve([body.trim(), by === service ? "gateway" : by]));
			}).on("error", (error) => resolve([null, error.message]));
		});
		say({ i, ms: performance.now() - began, who, way });
		await wait(gapMs);
	}
	say({ counters: agent.dialer.counters });
	agent.dialer.close();
}

await (kind === "dns" ? dns() : http());
