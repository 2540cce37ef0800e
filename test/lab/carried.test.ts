// carried.test.ts - the load of every server, its reports, and the choices they cause: R10 to R13 over real sessions.

import { describe, expect, test } from "vitest";
import type { LoadStatus } from "../../src/api/index.js";
import { type Cluster, ENGINES, labConfig, useCluster } from "./cluster.js";
import { addresses, isRoot, type Lab, type LabProcess, until } from "./lab.js";

const nine = addresses.client.ipv4[2]; // whom no rule of a service names
const DNS = "203.0.113.53";
const WEB = "203.0.113.80";
const BACKENDS = ["b1", "b2", "b3"] as const;

/** Reports every 100 ms, hardly smoothed; a hundred sessions are a full server. */
const LOAD = "load: { report: 100ms, smooth: 200ms, stale: 1s, capacity: 100 }";

describe.skipIf(!isRoot).each(ENGINES)("what servers carry, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	const config = labConfig(
		["sessions: {", `${LOAD}\nsessions: { check: 100ms,`],
		["    idle: 10s\n", "    idle: 1m\n    choose: least-load\n"],
		["    idle: 1m\n    backends", "    idle: 1m\n    choose: least-load\n    backends"],
	);
	useCluster({ config, engine }, (running) => {
		({ lab, cluster } = running);
	});

	const loads = async () => {
		const { loads } = await cluster.status("gateway");
		return Object.fromEntries(loads.map((one) => [one.server, one])) as Record<string, LoadStatus>;
	};
	const sum = async (of: (one: LoadStatus) => number) =>
		Object.values(await loads()).reduce((all, one) => all + of(one), 0);
	/** So many UDP sessions, which are asked every second so that they stay; ends with its standard input. */
	const udp = async (firstPort: number, flows: number): Promise<LabProcess> => {
		const program = `
			const dgram = require("node:dgram");
			const question = Buffer.from("000001000001000000000000" + "0677686f616d69036c616200" + "00100001", "hex");
			let answered = 0;
			const sockets = Array.from({ length: ${flows} }, (_, i) => {
				const socket = dgram.createSocket("udp4").bind(${firstPort} + i, "${nine}");
				socket.once("message", () => ++answered === ${flows} && console.log("all answered"));
				return socket;
			});
			// One after the other, so that the choice has something to go by.
			sockets.forEach((socket, i) => setTimeout(() => socket.send(question, 53, "${DNS}"), 20 * i));
			process.stdin.on("end", () => process.exit()).resume();`;
		const one = lab.start("client", [process.execPath, "-e", program]);
		await one.saysOnStdout(/all answered/, 20_000);
		return one;
	};
	/** So many TCP connections that stay open. */
	const tcp = async (connections: number): Promise<LabProcess> => {
		const program = `
			const net = require("node:net");
			let open = 0;
			for (let i = 0; i < ${connections}; i++)
				setTimeout(() => {
					const socket = net.connect({ host: "${WEB}", port: 80, localAddress: "${nine}" });
					socket.once("connect", () => ++open === ${connections} && console.log("all open"));
					socket.on("error", (error) => console.log(error.message));
				}, 20 * i);
			process.stdin.on("end", () => process.exit()).resume();`;
		const one = lab.start("client", [process.execPath, "-e", program]);
		await one.saysOnStdout(/all open/, 20_000);
		return one;
	};

	test("R10 R13: every backend counts UDP sessions and the kernel's TCP sessions, and the gateway's database has them", async () => {
		await until("all backends to be heard", async () =>
			Object.values(await loads()).every((one) => one.known === "fresh"),
		);
		const questions = await udp(10_000, 30);
		const connections = await tcp(24);
		await until("all UDP sessions", async () => (await sum((one) => one.udpSessions)) === 30);
		await until("all TCP sessions", async () => (await sum((one) => one.tcpSessions)) === 24);
		for (const host of BACKENDS) {
			const own = (await cluster.status(host)).load!;
			const told = (await loads())[host]!;
			expect({ udp: told.udpSessions, tcp: told.tcpSessions }).toEqual({ udp: own.udpSessions, tcp: own.tcpSessions });
			const ss = await lab.text(host, ["ss", "-Htn", "state", "established", "sport", "=", ":80"]);
			expect(own.tcpSessions, "as ss has it").toBe(ss.split("\n").filter(Boolean).length);
			await until("the load to be told", async () => {
				const { load, udpSessions, tcpSessions } = (await loads())[host]!;
				return Math.abs(load! - (udpSessions + tcpSessions) / 100) < 0.02;
			});
		}
		await connections.stop();
		await until("TCP sessions to have gone", async () => (await sum((one) => one.tcpSessions)) === 0);
		await questions.stop();
	});

	test("R11 R18: UDP and TCP sessions together are balanced over three backends", async () => {
		const questions = await udp(11_000, 90);
		const connections = await tcp(60);
		await until("all sessions", async () => (await sum((one) => one.udpSessions + one.tcpSessions)) >= 150);
		const carried = Object.values(await loads()).map((one) => one.udpSessions + one.tcpSessions);
		const mean = carried.reduce((all, one) => all + one, 0) / carried.length;
		expect(Math.max(...carried) / mean, carried.join(" ")).toBeLessThan(1.15);
		await connections.stop();
		await questions.stop();
	});

	test("R10: where the service says so, all flows of one source are one session", async () => {
		await cluster.change(
			/ {4}choose: least-load\n( {4}backends: \[b1, b2, b3\] #)/,
			"    choose: source-hash\n    count: source\n$1",
			["gateway", ...BACKENDS],
		);
		await until("the sessions before to be one", async () => (await sum((one) => one.udpSessions)) <= 3);
		const questions = await udp(13_000, 20);
		const records = async () => {
			const counts = await Promise.all(BACKENDS.map((host) => cluster.api(host).countSessions({ service: "dns" })));
			return counts.reduce((all, one) => all + one.total, 0);
		};
		await until("all records", async () => (await records()) >= 20);
		expect(await sum((one) => one.udpSessions)).toBeLessThanOrEqual(3);
		expect(await sum((one) => one.udpSessions)).toBeGreaterThanOrEqual(1);
		await questions.stop();
		await cluster.change("    choose: source-hash\n    count: source\n", "    choose: least-load\n", [
			"gateway",
			...BACKENDS,
		]);
	});

	test("R13: a server that reports no more is unknown, never idle, and gets no more than its part", async () => {
		await until("it to be heard", async () => (await loads()).b1!.known === "fresh");
		await cluster.daemons.get("b1")!.child.kill("SIGSTOP");
		try {
			await until("its load to be unknown", async () => (await loads()).b1!.known === "unknown");
			const { b1, b2, b3 } = (await loads()) as Record<"b1" | "b2" | "b3", LoadStatus>;
			expect(b1.load).toBeCloseTo((b2.load! + b3.load!) / 2, 2);
			const sessions = async () => {
				const { services } = await cluster.status("gateway");
				const targets = services.filter(({ address }) => address === DNS).flatMap((one) => one.targets);
				const of = (backend: string) =>
					targets.filter((one) => one.backend === backend).reduce((all, one) => all + one.sessions, 0);
				return { b1: of("b1"), all: of("b1") + of("b2") + of("b3") };
			};
			const then = await sessions();
			// In user space its engine stands still as well: no client waits for answers here.
			const program = `
				const sockets = Array.from({ length: 60 }, (_, i) => require("node:dgram").createSocket("udp4").bind(12000 + i, "${nine}"));
				sockets.forEach((socket, i) => setTimeout(() => socket.send("?", 53, "${DNS}", () => socket.close()), 20 * i));`;
			await lab.run("client", [process.execPath, "-e", program]);
			await until("all to be counted", async () => (await sessions()).all >= then.all + 60);
			expect((await sessions()).b1 - then.b1, "its part would be twenty").toBeLessThanOrEqual(26);
		} finally {
			await cluster.daemons.get("b1")!.child.kill("SIGCONT");
		}
		await until("it to be heard again", async () => (await loads()).b1!.known === "fresh");
	});
});
