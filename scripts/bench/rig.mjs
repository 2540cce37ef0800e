// rig.mjs - generator ── device under test ── sink: three network namespaces, two links, one processor each side.
//
//   generator g0 ─── d0 device under test d1 ─── s0 sink
//
// Owns: the namespaces, and how often the sink's link has received. The sink runs no program: what arrives is counted by
// its link and dropped by its kernel, on the processor of the sender.
// Must never: send for longer than it was told, or outside these namespaces.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";

const PREFIX = `bench-${process.pid}`;
export const GENERATOR = `${PREFIX}-g`;
export const DEVICE = `${PREFIX}-d`;
export const SINK = `${PREFIX}-s`;
export const MAC = {
	g0: "02:bb:00:00:00:01",
	d0: "02:bb:00:00:00:02",
	d1: "02:bb:00:00:00:03",
	s0: "02:bb:00:00:00:04",
};

const ip = (...args) => execFileSync("ip", args, { encoding: "utf8" });
const within = (namespace, ...args) => execFileSync("ip", ["netns", "exec", namespace, ...args], { encoding: "utf8" });

export function up() {
	for (const namespace of [GENERATOR, DEVICE, SINK]) {
		ip("netns", "add", namespace);
		within(namespace, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1");
	}
	for (const [a, an, b, bn] of [
		["g0", GENERATOR, "d0", DEVICE],
		["d1", DEVICE, "s0", SINK],
	]) {
		ip(
			"link",
			"add",
			a,
			"netns",
			an,
			"address",
			MAC[a],
			"mtu",
			"9000",
			"type",
			"veth",
			"peer",
			"name",
			b,
			"netns",
			bn,
			"address",
			MAC[b],
		);
		ip("-n", bn, "link", "set", b, "mtu", "9000");
		for (const [link, namespace] of [
			[a, an],
			[b, bn],
		]) {
			within(namespace, "ethtool", "-K", link, "tx", "off", "rx", "off", "gro", "off", "gso", "off", "tso", "off");
			ip("-n", namespace, "link", "set", link, "up");
		}
	}
}

export function down() {
	for (const namespace of [GENERATOR, DEVICE, SINK]) {
		try {
			ip("netns", "del", namespace);
		} catch {
			// it was not made
		}
	}
}

export function received(namespace, link) {
	return Number(within(namespace, "cat", `/sys/class/net/${link}/statistics/rx_packets`));
}

export function ifindex(namespace, link) {
	return Number(within(namespace, "cat", `/sys/class/net/${link}/ifindex`));
}

/** A program in a namespace, on one processor. Resolves when it has said `ready`, with a way to ask it for its end. */
export async function start(namespace, processor, command, args) {
	const child = spawn("ip", ["netns", "exec", namespace, "taskset", "-c", String(processor), command, ...args], {
		stdio: ["pipe", "pipe", "pipe"],
	});
	let said = "";
	let complained = "";
	child.stdout.on("data", (text) => (said += text));
	child.stderr.on("data", (text) => (complained += text));
	const ended = once(child, "exit");
	await new Promise((resolve, reject) => {
		const late = setTimeout(
			() => reject(new Error(`${command} ${args.join(" ")} was not ready within 15 s: ${complained}`)),
			15_000,
		);
		const look = () => {
			if (!/ready|listening on/.test(said + complained)) return;
			clearTimeout(late);
			resolve(undefined);
		};
		child.stdout.on("data", look);
		child.stderr.on("data", look);
		child.on("exit", () => reject(new Error(`${command} ended: ${complained}`)));
	});
	return {
		/** Seconds of processor time so far, user and system, all threads; in steps of 10 ms. `ip` and `taskset` became the program. */
		cpu() {
			const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1].split(" ");
			return (Number(fields[11]) + Number(fields[12])) / 100;
		},
		/** Ends it, and returns what it said. */
		async stop() {
			child.kill("SIGINT");
			await ended;
			return { said, complained };
		},
	};
}
