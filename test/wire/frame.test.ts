// Frames as `shunt dump` decodes them: every field is shown, and no bytes make the decoder throw.

import { describe, expect, test } from "vitest";
import {
	CONTROL_SIZE,
	capability,
	decodeControl,
	decodeFrame,
	decodeSurplus,
	decodeTcpOptions,
	describeFrame,
	encodeControl,
	encodeGeneve,
	encodeHeader,
	encodeReset,
	encodeSurplus,
	encodeTcpCapability,
	type Flow,
	formatAddress,
	formatEndpoint,
	geneveRefusal,
	parseAddress,
	signHeader,
} from "../../src/wire/index.js";
import { ethernet, geneve, ipv4, ipv6, tcp, udp } from "./pcap.js";
import { address, bytesOf, vectors } from "./vectors.js";

const none = Buffer.alloc(0);
const hexOf = (name: string) => bytesOf(vectors.find((v) => v.name === name)?.hex ?? "");
const LEASE = hexOf("forward: R and L, a lease of a minute");
const V6 = hexOf("forward: IPv6 address, IPv6 flow");
const KEYS = new Map([[1, bytesOf("000102030405060708090a0b0c0d0e0f")]]);
const CLIENT6 = "20010db8000700000000000000000007";
const SERVICE6 = "20010db8005300000000000000000053";

const request = ipv4("198.51.100.7", "203.0.113.53", 17, udp(5000, 53, Buffer.alloc(40)));
const tunnel = (header: Uint8Array, inner: Uint8Array, type = 0x0800) =>
	ethernet(0x0800, ipv4("10.0.1.2", "10.0.2.11", 17, udp(34567, 6081, geneve(header, inner, type))));

describe("addresses", () => {
	test("are converted to 16 bytes and back", () => {
		for (const text of ["192.0.2.1", "0.0.0.0", "2001:db8::1", "::", "fd77:3::11"]) {
			expect(formatAddress(address(text))).toBe(text);
		}
		expect(formatAddress(Uint8Array.of(10, 0, 0, 1))).toBe("10.0.0.1");
		expect(formatEndpoint(address("2001:db8::1"), 53)).toBe("[2001:db8::1]:53");
		for (const bad of ["", "10.1", "010.0.0.1", "1.2.3.4.5", "fe80::1%eth0", "example.org", "1:2"]) {
			expect(parseAddress(bad), bad).toBeUndefined();
		}
	});
});

describe("Geneve", () => {
	test("R1: encodes the bytes of a hand-written one", () => {
		expect(Buffer.concat([encodeGeneve(LEASE, 4), request])).toEqual(geneve(LEASE, request));
		expect(geneveRefusal(encodeGeneve(V6, 6))).toBeUndefined();
	});

	test("is refused with the reason of docs/protocol.md", () => {
		const good = encodeGeneve(LEASE, 4);
		const change = (at: number, value: number) => geneveRefusal(good.map((b, i) => (i === at ? value : b)));
		expect(change(0, 0x49)).toBe("tunnel_bad"); // version 1
		expect(change(1, 0xc0)).toBe("tunnel_bad"); // control
		expect(geneveRefusal(good.subarray(0, 11))).toBe("tunnel_bad");
		expect(change(0, 0)).toBe("tunnel_no_header");
		expect(change(8, 0x01)).toBe("tunnel_no_header"); // another class
		expect(change(10, 0x01)).toBe("tunnel_no_header"); // another type
		expect(change(0, 10)).toBe("header_length"); // a second option
		expect(change(11, 7)).toBe("header_length");
		expect(geneveRefusal(good.subarray(0, 40))).toBe("header_length");
		expect(change(12, 0x22)).toBe("header_version");
	});
});

describe("other carriers", () => {
	test("R14: control datagram, with the packet, and padded", () => {
		const returned = hexOf("redirect: X, the packet follows; the tag is as without X");
		const about = { protocol: 17, port: 53, address: parseAddress("203.0.113.53") as Uint8Array };
		const control = decodeControl(encodeControl(returned, about, request));
		expect(control?.header.ok).toBe(true);
		expect(control?.about).toEqual(about);
		expect(Buffer.from(control?.packet ?? none)).toEqual(request);
		const query = encodeControl(encodeHeader(capability(7n)), about, undefined, CONTROL_SIZE);
		expect(query).toHaveLength(88);
		expect(decodeControl(query)).toEqual({ header: { ok: true, header: capability(7n) }, about, packet: undefined });
		expect(decodeControl(query.subarray(0, 55))?.about).toBeUndefined();
		expect(decodeControl(Buffer.from("hello"))).toBeUndefined();
		expect(decodeControl(Buffer.from("ff53484e", "hex"))?.header.ok).toBe(false);
	});

	test("R24 R25: UDP option in the surplus area, after even and odd payloads", () => {
		const header = encodeHeader(capability(7n));
		for (const odd of [false, true]) {
			const surplus = encodeSurplus(header, odd);
			expect(decodeSurplus(surplus, odd)).toEqual({ ok: true, header: capability(7n) });
			const frame = decodeFrame(
				ethernet(
					0x0800,
					ipv4("198.51.100.7", "203.0.113.53", 17, udp(5000, 53, Buffer.alloc(odd ? 5 : 6), Buffer.from(surplus))),
				),
			);
			expect(frame.ip?.udp?.option?.ok).toBe(true);
			expect(describeFrame(frame)).toMatch(/UDP, length [56], option redirect-header capability/);
			for (let i = 0; i < surplus.length; i++) {
				const damaged = surplus.map((b, j) => (j === i ? b ^ 0x10 : b));
				expect(decodeSurplus(damaged, odd)?.ok ?? false, `byte ${i}`).toBe(false);
			}
		}
	});

	test("R24 R25: TCP option of a SYN, behind the options that Linux sends", () => {
		const usual = Buffer.from("020405b40402080a00000001000000000103030a", "hex");
		const options = Buffer.concat([usual, encodeTcpCapability(7n), Buffer.from([1, 1])]);
		expect(options.length).toBeLessThanOrEqual(40);
		expect(decodeTcpOptions(options)).toEqual({ ok: true, header: capability(7n) });
		expect(decodeTcpOptions(usual)).toBeUndefined();
		const syn = ethernet(0x0800, ipv4("198.51.100.7", "203.0.113.53", 6, tcp(5000, 80, 2, options, none)));
		expect(describeFrame(decodeFrame(syn))).toBe(
			"IP 198.51.100.7.5000 > 203.0.113.53.80: Flags [S], seq 1000, win 64240, length 0, " +
				"option redirect-header capability nonce 0000000000000007",
		);
	});
});

describe("frames", () => {
	test("R1 R30: a rerouted packet in one line, its tag verified", () => {
		const frame = decodeFrame(tunnel(LEASE, request), { keys: KEYS });
		expect(describeFrame(frame)).toBe(
			"IP 10.0.1.2.34567 > 10.0.2.11.6081: Geneve, redirect-header forward target 10.0.2.11:5353 redirect leased 60 s " +
				"key 1 issued 1700000000 tag 71cc38f255bec50a (right) | IP 198.51.100.7.5000 > 203.0.113.53.53: UDP, length 40",
		);
		expect(
			JSON.parse(JSON.stringify(frame, (_, v) => (typeof v === "bigint" ? String(v) : v))).ip.udp.geneve.tagRight,
		).toBe(true);
		const moved = ipv4("198.51.100.8", "203.0.113.53", 17, udp(5000, 53, Buffer.alloc(40)));
		expect(describeFrame(decodeFrame(tunnel(LEASE, moved), { keys: KEYS }))).toContain("(WRONG)");
	});

	test("R1: IPv6 inside IPv4, VLAN tags, another tunnel port", () => {
		const inner = ipv6(CLIENT6, SERVICE6, 6, tcp(40000, 443, 2, none, none));
		const outer = ipv4("10.0.1.2", "10.0.2.11", 17, udp(34567, 7000, geneve(V6, inner, 0x86dd)));
		const frame = decodeFrame(ethernet(0x0800, outer, [7]), { keys: KEYS, tunnelPort: 7000 });
		expect(frame.vlans).toEqual([7]);
		expect(frame.ip?.udp?.geneve?.tagRight).toBe(true);
		expect(describeFrame(frame)).toMatch(
			/^vlan 7, IP 10.*target \[2001:db8:2::11\]:8443 .* \| IP6 2001:db8:7::7.40000 > 2001:db8:53::53.443: Flags \[S\]/,
		);
	});

	test("a tag covers a fragment without ports, and an ICMP error by the flow that it quotes", () => {
		const fragment = ipv4("198.51.100.7", "203.0.113.53", 17, udp(5000, 53, Buffer.alloc(8)), 0x2000);
		const bare = hexOf("forward: a fragment's flow has no ports");
		expect(decodeFrame(tunnel(bare, fragment), { keys: KEYS }).ip?.udp?.geneve?.tagRight).toBe(true);
		const reply = ipv4("203.0.113.53", "198.51.100.7", 17, udp(53, 5000, Buffer.alloc(8)));
		const error = ipv4("192.0.2.1", "203.0.113.53", 1, Buffer.concat([Buffer.from("0304000000000500", "hex"), reply]));
		const quoted = hexOf("forward: an ICMP error has the flow it quotes");
		const frame = decodeFrame(tunnel(quoted, error), { keys: KEYS });
		expect(frame.ip?.udp?.geneve?.tagRight).toBe(true);
		expect(describeFrame(frame)).toContain("ICMP type 3 code 4 | about IP 203.0.113.53.53 > 198.51.100.7.5000: UDP");
	});

	test("IPv6 extension headers, a fragment header included", () => {
		const options = Buffer.from("11000104000000003c000104000000002c00010400000000", "hex");
		const walk = ipv6(
			CLIENT6,
			SERVICE6,
			0,
			Buffer.concat([Buffer.from("3c00010400000000", "hex"), options.subarray(0, 8), udp(1, 2, none)]),
		);
		expect(decodeFrame(walk, { link: "ip" }).ip).toMatchObject({
			headerLength: 56,
			protocol: 17,
			udp: { destinationPort: 2 },
		});
		const later = ipv6(
			CLIENT6,
			SERVICE6,
			44,
			Buffer.concat([Buffer.from("110005a100000001", "hex"), Buffer.alloc(16)]),
		);
		expect(describeFrame(decodeFrame(later, { link: "ip" }))).toBe(
			"IP6 2001:db8:7::7 > 2001:db8:53::53: protocol 17, length 16 (frag id 1, offset 1440+)",
		);
	});

	test("a RST that carries a header", () => {
		const data = encodeReset(hexOf("redirect: R and L, nonce echoed"));
		const rst = ipv4("203.0.113.53", "198.51.100.7", 6, tcp(80, 5000, 0x14, none, data));
		expect(describeFrame(decodeFrame(rst, { link: "ip" }))).toMatch(
			/Flags \[R\.\].*length 36, control, redirect-header redirect target 10.0.2.11:5353 redirect leased 60 s nonce 0123456789abcdef key 1/,
		);
	});

	test("every refused vector is shown with its reason", () => {
		for (const vector of vectors) {
			if (vector.reason === undefined || vector.hex.length % 8) continue;
			expect(describeFrame(decodeFrame(tunnel(bytesOf(vector.hex), request))), vector.name).toContain(
				`[${vector.reason}]`,
			);
		}
	});

	test("never throws: truncated at every byte, 50,000 mutations, and random bytes", { timeout: 60_000 }, () => {
		const frames = [
			tunnel(LEASE, request),
			tunnel(
				V6,
				ipv6(CLIENT6, SERVICE6, 6, tcp(40000, 443, 2, Buffer.from(encodeTcpCapability(1n)).subarray(0, 12), none)),
				0x86dd,
			),
			tunnel(LEASE, tunnel(LEASE, request).subarray(14)),
			ethernet(0x86dd, ipv6(CLIENT6, SERVICE6, 0, Buffer.from("2c000104000000001100000100000001", "hex"))),
			ethernet(0x0800, ipv4("203.0.113.53", "198.51.100.7", 6, tcp(80, 5000, 0x14, none, encodeReset(LEASE))), [1, 2]),
			ethernet(0x0806, Buffer.alloc(28)),
		];
		for (const frame of frames) {
			for (let end = 0; end <= frame.length; end++) {
				describeFrame(decodeFrame(frame.subarray(0, end), { keys: KEYS }));
				describeFrame(decodeFrame(frame.subarray(end), { keys: KEYS, link: "ip" }));
			}
		}
		let state = 1;
		const below = (n: number) => {
			state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
			return Math.floor((state / 2 ** 32) * n);
		};
		for (let i = 0; i < 50_000; i++) {
			const frame = Buffer.from(
				i % 5 ? (frames[below(frames.length)] as Buffer) : Buffer.alloc(below(200), below(256)),
			);
			for (let n = below(6); n > 0 && frame.length > 0; n--) frame[below(frame.length)] = below(256);
			expect(describeFrame(decodeFrame(frame, { keys: KEYS, link: i % 7 ? "ethernet" : "ip" })).length).toBeGreaterThan(
				0,
			);
		}
	});
});

test("signHeader gives the tags of the vectors", () => {
	const vector = vectors.find((v) => v.name === "forward: R and L, a lease of a minute");
	const flow: Flow = {
		family: 4,
		source: address("198.51.100.7"),
		destination: address("203.0.113.53"),
		sourcePort: 5000,
		destinationPort: 53,
		protocol: 17,
	};
	const fields = {
		type: "forward" as const,
		flags: 0x90,
		port: 5353,
		lease: 60,
		hops: 0,
		keyId: 1,
		issued: 1_700_000_000,
		nonce: 0n,
		address: address("10.0.2.11"),
	};
	const signed = signHeader(fields, flow, KEYS.get(1) as Uint8Array);
	expect(Buffer.from(encodeHeader(signed)).toString("hex")).toBe(vector?.hex);
});
