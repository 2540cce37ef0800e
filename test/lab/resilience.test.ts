// resilience.test.ts - packets that are too big, cut into fragments, forged, or on their way while tables change; and the
// independent witnesses of R27: `cap` sees what tcpdump sees, `raw-socket` crafts what no code of ours has touched.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeFrame } from "../../src/wire/index.js";
import { Cluster, decode, ENGINES, LAB_KEYS, whoAnswers } from "./cluster.js";
import { addresses, isRoot, Lab, until } from "./lab.js";

const [seven, , , ten] = addresses.client.ipv4;
const VIP = "203.0.113.53";
const witness = (name: string) => join(import.meta.dirname, name);

describe.skipIf(!isRoot).each(ENGINES)("packets in trouble, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	beforeAll(async () => {
		lab = await Lab.up({ services: true });
		cluster = await Cluster.start(lab, { engine });
	});
	afterAll(async () => {
		await cluster?.stop();
		await lab?.down();
	});

	if (engine === "user") {
		test("R27: cap sees on the gateway's link what tcpdump sees, and raw-socket's packets are rerouted like any other", async () => {
			const tcpdump = await lab.capture("gateway", "eth0", "udp dst port 6081");
			const cap = lab.start("gateway", [process.execPath, witness("witness-cap.mjs"), "eth0", "udp dst port 6081"]);
			await cap.saysOnStderr(/listening/);
			// biome-ignore format: one argument per line would hide the command
			await lab.run("client", [process.execPath, witness("witness-raw.mjs"), VIP, "53", "4444", "5", "00".repeat(20)]);
			// The client has no socket at that port, so its kernel answers the answers by ICMP errors: those are rerouted too.
			const datagrams = () =>
				tcpdump.packets().filter((packet) => decode(packet).ip?.udp?.geneve?.inner?.udp !== undefined);
			await until("tcpdump to see all five", () => datagrams().length === 5);
			const seen = await tcpdump.stop();
			const lines = await until("cap to see as much", () => {
				const all = cap.stdout.trim().split("\n");
				return all.length >= seen.length && all;
			});
			expect(lines.slice(0, seen.length)).toEqual(seen.map((packet) => packet.bytes.toString("hex")));
			for (const packet of datagrams()) {
				const geneve = decode(packet).ip?.udp?.geneve;
				expect(geneve?.tagRight).toBe(true);
				expect(geneve?.inner?.udp).toMatchObject({ sourcePort: 4444, destinationPort: 53, checksum: 0 });
			}
		});
	}

	test("R9 R28: no packet is lost or dropped while the configuration is reloaded again and again under load", async () => {
		const COUNT = 20_000;
		const arrived = await cluster.delivered("b1", "udp dst port 53 and src port 4445", { snaplen: 60 });
		// biome-ignore format: one argument per line would hide the command
		const sender = lab.start("client", [
			process.execPath, witness("witness-raw.mjs"), VIP, "53", "4445", String(COUNT), "00".repeat(20), "5000",
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

	test("a forged packet on the tunnel's port is dropped under its reason, and never reaches the service", async () => {
		const capture = await cluster.link("b1", "udp port 6081");
		await whoAnswers(lab, seven, VIP);
		const [real] = await capture.atLeast(1);
		await capture.stop();
		// The router's neighbour b1 gets the real packet again with one bit of its tag turned: from the client, straight to b1.
		const forged = Buffer.from(real?.bytes ?? []);
		const tunnel = forged.subarray(14 + 20 + 8);
		const tagged = decodeFrame(forged, { keys: LAB_KEYS });
		expect(tagged.ip?.udp?.geneve?.tagRight).toBe(true);
		tunnel[8 + 4 + 31] = (tunnel[8 + 4 + 31] ?? 0) ^ 1;
		const delivered = await cluster.delivered("b1", `dst host ${VIP}`);
		const payload = tunnel.toString("hex");
		const send = `
			const socket = require("node:dgram").createSocket("udp4");
			socket.send(Buffer.from("${payload}", "hex"), 6081, "${addresses.b1.ipv4}", () => socket.close());`;
		const before = (await cluster.reasons("b1")).header_tag ?? 0;
		await lab.run("client", [process.execPath, "-e", send]);
		await until("b1 to count it", async () => ((await cluster.reasons("b1")).header_tag ?? 0) === before + 1);
		const junk = `
			const socket = require("node:dgram").createSocket("udp4");
			socket.send(Buffer.alloc(64, 0x41), 6081, "${addresses.b1.ipv4}", () => socket.close());`;
		await lab.run("client", [process.execPath, "-e", junk]);
		await until("b1 to count the junk", async () => (await cluster.reasons("b1")).tunnel_bad);
		expect(await delivered.stop()).toHaveLength(0);
	});

	if (engine === "user") {
		test("R27: the same over libpcap's capture", async () => {
			await cluster.stop();
			const pcap = await Cluster.start(lab, {
				config: (await import("node:fs"))
					.readFileSync(cluster.config, "utf8")
					.replace("engine: { mode: user }", "engine: { mode: user, capture: pcap }"),
			});
			expect((await pcap.status("gateway")).engine.capture).toBe("pcap");
			expect(await whoAnswers(lab, seven, VIP)).toBe("b1");
			expect(await whoAnswers(lab, ten, VIP, ["+tcp"])).toMatch(/^b[123]$/);
			await pcap.stop();
		});
	}
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
});
