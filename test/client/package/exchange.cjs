// exchange.cjs - datagrams and a connection through the library, to a gateway and a backend of its own on loopback.
//
// Must never: import the library: the program gives it, as it has loaded it.

const dgram = require("node:dgram");
const http = require("node:http");
const net = require("node:net");
const { once } = require("node:events");

const GATEWAY = "127.0.0.53";
const BACKEND = "127.0.0.11";

async function udp(address, port, take) {
	const socket = dgram.createSocket("udp4");
	socket.on("message", (message, from) => take(socket, message, from));
	socket.bind(port, address);
	await once(socket, "listening");
	return socket;
}

/** Prints the target, its reply, and what the gateway itself has served. */
module.exports = async function exchange(client, wire) {
	const { connect, createSocket, Dialer, RedirectedAgent, RedirectionCache } = client;
	const { decodeControl, encodeControl, encodeHeader, FLAG, parseAddress } = wire;
	const seconds = () => Math.floor(Date.now() / 1000);
	let served = 0;
	const service = await udp(GATEWAY, 0, (socket, message, from) => {
		served++;
		socket.send(`gateway ${message}`, from.port, from.address);
	});
	const { port } = service.address();
	const control = await udp(GATEWAY, 0, (socket, message, from) => {
		const { header, about } = decodeControl(message);
		const redirect = {
			...header.header,
			...{ type: "redirect", flags: FLAG.redirect | FLAG.leased, lease: 60, issued: seconds(), tag: 1n },
			...{ keyId: 1, port, address: parseAddress(BACKEND) },
		};
		socket.send(encodeControl(encodeHeader(redirect), about), from.port, from.address);
	});
	const backend = await udp(BACKEND, port, (socket, message, from) => {
		const probe = decodeControl(message);
		const answer = probe
			? encodeControl(encodeHeader({ ...probe.header.header, type: "probe-ack", issued: seconds() }), probe.about)
			: `backend ${message}`;
		socket.send(answer, from.port, from.address);
	});
	// Patient timers: both ends share one process, which a loaded host may stop for longer than a probe's timeout.
	const timers = { questions: [5000, 5000], probes: [5000, 5000], silence: 10_000 };
	const peers = { controlPort: control.address().port, targets: ["127.0.0.0/8"], cache: new RedirectionCache() };
	const redirection = { ...peers, ...timers };
	const socket = createSocket({ type: "udp4", redirection });
	// A backend can answer a probe before the first datagram has left.
	socket.send("one", port, GATEWAY);
	if (socket.target(GATEWAY, port) === undefined) await once(socket, "redirect");
	const reply = once(socket, "message");
	socket.send("two", port, GATEWAY);
	let [message, from] = await reply;
	if (`${message}` === "gateway one") [message, from] = await once(socket, "message");
	console.log(`${message} from ${from.address === GATEWAY ? "the service" : from.address}`);
	console.log(`target ${socket.target(GATEWAY, port).address}, served by the gateway: ${served}`);

	const web = http.createServer((_, response) => response.end("web"));
	web.listen(0, GATEWAY);
	await once(web, "listening");
	const at = /** @type {import("node:net").AddressInfo} */ (web.address());
	const agent = new RedirectedAgent({ redirection: { ...redirection, mode: "off" } });
	const [response] = await once(http.get({ host: GATEWAY, port: at.port, agent }), "response");
	console.log(`HTTP ${response.statusCode}`);
	response.resume();
	await once(response, "end");
	for (const one of [socket, web]) one.close();
	agent.destroy();

	const named = (name) => net.createServer((peer) => peer.on("error", () => {}).end(name));
	const [gate, behind] = [named("gateway"), named("backend")];
	gate.listen(port, GATEWAY);
	behind.listen(port, BACKEND);
	await Promise.all([once(gate, "listening"), once(behind, "listening")]);
	const dialer = new Dialer({ ...redirection, services: [GATEWAY], patience: 10_000 });
	(await dialer.dial({ host: GATEWAY, port })).destroy();
	/** @returns {Promise<string>} */
	const answer = async (options) => String((await once(connect({ port, dialer, ...options }), "data"))[0]);
	const lookup = (_, { all }, done) => (all ? done(null, [{ address: GATEWAY, family: 4 }]) : done(null, GATEWAY, 4));
	const before = [await answer({ host: GATEWAY }), await answer({ host: "service.example", lookup })];
	behind.close();
	await once(behind, "close");
	console.log(`TCP ${before.join(" ")}, and when it has closed ${await answer({ host: GATEWAY })}`);
	dialer.close();
	for (const one of [service, control, backend, gate]) one.close();
};
