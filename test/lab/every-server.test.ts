// every-server.test.ts - R9: every server of the cluster keeps the table: a backend, too, of clients that come by the gateway, of
// those that come straight, and of what it sends.

import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { CLI, type Cluster, ENGINES, labConfig, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab, type LabProcess, until } from "./lab.js";

const [seven] = addresses.client.ipv4;
const [seven6] = addresses.client.ipv6;
const VIP = "203.0.113.53";
const VIP6 = "2001:db8:53::53";
const PUSH = "203.0.113.99";
/** A service whose server keeps sending; egress packets refresh a session for as long as ingress ones do. */
const CONFIG = labConfig([
	"\nservices:\n",
	`\nservices:\n  push: { address: ${PUSH}, port: 9999, protocol: udp, idle: 1s, idleSent: 1s, backends: [b1] }\n`,
]);

/** Answers every datagram, then goes on every 200 ms, from the address that it came to. */
const SERVER = (address: string) => `
	const socket = require("node:dgram").createSocket("udp4");
	socket.on("message", (_, { port, address }) => setInterval(() => socket.send("news", port, address), 200));
	socket.bind(9999, "${address}", () => console.log("ready"));`;
/** Sends one datagram, and listens. */
const LISTENER = (from: number, to: string) => `
	const socket = require("node:dgram").createSocket("udp4");
	let heard = 0;
	socket.on("message", () => console.log("heard", ++heard));
	socket.bind(${from}, "${seven}", () => socket.send("what is new?", 9999, "${to}"));`;

describe.skipIf(!isRoot).each(ENGINES)("every server keeps the table, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;
	const programs: LabProcess[] = [];

	useCluster({ engine, config: CONFIG, members: ["b1", "b2", "gateway"] }, (running) => {
		({ lab, cluster } = running);
	});
	afterAll(() => Promise.all(programs.map((one) => one.stop())));

	const node = (host: "b1" | "client", program: string) => {
		const started = lab.start(host, [process.execPath, "-e", program]);
		programs.push(started);
		return started;
	};
	const portsOn = async (host: "gateway" | "b1", service: string) =>
		(await cluster.api(host).sessions({ service })).sessions.map((one) => one.sourcePort).sort();

	test("R9: a client that comes by the gateway and one that comes straight to the backend are both in its table", async () => {
		const before = (await cluster.reasons("b1")).direct ?? 0;
		expect(await whoAnswers(lab, `${seven}#4001`, VIP)).toBe("b1");
		expect(await whoAnswers(lab, `${seven}#4002`, addresses.b1.ipv4)).toBe("b1");
		expect(await whoAnswers(lab, `${seven6}#4003`, VIP6)).toBe("b1");
		expect(await whoAnswers(lab, `${seven6}#4004`, addresses.b1.ipv6)).toBe("b1");
		expect(await whoAnswers(lab, `${seven}#4005`, addresses.b1.ipv4, ["+tcp"])).toBe("b1");
		// The host's own stack answers a direct packet; the capture in user space may read its copy a moment later.
		await until("the last direct packet's session", async () => (await portsOn("b1", "dns")).length === 5);
		expect(await portsOn("b1", "dns")).toEqual([4001, 4002, 4003, 4004, 4005]);
		expect(await portsOn("gateway", "dns")).toEqual([4001, 4003]);
		const text = await lab.text("b1", [process.execPath, CLI, "sessions", "--socket", cluster.socket("b1")]);
		for (const port of [4001, 4002]) expect(text).toContain(`${seven}:${port}`);
		expect((await cluster.reasons("b1")).direct ?? 0).toBeGreaterThanOrEqual(before + 2);
		// An answer is none of the packets that came, and one question makes one session, seen once.
		const sessions = (await cluster.api("b1").sessions({ source: seven })).sessions;
		expect(sessions.find((one) => one.sourcePort === 4002)).toMatchObject({ backend: null, proven: false });
		await until("b1 to have accounted for every packet", async () => (await cluster.status("b1")).conserved);
	});

	test("R9: what a server sends keeps its session alive alone; from a reload with idleSent 0 on, it does not", async () => {
		for (const address of [PUSH, addresses.b1.ipv4]) await node("b1", SERVER(address)).saysOnStdout(/ready/);
		const clients = [node("client", LISTENER(4100, PUSH)), node("client", LISTENER(4101, addresses.b1.ipv4))];
		// Three seconds: on the gateway, which does not see the answers, the session goes.
		for (const client of clients) await client.saysOnStdout(/heard 15/);
		await until("the gateway's record to expire", async () => (await portsOn("gateway", "push")).length === 0);
		expect(await portsOn("b1", "push")).toEqual([4100, 4101]);
		for (const one of (await cluster.api("b1").sessions({ service: "push" })).sessions) {
			expect(one.idleMs).toBeLessThan(600);
			expect(one.proven).toBe(false);
		}

		await cluster.change("idleSent: 1s", "idleSent: 0ms", ["b1"]);
		await until("b1 to let them go", async () => (await portsOn("b1", "push")).length === 0);
		const heard = clients[0]?.stdout.length ?? 0;
		await until("the server to talk on", () => (clients[0]?.stdout.length ?? 0) > heard + 20);
		expect(await portsOn("b1", "push")).toEqual([]);
	});
});

describe.skipIf(!isRoot)("egress observation at a backend (tc), engine native", () => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine: "native", members: ["b1", "gateway"] }, (running) => {
		({ lab, cluster } = running);
	});

	const filters = async (host: "b1" | "gateway") =>
		(await lab.text(host, ["tc", "filter", "show", "dev", "eth0", "egress"])).match(/shunt_sent.* id \d+/g) ?? [];
	const qdisc = async () => (await lab.text("b1", ["tc", "qdisc", "show", "dev", "eth0"])).includes("clsact");

	test("it outlives a killed daemon, is taken over by the next, and goes with a clean end; a gateway has none", async () => {
		const before = await filters("b1");
		expect(before).toHaveLength(1);
		expect(await filters("gateway")).toEqual([]);
		await cluster.daemons.get("b1")?.stop("SIGKILL");
		expect(await filters("b1")).toEqual(before);
		await cluster.startOne("b1");
		const after = await filters("b1");
		expect(after).toHaveLength(1);
		expect(after).not.toEqual(before);
		await cluster.daemons.get("b1")?.stop();
		expect(await filters("b1")).toEqual([]);
		expect(await qdisc()).toBe(false);
	});

	test("another program's qdisc and filter stay", async () => {
		await lab.run("b1", ["tc", "qdisc", "add", "dev", "eth0", "clsact"]);
		await cluster.startOne("b1");
		expect(await filters("b1")).toHaveLength(1);
		await cluster.daemons.get("b1")?.stop();
		expect(await filters("b1")).toEqual([]);
		expect(await qdisc()).toBe(true);
		await lab.run("b1", ["tc", "qdisc", "del", "dev", "eth0", "clsact"]);

		// And one that joins a qdisc of ours keeps it.
		await cluster.startOne("b1");
		// biome-ignore format: one option per line would hide the command
		await lab.run("b1", [
			"tc", "filter", "add", "dev", "eth0", "ingress", "prio", "9", "bpf", "bytecode", "1,6 0 0 4294967295,",
		]);
		const theirs = () => lab.text("b1", ["tc", "filter", "show", "dev", "eth0", "ingress"]);
		const there = await theirs();
		expect(there).toContain("bytecode");
		await cluster.daemons.get("b1")?.stop();
		expect(await filters("b1")).toEqual([]);
		expect(await theirs()).toBe(there);
		await lab.run("b1", ["tc", "qdisc", "del", "dev", "eth0", "clsact"]);
	});

	test("where the next daemon has the other engine, nothing of it is left", async () => {
		const text = readFileSync(cluster.config, "utf8");
		const killed = await cluster.startOne("b1");
		await killed.stop("SIGKILL");
		expect(await filters("b1")).toHaveLength(1);
		cluster.write(text.replace("mode: native", "mode: user"));
		await cluster.startOne("b1");
		expect(await filters("b1")).toEqual([]);
		expect(await qdisc()).toBe(false);
		cluster.write(text);
	});
});
