// capability.test.ts - clients that carry their capability in packets of the service: which server redirects them, as seen
// on the wire.

import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
	capability,
	encodeHeader,
	encodeSurplus,
	FLAG,
	formatAddress,
	type Header,
	headerTag,
	parseAddress,
} from "../../src/wire/index.js";
import { ethernet, ipv4, ipv6, udp } from "../wire/pcap.js";
import { type Cluster, DNS_DEFAULT, decode, ENGINES, LAB_KEYS, labConfig, useCluster } from "./cluster.js";
import { addresses, type Capture, isRoot, type Lab } from "./lab.js";

const TERMS = "redirect: { clients: true, term: leased, lease: 60s }";
const CONFIG = labConfig([DNS_DEFAULT, `    ${TERMS}\n$&`]);
const FAMILIES = {
	IPv4: { client: addresses.client.ipv4[2], vip: "203.0.113.53", type: 0x0800 },
	IPv6: { client: addresses.client.ipv6[2], vip: "2001:db8:53::53", type: 0x86dd },
} as const;
const bytes = (text: string) => parseAddress(text) as Uint8Array;
const hex = (text: string) => Buffer.from(bytes(text)).toString("hex");
const QUESTION = Buffer.concat([
	Buffer.from("123401000001000000000000", "hex"),
	Buffer.from("\x06whoami\x03lab\x00\x00\x10\x00\x01", "latin1"),
]);
const NONCE = 0x1122334455667788n;

describe.skipIf(!isRoot).each(ENGINES)("capabilities within packets, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;
	let router: string;

	useCluster({ engine, config: CONFIG }, (running) => {
		({ lab, cluster } = running);
	});
	beforeAll(async () => {
		router = (await lab.text("router", ["cat", "/sys/class/net/client/address"])).trim().replaceAll(":", "");
	});

	/** A DNS question as an agent would send it: with its capability behind the datagram, and room for an answer. */
	const ask = async (family: keyof typeof FAMILIES, port: number, surplus?: Uint8Array) => {
		const { client, vip, type } = FAMILIES[family];
		const datagram = udp(port, 53, QUESTION, Buffer.from(surplus ?? []));
		let packet: Buffer;
		if (family === "IPv4") packet = ipv4(client, vip, 17, datagram);
		else packet = ipv6(hex(client), hex(vip), 17, datagram);
		checked(packet);
		const frame = ethernet(type, packet);
		frame.write(router, 0, "hex");
		const options = JSON.stringify({ interface: "eth0", frames: [frame.toString("hex")], count: 1, pps: 100 });
		await lab.text("client", [process.execPath, join(import.meta.dirname, "attacker.mjs"), options]);
	};
	const capable = encodeSurplus(encodeHeader(capability(NONCE)), QUESTION.length % 2 === 1, 150);

	/** Of what has come back so far: redirections, as an option or in a control datagram, and answers of the service. */
	const seen = (capture: Capture, family: keyof typeof FAMILIES) => {
		const datagrams = capture.packets().flatMap((packet) => decode(packet).ip?.udp ?? []);
		const headers = datagrams.flatMap(({ option, control }) => {
			const result = option ?? control?.header;
			return result?.ok ? [result.header] : [];
		});
		const { client, vip } = FAMILIES[family];
		const flow = {
			family: family === "IPv4" ? 4 : 6,
			source: bytes(client),
			destination: bytes(vip),
			sourcePort: 0,
			destinationPort: 53,
			protocol: 17,
		} as const;
		for (const header of headers)
			expect(headerTag(header, flow, LAB_KEYS.get(header.keyId) as Buffer) === header.tag, "its tag is right").toBe(
				true,
			);
		return { headers, datagrams };
	};
	const expectRedirect = (header: Header | undefined) => {
		expect(header).toMatchObject({ type: "redirect", nonce: NONCE, port: 53, lease: 60 });
		expect((header as Header).flags & (FLAG.redirect | FLAG.leased)).toBe(FLAG.redirect | FLAG.leased);
		const own = (["b1", "b2", "b3"] as const).flatMap(
			(host) => [addresses[host].ipv4, addresses[host].ipv6] as string[],
		);
		expect(own).toContain(formatAddress((header as Header).address));
	};

	test.each(["IPv4", "IPv6"] as const)(
		"R4 R16 R24: over %s the backend tells it, in the reply that it sends anyway or beside it; the application's data and the checksum are as ever",
		async (family) => {
			const { client, vip } = FAMILIES[family];
			const capture = await lab.capture(
				"router",
				"client",
				`udp and src host ${vip} and dst host ${client} and dst port 4321`,
			);
			await ask(family, 4321, capable);
			await capture.atLeast(engine === "user" ? 2 : 1);
			await ask(family, 4321); // and without the option nothing is told
			await capture.atLeast(engine === "user" ? 3 : 2);
			const { headers, datagrams } = seen(capture, family);
			expect(headers).toHaveLength(1);
			expectRedirect(headers[0]);
			expect(datagrams.filter(({ control }) => control === undefined)).toHaveLength(2);
			await capture.stop();
			const printed = await capture.print("-vv");
			expect(printed).not.toMatch(/bad udp cksum/);
			expect(printed.match(/udp sum ok/g)?.length).toBe(engine === "user" ? 3 : 2);
			expect(printed.match(/TXT "b[123]"/g)?.length).toBe(2);
		},
	);

	test("R14: indicate: the gateway answers with the redirection alone; return: and with the packet, less its option", async () => {
		const { client, vip } = FAMILIES.IPv4;
		for (const [answer, port] of [
			["indicate", 4401],
			["return", 4402],
		] as const) {
			await cluster.change(
				/(redirect: \{ clients: true, term: leased, lease: 60s)(, answer: \w+)? \}(\n {4}backends)/,
				`$1, answer: ${answer} }$3`,
			);
			const capture = await lab.capture(
				"router",
				"client",
				`udp and src host ${vip} and dst host ${client} and dst port ${port}`,
			);
			const before = await cluster.reasons("gateway");
			await ask("IPv4", port, capable);
			await capture.atLeast(1);
			const { headers, datagrams } = seen(capture, "IPv4");
			expectRedirect(headers[0]);
			const inner = datagrams[0]?.control?.packet;
			expect(inner === undefined).toBe(answer === "indicate");
			if (answer === "return")
				expect(inner).toMatchObject({ source: client, destination: vip, length: 28 + QUESTION.length });
			const reasons = await cluster.reasons("gateway");
			const name = answer === "indicate" ? "indicated" : "returned";
			expect((reasons[name] ?? 0) - (before[name] ?? 0)).toBe(1);
			await capture.stop();
		}
	});

	/** With its UDP checksum, which over IPv6 is not optional (RFC 8200 8.1) and which a returned packet needs. */
	function checked(packet: Buffer): Buffer {
		const [at, addressesAt] = (packet[0] as number) >> 4 === 6 ? [40, 8] : [20, 12];
		const end = at + packet.readUInt16BE(at + 4);
		let sum = 17 + end - at;
		for (let i = addressesAt; i < end; i += 2)
			sum += ((packet[i] as number) << 8) | (i + 1 < end ? (packet[i + 1] as number) : 0);
		while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
		packet.writeUInt16BE(~sum & 0xffff || 0xffff, at + 6);
		return packet;
	}
});
