// resilience.test.ts - packets that are too big, cut into fragments, forged, or on their way while tables change.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cluster, ENGINES, forge, useCluster } from "./cluster.js";
import { addresses, isRoot, Lab } from "./lab.js";

const [seven] = addresses.client.ipv4;
const VIP = "203.0.113.53";

describe.skipIf(!isRoot).each(ENGINES)("packets in trouble, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine }, (running) => {
		({ lab, cluster } = running);
	});

	test("R9 R28: no packet is lost or dropped while the configuration is reloaded again and again under load", async () => {
		const COUNT = 20_000;
		const arrived = await cluster.delivered("b1", "udp dst port 53 and src port 4445", { snaplen: 60 });
		// biome-ignore format: one argument per line would hide the command
		const sender = lab.start("client", [
			process.execPath, join(import.meta.dirname, "witness-raw.mjs"), VIP, "53", "4445", String(COUNT), "00".repeat(20), "5000",
		]);
		let reloads = 0;
		while (sender.running) {
			await cluster.change(/idle: \d+s/, `idle: ${10 + (reloads % 7)}s`.replace("10s", reloads % 2 ? "10s" : "18s"));
			reloads++;
		}
		expect(await sender.ended).toBe(0);
		expect(reloads).toBeGreaterThan(5);
		// raw-socket cannot choose its source address: the client's first one, which a rule sends to b1.
		const packets = await arrived.atLeast(COUNT, 15_000);
		await arrived.stop();
		// Raw IP on the tun device, Ethernet on a link.
		const payload = 28 + (engine === "user" ? 0 : 14);
		const numbers = new Set(packets.map((packet) => packet.bytes.readUInt32BE(payload)));
		expect(numbers.size).toBe(COUNT);
		const status = await cluster.status("gateway");
		expect(status.conserved).toBe(true);
		expect(status.reasons.filter(({ verdict }) => verdict === "drop")).toEqual([]);
		expect(status.workers[0]?.captureDrops).toBe(0);
	});

	test("fragments of one datagram follow their first to one backend, which puts them together", async () => {
		// biome-ignore format: one argument per line would hide the command
		const result = JSON.parse(await lab.text("client", [
			"iperf3", "-c", "203.0.113.52", "-B", seven, "-u", "-l", "4000", "-b", "4M", "-t", "1", "-J",
		], { timeoutMs: 20_000 }));
		expect(result.end.sum.packets).toBeGreaterThan(50);
		expect(result.end.sum.lost_packets).toBe(0);
		expect((await cluster.reasons("gateway")).forwarded_fragment).toBeGreaterThan(100);
	});

	test("R1: a genuine tunnel packet that a client sends, and forged ones, are dropped under their reasons and never reach the service", async () => {
		expect(await forge(cluster, seven, VIP)).toEqual([]);
	});
});

describe.skipIf(!isRoot).each(ENGINES)("links that are no larger than the clients', engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	beforeAll(async () => {
		lab = await Lab.up({ services: true, serverMtu: 1500 });
		cluster = await Cluster.start(lab, { engine });
	});
	afterAll(async () => {
		await cluster?.stop();
		await lab?.down();
	});

	for (const { family, client, service } of [
		{ family: "IPv4", client: seven, service: "203.0.113.80" },
		{ family: "IPv6", client: addresses.client.ipv6[0], service: "[2001:db8:53::80]" },
	]) {
		test(`${family}: a client whose packets don't fit is told by packet-too-big, and its upload arrives`, async () => {
			const told = await lab.capture(
				"client",
				"eth0",
				family === "IPv4" ? "icmp[0] = 3 and icmp[1] = 4" : "icmp6 and ip6[40] = 2",
			);
			// biome-ignore format: one argument per line would hide the command
			const answer = await lab.text("client", [
				"curl", "-s", "-i", "--max-time", "10", "--interface", client, "-X", "POST", "-H", "Expect:",
				"--data-binary", "@/usr/bin/curl", `http://${service}/`,
			], { timeoutMs: 15_000 });
			expect(answer).toMatch(/^HTTP\/1\.1 /);
			expect(answer).toMatch(/Served-By: b\d/);
			const packets = await told.atLeast(1);
			await told.stop();
			const expected = family === "IPv4" ? 1500 - 72 : 1500 - 104;
			const at = 14 + (family === "IPv4" ? 20 + 6 : 40 + 6);
			expect(packets[0]?.bytes.readUInt16BE(at)).toBe(expected);
			expect(await told.print("-vv")).not.toMatch(/wrong icmp6? cksum/);
			expect((await cluster.reasons("gateway")).too_big).toBeGreaterThan(0);
		});
	}

	test("R32: datagrams without DF that no longer fit are forwarded in fragments, and every one arrives", async () => {
		const before = await lab.text("client", ["sysctl", "-n", "net.ipv4.ip_no_pmtu_disc"]);
		await lab.run("client", ["sysctl", "-w", "net.ipv4.ip_no_pmtu_disc=1"]); // sockets leave DF clear
		try {
			// biome-ignore format: one option per line would hide the command
			const report = JSON.parse(await lab.text("client", [
				"iperf3", "-c", "203.0.113.52", "-B", seven, "-u", "-l", "1450", "-b", "1M", "-t", "1", "-J",
			], { timeoutMs: 20_000 }));
			expect(report.end.sum.packets).toBeGreaterThan(50);
			expect(report.end.sum.lost_packets).toBe(0);
		} finally {
			await lab.run("client", ["sysctl", "-w", `net.ipv4.ip_no_pmtu_disc=${before.trim()}`]);
		}
		const reasons = await cluster.reasons("gateway");
		expect(reasons.fragmented, JSON.stringify(reasons)).toBeGreaterThan(50);
	});
});
