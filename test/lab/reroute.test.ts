// reroute.test.ts - R1 to R4 over real packets: what a gateway makes of them, as tcpdump sees it on the wire.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatAddress } from "../../src/wire/index.js";
import { Cluster, decode, ENGINES, useCluster, whoAnswers } from "./cluster.js";
import { addresses, type Capture, isRoot, Lab, until } from "./lab.js";

/** The packet from its IP header on, padding of short frames left out. */
function ipBytes(frame: Buffer, length: number): Buffer {
	return frame.subarray(14, 14 + length);
}

describe.skipIf(!isRoot).each(ENGINES)("rerouting, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine }, (running) => {
		({ lab, cluster } = running);
	});

	const cases = [
		{ family: "IPv4", service: "203.0.113.53", client: addresses.client.ipv4[0], backend: addresses.b1.ipv4 },
		{ family: "IPv6", service: "2001:db8:53::53", client: addresses.client.ipv6[0], backend: addresses.b1.ipv6 },
	] as const;
	const transports = [
		{ protocol: "UDP", options: [] },
		{ protocol: "TCP", options: ["+tcp"] },
	] as const;

	for (const { family, service, client, backend } of cases) {
		for (const { protocol, options } of transports) {
			test(`R1: ${protocol} over ${family}: the packet leaves unchanged, with the header, for the service address`, async () => {
				const before = await lab.capture("client", "eth0", `dst host ${service} and port 53`);
				const after = await cluster.link("gateway", "udp port 6081");
				expect(await whoAnswers(lab, client, service, options)).toBe("b1");
				const quiet = await settled(before, after);
				const [sent, forwarded] = [await before.stop(), await after.stop()];
				expect(sent.length).toBe(quiet);
				expect(sent.length).toBeGreaterThan(0);
				expect(forwarded).toHaveLength(sent.length);
				for (const [i, packet] of forwarded.entries()) {
					const outer = decode(packet).ip;
					const geneve = outer?.udp?.geneve;
					expect(outer?.destination).toBe(backend);
					expect(outer?.udp?.destinationPort).toBe(6081);
					expect(geneve?.header?.ok && formatAddress(geneve.header.header.address)).toBe(backend);
					expect(geneve?.header?.ok && geneve.header.header.type).toBe("forward");
					expect(geneve?.tagRight).toBe(true);
					// Byte for byte what the client sent, but for the hop limit: there is a router between.
					const length = geneve?.inner?.length ?? 0;
					const inner = Buffer.from(packet.bytes.subarray(packet.bytes.length - length));
					const original = Buffer.from(ipBytes((sent[i] as { bytes: Buffer }).bytes, length));
					for (const one of [inner, original]) blankHops(one);
					expect(inner.equals(original)).toBe(true);
				}
				const printed = await after.print();
				expect(printed).toMatch(/Geneve, Flags \[C\], vni 0x0, options \[36 bytes\]|options \[48 bytes\]/);
				expect(printed).toContain(`${client}.`);
			});
		}
	}

	test("R2: a rule names the source, down to one address; other sources are spread", async () => {
		const [seven, eight, nine] = addresses.client.ipv4;
		expect(await whoAnswers(lab, seven, "203.0.113.53")).toBe("b1");
		expect(await whoAnswers(lab, eight, "203.0.113.53")).toBe("b2");
		const answers = new Set<string>();
		for (let i = 0; i < 24; i++) answers.add(await whoAnswers(lab, nine, "203.0.113.53"));
		expect([...answers].sort()).toEqual(["b1", "b2", "b3"]);
	});

	test("R2 R15 R17: the database in the gateway: the longest prefix wins, and a rule that comes by a reload holds from the next new flow on", async () => {
		await cluster.change(
			"      - from: [198.51.100.8,",
			"      - { from: 198.51.100.8/30, backends: [b3] }\n      - from: [198.51.100.8,",
		);
		const [, eight, nine] = addresses.client.ipv4;
		expect(await whoAnswers(lab, eight, "203.0.113.53")).toBe("b2");
		expect(await whoAnswers(lab, nine, "203.0.113.53")).toBe("b3");
		await cluster.change("      - { from: 198.51.100.8/30, backends: [b3] }\n", "");
	});

	test("R3: the port differs at the backend, and the client sees the service's own", async () => {
		for (const [client, service] of [
			[addresses.client.ipv4[1], "203.0.113.53"],
			[addresses.client.ipv6[1], "2001:db8:53::53"],
		] as const) {
			for (const options of [[], ["+tcp"]]) {
				const inner = await cluster.delivered("b2", "dst port 5353");
				const direct = await lab.capture("client", "eth0", `src host ${service} and src port 53`);
				const tunnel = await cluster.link("b2", "udp port 6081");
				expect(await whoAnswers(lab, client, service, options)).toBe("b2");
				const [delivered] = await inner.atLeast(1);
				await direct.atLeast(1);
				const [header] = (await tunnel.atLeast(1)).map((packet) => decode(packet).ip?.udp?.geneve?.header);
				expect(header?.ok && header.header.port).toBe(5353);
				expect(delivered).toBeDefined();
				// No checksum is wrong on the way in: the kernel would have dropped it, and tcpdump says so.
				expect(await inner.print("-vv")).not.toMatch(/incorrect|bad (udp|tcp) cksum/i);
				await Promise.all([inner.stop(), direct.stop(), tunnel.stop()]);
				expect(await direct.print("-vv")).not.toMatch(/incorrect|bad (udp|tcp) cksum/i);
			}
		}
	});

	test("R3: nginx at another port sees the client's own address and port", async () => {
		const client = addresses.client.ipv4[1];
		const answer = await lab.text("client", ["curl", "-s", "-i", "--interface", client, "http://203.0.113.80/"]);
		expect(answer).toMatch(/^Served-By: b2\r?$/m);
		expect(answer).toMatch(/^Served-On: 203\.0\.113\.80 8080\r?$/m);
		expect(answer).toMatch(/^Seen-Client: 198\.51\.100\.8 \d+\r?$/m);
	});

	test("R4 R7: the header says whether a client of this source is expected to redirect itself, and on what terms", async () => {
		const capture = await cluster.link("gateway", "udp port 6081");
		const [seven, , nine] = addresses.client.ipv4;
		await whoAnswers(lab, seven, "203.0.113.53");
		await whoAnswers(lab, nine, "203.0.113.53");
		const headers = (await capture.atLeast(2)).map((packet) => {
			const geneve = decode(packet).ip?.udp?.geneve;
			return { source: geneve?.inner?.source, header: geneve?.header?.ok ? geneve.header.header : undefined };
		});
		await capture.stop();
		const expected = headers.find(({ source }) => source === seven)?.header;
		const plain = headers.find(({ source }) => source === nine)?.header;
		expect(expected?.flags).toBe(0x90);
		expect(expected?.lease).toBe(60);
		expect(plain?.flags).toBe(0);
	});

	test("R1: answers go straight to the client; the gateway carries none of them", async () => {
		const at = await cluster.link("gateway", "src port 53");
		const there = await lab.capture("client", "eth0", "src port 53");
		await whoAnswers(lab, addresses.client.ipv4[0], "203.0.113.53");
		await there.atLeast(1);
		await there.stop();
		expect((await at.stop()).filter((packet) => decode(packet).ip?.udp?.sourcePort === 53)).toHaveLength(0);
	});
});

describe.skipIf(!isRoot).each(ENGINES)("one family inside the other, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster | undefined;

	beforeAll(async () => {
		lab = await Lab.up({ services: true });
	});
	afterAll(async () => {
		await cluster?.stop();
		await lab?.down();
	});

	test("R1: IPv4 in IPv6, and IPv6 in IPv4", async () => {
		cluster = await Cluster.start(lab, { engine });
		await cluster.change("    idle: 10s\n", "    idle: 10s\n    via: ipv6\n");
		const through6 = await cluster.link("b1", "ip6 and udp port 6081");
		expect(await whoAnswers(lab, addresses.client.ipv4[0], "203.0.113.53")).toBe("b1");
		const [six] = (await through6.atLeast(1)).map((packet) => decode(packet).ip);
		expect([six?.version, six?.udp?.geneve?.inner?.version, six?.udp?.geneve?.tagRight]).toEqual([6, 4, true]);
		await through6.stop();

		await cluster.change("via: ipv6", "via: ipv4");
		const through4 = await cluster.link("b1", "ip and udp port 6081");
		expect(await whoAnswers(lab, addresses.client.ipv6[0], "2001:db8:53::53", ["+tcp"])).toBe("b1");
		const [four] = (await through4.atLeast(1)).map((packet) => decode(packet).ip);
		expect([four?.version, four?.udp?.geneve?.inner?.version, four?.udp?.geneve?.tagRight]).toEqual([4, 6, true]);
		await through4.stop();
	});
});

/** Both have seen as many packets, and no more for a while: a TCP connection has closed behind its program's back. */
async function settled(a: Capture, b: Capture): Promise<number> {
	let count = 0;
	let since = performance.now();
	return until("both captures to fall quiet", () => {
		const now = a.packets().length;
		if (now !== count || now === 0 || b.packets().length !== now) {
			count = now;
			since = performance.now();
		}
		return performance.now() - since > 200 && count;
	});
}

/** A router lowers the TTL and mends the IPv4 checksum. */
function blankHops(packet: Buffer): void {
	if (packet[0] !== undefined && packet[0] >> 4 === 4) {
		packet[8] = 0;
		packet.writeUInt16BE(0, 10);
	} else packet[7] = 0;
}
