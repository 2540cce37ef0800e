// user-space.test.ts - what the user-space engine alone has: captures by AF_PACKET and libpcap, beside others on the same link; and
// the independent witnesses of R27: `cap` sees what tcpdump sees, `raw-socket` crafts what no code of ours has touched.

import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Cluster, decode, labConfig, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab, until } from "./lab.js";

const [seven, , , ten] = addresses.client.ipv4;
const VIP = "203.0.113.53";
const witness = (name: string) => join(import.meta.dirname, name);

describe.skipIf(!isRoot)("captures in user space, engine user", () => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine: "user" }, (running) => {
		({ lab, cluster } = running);
	});
	// The last test's own cluster.
	afterAll(() => cluster?.stop());

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

	test("R27: the same with two workers on each interface", async () => {
		await cluster.stop();
		cluster = await Cluster.start(lab, {
			config: labConfig(["\nservices:\n", "\nengine: { mode: user, workers: 2 }\nservices:\n"]),
		});
		expect((await cluster.status("gateway")).engine.capture).toBe("pcap");
		expect(await whoAnswers(lab, seven, VIP)).toBe("b1");
		expect(await whoAnswers(lab, ten, VIP, ["+tcp"])).toMatch(/^b[123]$/);
	});
});
