// kernel.mjs - counting TCP sessions and reading a link's counters: our ways beside the others that a program has.
//
// Owns: a network namespace with as many connections over its loopback as are wanted, and the programs in it.
// Must never: time a program that is still making connections.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { host } from "../../../dist/engine/index.js";

const MANY = 443;
const FEW = 80;
const WAYS = [
	{ name: "shunt", ask: `filter ${MANY}`, port: MANY },
	{ name: "unfiltered dump", ask: `all ${MANY}`, port: MANY },
	{ name: "/proc/net/tcp", ask: `proc ${MANY}`, port: MANY },
	{ name: "ss -tn", ask: `ss ${MANY}`, port: MANY },
	{ name: "shunt", ask: `filter ${FEW}`, port: FEW },
	{ name: "unfiltered dump", ask: `all ${FEW}`, port: FEW },
	{ name: "/proc/net/tcp", ask: `proc ${FEW}`, port: FEW },
	{ name: "ss -tn", ask: `ss ${FEW}`, port: FEW },
];

const ip = (...args) => execFileSync("ip", args, { encoding: "utf8" });

class Program {
	#child;
	#lines;

	constructor(namespace, command, ...args) {
		this.#child = spawn("ip", ["netns", "exec", namespace, command, ...args], { stdio: ["pipe", "pipe", "inherit"] });
		this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
	}

	async line(ask) {
		if (ask !== undefined) this.#child.stdin.write(`${ask}\n`);
		const { value, done } = await this.#lines.next();
		if (done) throw new Error("a program of the benchmark has ended");
		return value;
	}

	async end() {
		if (this.#child.exitCode !== null) return;
		const ended = once(this.#child, "exit");
		this.#child.stdin.end();
		await ended;
	}
}

async function inNamespace(kit, body) {
	const namespace = `bench-${process.pid}-t`;
	ip("netns", "add", namespace);
	try {
		ip("-n", namespace, "link", "set", "lo", "up");
		ip("netns", "exec", namespace, "sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535");
		return await body(namespace, (program, ...args) => new Program(namespace, join(kit.work, program), ...args));
	} finally {
		ip("netns", "del", namespace);
	}
}

/** Nine connections of ten are to one port, the others to another; each has both its ends here. */
export async function tcp(kit, sizes) {
	const results = [];
	for (const sockets of sizes)
		await inNamespace(kit, async (_, start) => {
			const expected = { [MANY]: 0.45 * sockets, [FEW]: 0.05 * sockets };
			kit.say(`${sockets} sockets are being made`);
			const held = start("sockets", "tcp", ...Object.entries(expected).flat().map(String));
			const ask = start("ask");
			try {
				if ((await held.line()) !== `ready ${sockets / 2}`) throw new Error("not all connections were made");
				for (let round = 0; round < kit.rounds; round++)
					for (const way of kit.turn(WAYS, round)) {
						kit.say(`${sockets} sockets, round ${round + 1} of ${kit.rounds}: ${way.ask}`);
						const { ns, count, done } = JSON.parse(await ask.line(way.ask));
						if (!done || count !== expected[way.port]) throw new Error(`${way.ask} counts ${count}`);
						results.push({ sockets, counted: count, round, subject: way.name, ns });
					}
			} finally {
				await ask.end();
				await held.end();
			}
		});
	return results;
}

/** Of a veth: ns for all 8 counters. */
export async function links(kit) {
	const results = [];
	await inNamespace(kit, async (namespace, start) => {
		ip("-n", namespace, "link", "add", "l0", "type", "veth", "peer", "name", "l1");
		// `ip netns exec` shows /sys of that namespace to the program in it; through the addon it is this one's loopback.
		const ask = start("ask");
		const lo = new (host().LinkCounters)("lo");
		const into = new BigUint64Array(8);
		try {
			for (let round = 0; round < kit.rounds; round++) {
				kit.say(`link, round ${round + 1} of ${kit.rounds}`);
				const { kept, opened, proc } = JSON.parse(await ask.line("link l0"));
				const began = process.hrtime.bigint();
				for (let i = 0; i < 20_000; i++) lo.read(into);
				const addon = Number(process.hrtime.bigint() - began) / 20_000;
				results.push({ round, kept, opened, proc, addon });
			}
		} finally {
			await ask.end();
		}
	});
	return results;
}
