// library.mjs - `npm run bench -- library [--quick] [--json]`: what the client library costs a program through a lease.
//
//   time         p50 of a datagram and its reply, and of a new TCP connection (connect, one byte, its echo, close),
//                by node:dgram and node:net straight to the backend, and by shunt-client to the service
//   allocation   bytes of the heap for each, without a collection in between
//
// Exchanges of both kinds take turns, A B B A, so that both meet the same noise; a ratio is that of a round's medians.
//
// Owns: its measurements. Must never: need root; the servers are a process of its own (clients/loopback.mjs).

import { spawn } from "node:child_process";
import { createSocket as plainSocket } from "node:dgram";
import { once } from "node:events";
import { createRequire } from "node:module";
import net from "node:net";
import { cpus, release } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const here = dirname(fileURLToPath(import.meta.url));
const SERVICE = "127.0.0.53";
const BACKEND = "127.0.0.11";
const TERMS = { services: [SERVICE], targets: ["127.0.0.0/8"], probes: [5000, 5000], silence: 10_000 };

export async function run(options) {
	const quick = options.includes("--quick");
	const servers = spawn(process.execPath, [join(here, "clients/loopback.mjs")], { stdio: ["pipe", "pipe", "inherit"] });
	try {
		const { port, controlPort } = JSON.parse(String((await once(servers.stdout, "data"))[0]));
		const subjects = await open(port, { ...TERMS, controlPort });
		const results = [];
		for (const subject of subjects) results.push(await measure(subject, quick));
		const machine = { cpu: cpus()[0].model, cores: cpus().length, kernel: release(), node: process.version };
		const report = { bench: "library", date: new Date().toISOString(), machine, results };
		console.log(options.includes("--json") ? JSON.stringify(report, null, "\t") : render(results));
		for (const { close } of subjects) close();
		return 0;
	} finally {
		servers.stdin.end();
	}
}

/** What is measured: the same exchange, straight and through a lease. */
async function open(port, redirection) {
	const { connect, createSocket, Dialer } = createRequire(import.meta.url)("shunt-client");
	const dialer = new Dialer({ ...redirection, patience: 10_000 });
	(await dialer.dial({ host: SERVICE, port })).destroy();
	if (dialer.target(SERVICE, port)?.address !== BACKEND) throw new Error("library: no lease for connections");
	const connection = (make) => () =>
		new Promise((resolve, reject) => {
			const socket = make();
			socket.on("error", reject);
			socket.on("connect", () => socket.write("x"));
			socket.on("data", () => {});
			socket.on("close", resolve);
		});
	const [straight, leased] = [plainSocket("udp4"), createSocket({ type: "udp4", redirection })];
	const bound = once(leased, "redirect");
	leased.send("x", port, SERVICE);
	await bound;
	const datagram = (socket, host) => {
		const message = Buffer.alloc(64);
		return () =>
			new Promise((resolve) => {
				socket.once("message", resolve);
				socket.send(message, port, host);
			});
	};
	return [
		{
			name: "UDP, a datagram and its reply",
			count: 2000,
			straight: datagram(straight, BACKEND),
			leased: datagram(leased, SERVICE),
			close: () => [straight, leased].forEach((socket) => void socket.close()),
		},
		{
			name: "TCP, a new connection",
			count: 1000,
			straight: connection(() => net.connect({ host: BACKEND, port })),
			leased: connection(() => connect({ host: SERVICE, port, dialer })),
			close: () => dialer.close(),
		},
	];
}

async function measure({ name, count, straight, leased }, quick) {
	const ratios = [];
	const p50s = { straight: [], leased: [] };
	const rounds = quick ? 2 : 9;
	await round({ straight, leased }, quick ? 100 : 8000); // until the compiler has seen enough of both
	for (let i = 0; i < rounds; i++) {
		const { straight: direct, leased: lease } = await round({ straight, leased }, quick ? count / 10 : count);
		p50s.straight.push(direct);
		p50s.leased.push(lease);
		ratios.push(lease / direct);
	}
	const bytes = { straight: await allocated(straight), leased: await allocated(leased) };
	return { name, p50Us: { straight: median(p50s.straight), leased: median(p50s.leased) }, ratios, bytes };
}

/** The median time of each kind of exchange, in microseconds. */
async function round(kinds, count) {
	const times = { straight: [], leased: [] };
	for (let i = 0; i < count; i++)
		for (const kind of i % 2 ? ["straight", "leased"] : ["leased", "straight"]) {
			const began = process.hrtime.bigint();
			await kinds[kind]();
			times[kind].push(Number(process.hrtime.bigint() - began) / 1000);
		}
	return { straight: median(times.straight), leased: median(times.leased) };
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

/** Bytes of an exchange: the median of several short runs, each of which begins behind a collection and is too short to
 * cause another one. */
async function allocated(exchange) {
	const COUNT = 50;
	const runs = [];
	for (let i = 0; i < 9; i++) {
		collect();
		const before = process.memoryUsage().heapUsed;
		for (let j = 0; j < COUNT; j++) await exchange();
		runs.push((process.memoryUsage().heapUsed - before) / COUNT);
	}
	return median(runs);
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

function render(results) {
	const lines = [
		"| exchange | direct, µs | lease, µs | ratio (min – max) | direct, kB | lease, kB |",
		"|---|---|---|---|---|---|",
	];
	for (const { name, p50Us, ratios, bytes } of results) {
		const span = `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} – ${Math.max(...ratios).toFixed(2)})`;
		const kb = [bytes.straight, bytes.leased].map((value) => (value / 1000).toFixed(1));
		lines.push(`| ${name} | ${p50Us.straight.toFixed(0)} | ${p50Us.leased.toFixed(0)} | ${span} | ${kb.join(" | ")} |`);
	}
	return lines.join("\n");
}
