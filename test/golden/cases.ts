// cases.ts - what the packet program does, case by case: a sentence, packets in, and the reason each must leave by.
//
// Owns: the cases. What leaves, byte for byte, and all counters stand in expected/<name>/, written by `-u`.
// Every reason of native/datapath/reasons.h has a case here, or golden.test.ts fails.

import { encodeHeader, type Flow, type Header, parseAddress, signHeader } from "../../src/wire/index.js";
import { ethernet, geneve, ipv4, ipv6, tcp, udp } from "../wire/pcap.js";

export interface Packet {
	/** Milliseconds after the first. */
	at?: number;
	frame: Buffer;
	/** By which it must leave. */
	reason: string;
	/** The host sends it, it did not come; `reason` is then "sent: " and what it did to its session. */
	sent?: true;
	/** Before this packet, the configuration changes so. */
	change?: [string, string];
	/** From this packet on, each backend's load, of FULL_LOAD. */
	loads?: Record<string, number>;
}

export interface Case {
	name: string;
	title: string;
	role: "gateway" | "backend";
	packets: Packet[];
	/** Records for IPv4; small, where the table is to be full. */
	sessions4?: number;
	/** Targets whose next hop is not known. */
	unresolved?: string[];
	mtu?: number;
	/** Whose frames are for this host; packets come from interface 1. */
	stations?: [number, Buffer][];
	/** What the session table holds after the last packet, by the sender's port. */
	sessions?: Record<number, { idleMs: number; proven: boolean }>;
	/** Nothing that the kernel's engine can meet. */
	userSpaceOnly?: boolean;
}

/** Both roles' configuration. 1700000000 is the pcap's first second. */
export const CONFIG = `
version: 1
cluster:
  name: golden
  seed: golden
  keys: [{ id: 1, secret: "000102030405060708090a0b0c0d0e0f" }, { id: 2, secret: "101112131415161718191a1b1c1d1e1f" }]
  sign: 1
gateways: { g1: { interface: eth0 } }
backends:
  b1: { address: [10.77.3.11, "fd77:3::11"] }
  b2: { address: [10.77.3.12, "fd77:3::12"] }
  b3: { address: [10.77.3.13, "fd77:3::13"] }
services:
  dns:
    address: [203.0.113.53, "2001:db8:53::53"]
    port: 53
    protocol: [udp, tcp]
    idle: 10s
    backends: [b1]
    sources:
      - { from: [198.51.100.0/24, "2001:db8:100::/64"], backends: [b2], redirect: { clients: true, term: leased, lease: 60s } }
      - { from: [198.51.100.8/32, "2001:db8:100::8/128"], backends: [{ name: b3, port: 5353 }], redirect: { clients: true, term: once } }
      - { from: [198.51.100.9/32], backends: [b3], redirect: { clients: true, term: permanent } }
  six-in-four: { address: "2001:db8:53::64", port: 53, protocol: udp, via: ipv4, backends: [b1] }
  four-in-six: { address: 203.0.113.64, port: 53, protocol: udp, via: ipv6, backends: [b1] }
  alone: { address: 203.0.113.1, port: 7, protocol: udp, backends: [b3] }
`;
const BUSY = "  busy: { address: 203.0.113.80, port: 53, protocol: udp, choose: least-load, backends: [b1, b2] }";
export const KEYS = new Map([
	[1, Buffer.from("000102030405060708090a0b0c0d0e0f", "hex")],
	[2, Buffer.from("101112131415161718191a1b1c1d1e1f", "hex")],
]);
export const EPOCH_S = 1_700_000_000;

export const VIP = "203.0.113.53";
export const VIP6 = "2001:db8:53::53";
/** b1's own. */
export const OWN = "10.77.3.11";
const OWN6 = "fd77:3::11";
export const hex = (text: string) => Buffer.from(parseAddress(text) ?? []).toString("hex");
const body = Buffer.from("a question");

export const udp4 = (source: string, port = 4000, to = VIP, toPort = 53, payload: Buffer = body) =>
	ipv4(source, to, 17, udp(port, toPort, payload));
const udp6 = (source: string, port = 4000, to = VIP6, payload: Buffer = body) =>
	ipv6(hex(source), hex(to), 17, udp(port, 53, payload));
export const four = (packet: Buffer, vlans: number[] = []) => ethernet(0x0800, packet, vlans);
export const six = (packet: Buffer, vlans: number[] = []) => ethernet(0x86dd, packet, vlans);
const mended = (packet: Buffer) => {
	packet.writeUInt16BE(0, 10);
	let sum = 0;
	for (let i = 0; i < ((packet[0] as number) & 15) * 4; i += 2) sum += packet.readUInt16BE(i);
	while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
	packet.writeUInt16BE(~sum & 0xffff, 10);
	return packet;
};
const changed = (packet: Buffer, at: number, value: number) => {
	packet[at] = value;
	return packet;
};

/** What a gateway would send to b1; `with` changes the header, `spoil` the finished bytes behind the Ethernet header. */
export function tunnelled(
	inner: Buffer,
	options: {
		header?: Partial<Header>;
		flow?: Partial<Flow>;
		spoil?: (packet: Buffer) => void;
		to?: string;
		/** Default: the gateway's address. */
		from?: string;
		protocol?: number;
		raw?: Buffer;
		tos?: number;
	} = {},
): Buffer {
	const family = (inner[0] as number) >> 4 === 6 ? 6 : 4;
	const at = family === 4 ? 20 : 40;
	const address = (from: number, length: number) =>
		length === 4
			? parseAddress(inner.subarray(from, from + 4).join("."))
			: Uint8Array.from(inner.subarray(from, from + 16));
	const fragment = family === 4 && (inner.readUInt16BE(6) & 0x3fff) !== 0;
	const flow: Flow = {
		family,
		source: (family === 4 ? address(12, 4) : address(8, 16)) as Uint8Array,
		destination: (family === 4 ? address(16, 4) : address(24, 16)) as Uint8Array,
		sourcePort: fragment ? 0 : inner.readUInt16BE(at),
		destinationPort: fragment ? 0 : inner.readUInt16BE(at + 2),
		protocol: inner[family === 4 ? 9 : 6] as number,
		...options.flow,
	};
	const unsigned = {
		type: "forward" as const,
		flags: 0,
		port: 53,
		lease: 0,
		hops: 0,
		keyId: 1,
		issued: EPOCH_S,
		nonce: 0n,
		address: parseAddress("10.77.3.11") as Uint8Array,
		...options.header,
	};
	const header = signHeader(unsigned, flow, KEYS.get(unsigned.keyId) ?? Buffer.alloc(16));
	const tunnel =
		options.raw ?? geneve(encodeHeader(header), inner, options.protocol ?? (family === 4 ? 0x0800 : 0x86dd));
	const packet = ipv4(options.from ?? "10.77.2.2", options.to ?? "10.77.3.11", 17, udp(40_000, 6081, tunnel));
	if (options.tos !== undefined) mended(changed(packet, 1, options.tos));
	options.spoil?.(packet);
	return four(packet);
}
/** Where the redirection header begins, behind the Ethernet header. */
const HEADER = 20 + 8 + 12;
const spoilHeader =
	(at: number, bit = 1) =>
	(packet: Buffer) => {
		packet[HEADER + at] = (packet[HEADER + at] as number) ^ bit;
	};

const icmpError = (quoted: Buffer, type = 3, code = 3) =>
	ipv4("192.0.2.1", VIP, 1, Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), quoted]));
/** An answer to 198.51.100.7. */
const sentBy = (service: string, port: number) => ipv4(service, "198.51.100.7", 17, udp(53, port, body));
const answerOf = (port: number) => ipv4(VIP, "198.51.100.7", 17, udp(53, port, body));
const counting = (bytes: number) => Buffer.from(Array.from({ length: bytes }, (_, i) => i + (i >> 8)));
/** An IPv4 packet with four bytes of options (no operation). */
const withOptions = (packet: Buffer) => {
	const longer = Buffer.concat([packet.subarray(0, 20), Buffer.alloc(4, 1), packet.subarray(20)]);
	longer.writeUInt16BE(longer.length, 2);
	return mended(changed(longer, 0, 0x46));
};
/** Its sender does not allow fragments. */
const df = (packet: Buffer) => mended(changed(packet, 6, 0x40));
const extension = (next: number, then: Buffer, length = 0) =>
	Buffer.concat([Buffer.from([next, length, 0, 0, 0, 0, 0, 0]), Buffer.alloc(length * 8), then]);

const NO_TARGET: [string, string] = ["    backends: [b1]\n", "    backends: [{ name: b1, weight: 0 }]\n"];
/** From 192.0.2.1, with so many bytes of options and of data. */
const toNoTarget = (flags: number, options: number, data = 0) =>
	ipv4("192.0.2.1", VIP, 6, tcp(5000, 53, flags, Buffer.alloc(options, 1), Buffer.alloc(data, 1)));
/** docs/protocol.md, 4.4: an experimental option with a capability. */
const SYN_CAPABILITY = Buffer.from("fd0e5352110000000000000000010101", "hex");
const fragmentHeader = (next: number, offsetAndMore: number, then: Buffer) =>
	Buffer.concat([Buffer.from([next, 0, offsetAndMore >> 8, offsetAndMore & 255, 0, 0, 0, 9]), then]);
/** About an answer to 2001:db8:100::7, from a router with a link of MTU 1280. */
const tooBig6 = (next: number, quoted: Buffer) =>
	ipv6(
		hex("2001:db8:9::1"),
		hex(VIP6),
		58,
		Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 5, 0]), ipv6(hex(VIP6), hex("2001:db8:100::7"), next, quoted)]),
	);
/** With the checksum of its ICMP message. */
function icmpSummed(packet: Buffer): Buffer {
	const at = (packet[0] as number) >> 4 === 6 ? 40 : 20;
	const message = packet.subarray(at);
	const pseudo =
		at === 40
			? [packet.subarray(8, 40), Buffer.from([0, 0, message.length >> 8, message.length & 255, 0, 0, 0, 58])]
			: [];
	const all = Buffer.concat([...pseudo, message, Buffer.alloc(message.length & 1)]);
	let sum = 0;
	for (let i = 0; i < all.length; i += 2) sum += all.readUInt16BE(i);
	while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
	packet.writeUInt16BE(~sum & 0xffff, at + 2);
	return packet;
}
const [FIN, SYN, RST, ACK] = [1, 2, 4, 16] as const;
const BUSY_VIP = "203.0.113.80";
const WEB = `  web: { address: ${BUSY_VIP}, port: 80, protocol: tcp, choose: least-load, backends: [b1, b2] }`;
const tcp4 = (port: number, flags: number, to = VIP) =>
	ipv4("192.0.2.1", to, 6, tcp(port, to === VIP ? 53 : 80, flags, Buffer.alloc(0), Buffer.alloc(0)));
const segment = (port: number, flags: number, to = VIP) => four(tcp4(port, flags, to));
const mac = (digits: string) => Buffer.from(digits, "hex");
const towards = (digits: string, frame: Buffer) => Buffer.concat([mac(digits), frame.subarray(6)]);

export const cases: Case[] = [
	{
		name: "udp4",
		title: "R1 R2 R7: UDP over IPv4: the first packet makes a session, the next ones follow it, on the rule's terms",
		role: "gateway",
		packets: [
			{ frame: four(udp4("198.51.100.7")), reason: "forwarded_new" },
			{ at: 5, frame: four(udp4("198.51.100.7")), reason: "forwarded" },
			{ at: 9, frame: four(udp4("198.51.100.7", 4001)), reason: "forwarded_new" },
		],
	},
	{
		name: "tcp4",
		title: "R1: TCP over IPv4, from SYN to FIN",
		role: "gateway",
		packets: [0x02, 0x10, 0x18, 0x11].map((flags, i) => ({
			at: i,
			frame: four(
				ipv4("192.0.2.9", VIP, 6, tcp(5000, 53, flags, Buffer.alloc(flags === 2 ? 4 : 0, 1), Buffer.alloc(i))),
			),
			reason: i === 0 ? "forwarded_new" : "forwarded",
		})),
	},
	{
		name: "udp6-tcp6",
		title: "R1: UDP and TCP over IPv6",
		role: "gateway",
		packets: [
			{ frame: six(udp6("2001:db8:100::7")), reason: "forwarded_new" },
			{ at: 1, frame: six(udp6("2001:db8:100::7")), reason: "forwarded" },
			{
				at: 2,
				frame: six(ipv6(hex("2001:db8:9::1"), hex(VIP6), 6, tcp(5000, 53, 2, Buffer.alloc(0), Buffer.alloc(0)))),
				reason: "forwarded_new",
			},
		],
	},
	{
		name: "families",
		title: "R1: IPv6 inside IPv4 and IPv4 inside IPv6",
		role: "gateway",
		packets: [
			{ frame: six(udp6("2001:db8:9::1", 4000, "2001:db8:53::64")), reason: "forwarded_new" },
			{ frame: four(udp4("192.0.2.9", 4000, "203.0.113.64")), reason: "forwarded_new" },
		],
	},
	{
		name: "rules",
		title: "R2 R3 R5 R6: the longest prefix decides, down to one address; port and terms are the rule's",
		role: "gateway",
		packets: ["192.0.2.1", "198.51.100.1", "198.51.100.8", "198.51.100.9"].map((source) => ({
			frame: four(udp4(source)),
			reason: "forwarded_new",
		})),
	},
	{
		name: "padding-and-vlans",
		title: "Ethernet's padding stays behind, up to two VLAN tags are taken off, a third is refused",
		role: "gateway",
		packets: [
			{
				frame: Buffer.concat([four(udp4("192.0.2.1", 4000, VIP, 53, Buffer.alloc(0))), Buffer.alloc(18)]),
				reason: "forwarded_new",
			},
			{ frame: four(udp4("192.0.2.1"), [7]), reason: "forwarded" },
			{ frame: four(udp4("192.0.2.1"), [7, 8]), reason: "forwarded" },
			{ frame: four(udp4("192.0.2.1"), [7, 8, 9]), reason: "bad_vlan" },
			{ frame: four(udp4("192.0.2.1"), [7]).subarray(0, 16), reason: "bad_vlan" },
		],
	},
	{
		name: "stations",
		title:
			"R34: a frame for another host's MAC address is ignored: another host's, that of another interface, broadcast, multicast",
		role: "gateway",
		stations: [
			[2, mac("020000000003")],
			[1, mac("020000000002")],
			[1, mac("00005e000133")],
		],
		packets: [
			{ frame: four(udp4("192.0.2.1")), reason: "forwarded_new" },
			{ frame: towards("020000000003", four(udp4("192.0.2.1"))), reason: "not_our_station" },
			{ frame: towards("020000000001", four(udp4("192.0.2.1", 4001))), reason: "not_our_station" },
			{ frame: towards("ffffffffffff", four(udp4("192.0.2.1"))), reason: "not_our_station" },
			{ frame: towards("01005e000001", four(udp4("192.0.2.1"))), reason: "not_our_station" },
			{ frame: towards("00005e000134", six(udp6("2001:db8:9::1"), [7])), reason: "not_our_station" },
			{ frame: towards("020000000001", four(udp4("192.0.2.1"), [7, 8, 9])), reason: "not_our_station" },
			{ frame: towards("00005e000133", four(udp4("192.0.2.1"))), reason: "forwarded" },
			{ frame: four(udp4("192.0.2.1"), [7]), reason: "forwarded" },
		],
	},
	{
		name: "stations-backend",
		title: "R27: a backend ignores frames for another host's MAC address as well",
		role: "backend",
		stations: [[1, mac("020000000002")]],
		packets: [
			{ frame: tunnelled(udp4("198.51.100.7")), reason: "delivered" },
			{ frame: towards("020000000001", tunnelled(udp4("198.51.100.7"))), reason: "not_our_station" },
			{ frame: towards("020000000001", four(udp4("198.51.100.7", 4000, OWN))), reason: "not_our_station" },
		],
	},
	{
		name: "stations-unknown",
		title: "R27: an interface of which no MAC address is known (a bond's port) takes frames for any",
		role: "gateway",
		stations: [[2, mac("020000000002")]],
		packets: [{ frame: towards("020000000001", four(udp4("192.0.2.1"))), reason: "forwarded_new" }],
	},
	{
		name: "surplus",
		title: "R25: a UDP datagram shorter than its IP payload (RFC 9868) travels whole",
		role: "gateway",
		packets: [
			{ frame: four(ipv4("192.0.2.1", VIP, 17, udp(4000, 53, body, Buffer.alloc(40, 7)))), reason: "forwarded_new" },
		],
	},
	{
		name: "idle",
		title: "R9: a session that was idle for longer than its period begins anew",
		role: "gateway",
		packets: [
			{ frame: four(udp4("192.0.2.1")), reason: "forwarded_new" },
			{ at: 9_900, frame: four(udp4("192.0.2.1")), reason: "forwarded" },
			{ at: 20_500, frame: four(udp4("192.0.2.1")), reason: "forwarded_new" },
		],
	},
	{
		name: "moved",
		title: "a draining target keeps its sessions; when it goes, their next packet gets another",
		role: "gateway",
		packets: [
			{ frame: four(udp4("192.0.2.1")), reason: "forwarded_new" },
			{
				at: 1,
				change: [
					'b1: { address: [10.77.3.11, "fd77:3::11"] }',
					'b1: { address: [10.77.3.11, "fd77:3::11"], state: draining }',
				],
				frame: four(udp4("192.0.2.1")),
				reason: "forwarded",
			},
			{ at: 2, frame: four(udp4("192.0.2.1", 4001)), reason: "no_target" },
			{ at: 3, change: ["state: draining", "state: inactive"], frame: four(udp4("192.0.2.1")), reason: "no_target" },
			{
				at: 4,
				change: ["    backends: [b1]\n", "    backends: [b1, b2]\n"],
				frame: four(udp4("192.0.2.1")),
				reason: "forwarded_moved",
			},
		],
	},
	{
		name: "refused",
		title:
			"R33: where no active target is left, TCP is reset and UDP is answered by port unreachable, never by more bytes",
		role: "gateway",
		packets: [
			{ frame: four(udp4("192.0.2.1", 4000, VIP, 53, Buffer.alloc(28, 1))), change: NO_TARGET, reason: "refused" },
			{ at: 1, frame: four(udp4("192.0.2.1", 4000, VIP, 53, Buffer.alloc(27, 1))), reason: "no_target" },
			{ at: 2, frame: four(udp4("192.0.2.1", 4000, VIP, 53, Buffer.alloc(1200, 1)), [7, 9]), reason: "refused" },
			{ at: 3, frame: six(udp6("2001:db8:9::1", 4000, VIP6, Buffer.alloc(48, 1))), reason: "refused" },
			{ at: 4, frame: six(udp6("2001:db8:9::1", 4000, VIP6, Buffer.alloc(47, 1))), reason: "no_target" },
			// A SYN, without and with a capability, and with data and FIN; an ACK of a connection that is gone; then resets.
			...[
				toNoTarget(0x02, 8),
				ipv4("192.0.2.1", VIP, 6, tcp(5000, 53, 0x02, SYN_CAPABILITY, Buffer.alloc(0))),
				toNoTarget(0x03, 0, 33),
				toNoTarget(0x10, 12, 5),
			].map((packet, i) => ({ at: 5 + i, frame: four(packet), reason: "refused" })),
			{ at: 10, frame: four(toNoTarget(0x04, 0)), reason: "no_target" },
			{ at: 11, frame: four(toNoTarget(0x14, 0)), reason: "no_target" },
			...[0x02, 0x10].map((flags, i) => ({
				at: 12 + i,
				frame: six(ipv6(hex("2001:db8:9::1"), hex(VIP6), 6, tcp(5000, 53, flags, Buffer.alloc(4, 1), Buffer.alloc(i)))),
				reason: "refused",
			})),
			// Extension headers in front of TCP, which no quote needs; and of UDP, of which the quote would not be 8 bytes.
			{
				at: 14,
				frame: six(
					ipv6(hex("2001:db8:9::1"), hex(VIP6), 60, extension(6, tcp(5000, 53, 2, Buffer.alloc(0), Buffer.alloc(0)))),
				),
				reason: "refused",
			},
			{
				at: 15,
				frame: six(ipv6(hex("2001:db8:9::1"), hex(VIP6), 60, extension(17, udp(4000, 53, Buffer.alloc(90))))),
				reason: "no_target",
			},
			// Fragments and ICMP errors are not answered.
			{
				at: 16,
				frame: four(ipv4("192.0.2.1", VIP, 17, udp(4000, 53, Buffer.alloc(80, 1)), 0x2000)),
				reason: "no_target",
			},
			{ at: 17, frame: four(icmpError(ipv4(VIP, "192.0.2.9", 17, udp(53, 4000, body)))), reason: "icmp_unknown" },
			// A service with a target is not concerned.
			{ at: 18, frame: four(udp4("192.0.2.1", 4000, "203.0.113.1", 7)), reason: "forwarded_new" },
		],
	},
	{
		name: "refused-silent",
		title: "R33: refuse: silent drops instead",
		role: "gateway",
		packets: [
			{
				frame: four(udp4("192.0.2.1", 4000, VIP, 53, Buffer.alloc(200, 1))),
				change: ["    backends: [b1]\n", "    backends: [{ name: b1, weight: 0 }]\n    refuse: silent\n"],
				reason: "no_target",
			},
			{ at: 1, frame: four(toNoTarget(0x02, 8)), reason: "no_target" },
		],
	},
	{
		name: "refused-limited",
		title: "R33: refusals count against the limits of answers: 32 to one source at once, then 8 a second",
		role: "gateway",
		packets: [
			...Array.from({ length: 32 }, (_, i) => ({
				frame: four(toNoTarget(0x02, 0)),
				...(i === 0 ? { change: NO_TARGET } : {}),
				reason: "refused",
			})),
			{ at: 1, frame: four(toNoTarget(0x02, 0)), reason: "no_target" },
			{ at: 2, frame: four(udp4("192.0.2.1", 4000, VIP, 53, Buffer.alloc(200))), reason: "no_target" },
			{ at: 3, frame: four(udp4("192.0.2.9", 4000, VIP, 53, Buffer.alloc(200))), reason: "refused" },
			{ at: 200, frame: four(toNoTarget(0x02, 0)), reason: "refused" },
			{ at: 201, frame: four(toNoTarget(0x02, 0)), reason: "no_target" },
		],
	},
	{
		name: "least-load",
		title: "R18: of the two targets that a new flow is offered, the less loaded has it; a session stays where it is",
		role: "gateway",
		packets: Array.from({ length: 25 }, (_, i) => ({
			at: i,
			frame: four(udp4("192.0.2.1", 4000 + (i === 24 ? 0 : i), "203.0.113.80")),
			reason: i === 24 ? "forwarded" : "forwarded_new",
			// Not in CONFIG, where its targets would move the numbers that other cases' targets are counted under.
			...(i === 0 ? { change: ["  alone:", `${BUSY}\n  alone:`], loads: { b1: 40_000, b2: 39_999 } } : {}),
			...(i === 12 ? { loads: { b1: 0, b2: 65_535 } } : {}),
		})),
	},
	{
		name: "tcp-state",
		title:
			"R9: a TCP session that is half-open or closing ends sooner than an established one; a SYN on a closing one begins anew",
		role: "gateway",
		packets: [
			{
				change: ["    idle: 10s\n", "    idle: 10s\n    idleTransitory: 2s\n"],
				frame: segment(5000, SYN),
				reason: "forwarded_new",
			},
			{ frame: segment(5001, SYN), reason: "forwarded_new" },
			{ at: 1000, frame: segment(5000, ACK), reason: "forwarded" },
			{ at: 1000, frame: segment(5001, SYN), reason: "forwarded" },
			{ at: 3500, frame: segment(5001, SYN), reason: "forwarded_new" },
			{ at: 10_500, frame: segment(5000, ACK), reason: "forwarded" },
			{ at: 11_000, frame: segment(5000, FIN | ACK), reason: "forwarded" },
			{ at: 12_500, frame: segment(5000, ACK), reason: "forwarded" },
			{ at: 15_000, frame: segment(5000, ACK), reason: "forwarded_new" },
			{ at: 16_000, frame: segment(5000, ACK), reason: "forwarded" },
			{ at: 16_100, frame: segment(5000, RST), reason: "forwarded" },
			{ at: 16_200, frame: segment(5000, SYN), reason: "forwarded" },
			{ at: 16_300, frame: segment(5000, ACK), reason: "forwarded" },
			{ at: 26_000, frame: segment(5000, ACK), reason: "forwarded" },
			{ at: 26_000, frame: four(udp4("192.0.2.1", 6000)), reason: "forwarded_new" },
			{ at: 35_000, frame: four(udp4("192.0.2.1", 6000)), reason: "forwarded" },
		],
	},
	{
		name: "tcp-idle",
		title: "R9: by default an established TCP session may be idle for 2 hours 4 minutes, a half-open one for 4 minutes",
		role: "gateway",
		packets: [
			{ change: ["  alone:", `${WEB}\n  alone:`], frame: segment(5000, SYN, BUSY_VIP), reason: "forwarded_new" },
			{ at: 10, frame: segment(5000, ACK, BUSY_VIP), reason: "forwarded" },
			{ at: 20, frame: segment(5001, SYN, BUSY_VIP), reason: "forwarded_new" },
			{ at: 230_000, frame: segment(5001, SYN, BUSY_VIP), reason: "forwarded" },
			{ at: 480_000, frame: segment(5001, SYN, BUSY_VIP), reason: "forwarded_new" },
			{ at: 7_430_000, frame: segment(5000, ACK, BUSY_VIP), reason: "forwarded" },
			{ at: 14_880_000, frame: segment(5000, ACK, BUSY_VIP), reason: "forwarded_new" },
		],
	},
	{
		name: "tcp-continues",
		title: "R36: a TCP connection that is not known goes by its row, whatever the loads, as from every gateway",
		role: "gateway",
		packets: Array.from({ length: 16 }, (_, i) => ({
			at: i < 8 ? i : 8_000_000 + i,
			frame: segment(5000 + (i % 8), i % 2 ? ACK : FIN | ACK, BUSY_VIP),
			reason: "forwarded_new",
			...(i === 0
				? { change: ["  alone:", `${WEB}\n  alone:`] as [string, string], loads: { b1: 0, b2: 65_535 } }
				: {}),
			...(i === 8 ? { loads: { b1: 65_535, b2: 0 } } : {}),
		})),
	},
	{
		name: "tcp-unknown",
		title:
			"R36: a backend that does not know a connection sends it on to the other of the two rows, once; a new one and a known one are its own",
		role: "backend",
		packets: [
			...Array.from({ length: 8 }, (_, i) => ({
				at: i,
				frame: tunnelled(tcp4(5000 + i, ACK, BUSY_VIP), { header: { port: 80 } }),
				reason: "*",
				...(i === 0 ? { change: ["  alone:", `${WEB}\n  alone:`] as [string, string] } : {}),
			})),
			...Array.from({ length: 8 }, (_, i) => ({
				at: 10 + i,
				frame: tunnelled(tcp4(5000 + i, SYN, BUSY_VIP), { header: { port: 80 } }),
				reason: "delivered",
			})),
			...Array.from({ length: 8 }, (_, i) => ({
				at: 20 + i,
				frame: tunnelled(tcp4(5000 + i, ACK, BUSY_VIP), { header: { port: 80 } }),
				reason: "delivered",
			})),
			...Array.from({ length: 4 }, (_, i) => ({
				at: 30 + i,
				frame: tunnelled(tcp4(6000 + i, ACK, BUSY_VIP), { header: { port: 80, hops: 1 } }),
				reason: "delivered",
			})),
			...Array.from({ length: 8 }, (_, i) => ({
				at: 40 + i,
				frame: tunnelled(
					ipv4(
						"192.0.2.1",
						BUSY_VIP,
						1,
						Buffer.concat([
							Buffer.from([3, 4, 0, 0, 0, 0, 5, 0]),
							ipv4(BUSY_VIP, "192.0.2.1", 6, tcp(80, 7000 + i, ACK, Buffer.alloc(0), body)),
						]),
					),
					{
						header: { port: 80 },
						flow: { source: parseAddress("192.0.2.1")!, sourcePort: 7000 + i, destinationPort: 80, protocol: 6 },
					},
				),
				reason: "*",
			})),
		],
	},
	{
		name: "full",
		title: "a full table: a new session takes the place of the oldest one-packet session",
		role: "gateway",
		sessions4: 8,
		packets: Array.from({ length: 40 }, (_, i) => ({
			at: i * 100,
			frame: four(udp4("192.0.2.1", 5000 + i)),
			reason: "*",
		})),
	},
	{
		name: "full-talking",
		title:
			"a table full of sessions that talk: who is new is forwarded all the same, and has a record when one falls silent",
		role: "gateway",
		sessions4: 1,
		packets: [
			...[1, 2, 3, 4].map((i) => ({ at: i, frame: four(udp4("192.0.2.1", 5000 + i)), reason: "forwarded_new" })),
			...[1, 2, 3, 4].map((i) => ({ at: 9 + i, frame: four(udp4("192.0.2.1", 5000 + i)), reason: "forwarded" })),
			{ at: 20, frame: four(udp4("192.0.2.1", 6000)), reason: "forwarded_unlisted" },
			{ at: 21, frame: four(udp4("192.0.2.1", 6000)), reason: "forwarded_unlisted" },
			...[1, 2, 4].map((i) => ({ at: 1500, frame: four(udp4("192.0.2.1", 5000 + i)), reason: "forwarded" })),
			{ at: 2100, frame: four(udp4("192.0.2.1", 6000)), reason: "forwarded_evicting" },
			{ at: 2101, frame: four(udp4("192.0.2.1", 5001)), reason: "forwarded" },
			{ at: 2102, frame: four(udp4("192.0.2.1", 5003)), reason: "forwarded_evicting" },
			{ at: 2103, frame: four(udp4("192.0.2.1", 6000)), reason: "forwarded_evicting" },
		],
	},
	{
		name: "fragments4",
		title: "R1: IPv4 fragments follow their first one; none before it, none without ports",
		role: "gateway",
		packets: [
			{ frame: four(ipv4("192.0.2.1", VIP, 17, Buffer.alloc(24, 1), 0x0002)), reason: "fragment_unknown" },
			{ frame: four(ipv4("192.0.2.1", VIP, 17, udp(4000, 53, Buffer.alloc(16, 1)), 0x2000)), reason: "*" },
			{ frame: four(ipv4("192.0.2.1", VIP, 17, Buffer.alloc(24, 1), 0x0003)), reason: "forwarded_fragment" },
			{ frame: four(ipv4("192.0.2.2", VIP, 17, Buffer.alloc(4, 1), 0x2000)), reason: "fragment_tiny" },
		],
	},
	{
		name: "fragments6",
		title: "R1: IPv6 fragments likewise",
		role: "gateway",
		packets: [
			{
				frame: six(
					ipv6(
						hex("2001:db8:9::1"),
						hex(VIP6),
						44,
						Buffer.concat([Buffer.from([17, 0, 0, 1, 0, 0, 0, 9]), udp(4000, 53, Buffer.alloc(16)).fill(0x20, 4, 5)]),
					),
				),
				reason: "*",
			},
			{
				frame: six(
					ipv6(
						hex("2001:db8:9::1"),
						hex(VIP6),
						44,
						Buffer.concat([Buffer.from([17, 0, 0, 24, 0, 0, 0, 9]), Buffer.alloc(16)]),
					),
				),
				reason: "*",
			},
		],
	},
	{
		name: "extensions",
		title: "IPv6 extension headers are walked, six of them, 1024 bytes; more, or cut off, are refused",
		role: "gateway",
		packets: [
			{
				frame: six(ipv6(hex("2001:db8:9::1"), hex(VIP6), 0, extension(60, extension(17, udp(4000, 53, body), 2)))),
				reason: "forwarded_new",
			},
			{
				frame: six(
					ipv6(
						hex("2001:db8:9::1"),
						hex(VIP6),
						60,
						[1, 2, 3, 4, 5, 6].reduce((then) => extension(60, then), extension(17, udp(4000, 53, body))),
					),
				),
				reason: "bad_extension",
			},
			{
				frame: six(ipv6(hex("2001:db8:9::1"), hex(VIP6), 60, Buffer.from([17, 9, 0, 0, 0, 0, 0, 0]))),
				reason: "bad_extension",
			},
			{
				frame: six(ipv6(hex("2001:db8:9::1"), hex(VIP6), 60, extension(17, udp(4001, 53, body), 127))),
				reason: "forwarded_new",
			},
			{
				frame: six(ipv6(hex("2001:db8:9::1"), hex(VIP6), 60, extension(17, udp(4001, 53, body), 128))),
				reason: "bad_extension",
			},
		],
	},
	{
		name: "icmp",
		title: "an ICMP error goes where the flow goes that it quotes; without a target, or a whole quote, nowhere",
		role: "gateway",
		packets: [
			{ frame: four(udp4("198.51.100.7")), reason: "forwarded_new" },
			{ frame: four(icmpError(answerOf(4000))), reason: "forwarded_icmp" },
			{ frame: four(icmpError(answerOf(4000).subarray(0, 22))), reason: "icmp_short" },
			{ frame: four(icmpError(answerOf(4000).subarray(0, 10))), reason: "icmp_short" },
			{ frame: four(ipv4("192.0.2.1", VIP, 1, Buffer.from([8, 0, 0, 0, 0, 1, 0, 1]))), reason: "protocol_other" },
			{
				change: ['b2: { address: [10.77.3.12, "fd77:3::12"] }', "b2: { address: 10.77.3.12, state: inactive }"],
				frame: four(icmpError(answerOf(4000))),
				reason: "icmp_unknown",
			},
		],
	},
	{
		name: "icmp-ecmp",
		title:
			"R34: an ICMP error at a gateway that has not seen the flow goes to the flow's row, as the flow does from any gateway",
		role: "gateway",
		packets: [
			{ frame: four(icmpError(answerOf(4000), 3, 4)), reason: "forwarded_icmp" },
			{ frame: six(tooBig6(17, udp(53, 4000, body))), reason: "forwarded_icmp" },
			{ frame: four(udp4("198.51.100.7")), reason: "forwarded_new" },
			{ frame: six(udp6("2001:db8:100::7")), reason: "forwarded_new" },
		],
	},
	{
		name: "icmp-least-load",
		title: "R34: where loads decide, the error goes by the row without loads, which is the same on every gateway",
		role: "gateway",
		packets: Array.from({ length: 12 }, (_, i) => ({
			at: i,
			frame: four(
				ipv4(
					"192.0.2.1",
					"203.0.113.80",
					1,
					Buffer.concat([
						Buffer.from([3, 4, 0, 0, 0, 0, 5, 0]),
						ipv4("203.0.113.80", "198.51.100.7", 17, udp(53, 4000 + (i % 6), body)),
					]),
				),
			),
			reason: "forwarded_icmp",
			...(i === 0 ? { change: ["  alone:", `${BUSY}\n  alone:`], loads: { b1: 0, b2: 65_535 } } : {}),
			...(i === 6 ? { loads: { b1: 65_535, b2: 0 } } : {}),
		})),
	},
	{
		name: "icmp6-quotes",
		title:
			"R34: extension headers of a quoted IPv6 packet are followed: a first fragment's, options, routing; within bounds",
		role: "gateway",
		packets: [
			{ frame: six(tooBig6(44, fragmentHeader(17, 1, udp(53, 4000, body)))), reason: "forwarded_icmp" },
			{ frame: six(tooBig6(0, extension(17, udp(53, 4000, body)))), reason: "forwarded_icmp" },
			{ frame: six(tooBig6(60, extension(6, tcp(53, 4000, 16, Buffer.alloc(0), body), 2))), reason: "forwarded_icmp" },
			{
				frame: six(tooBig6(0, extension(43, extension(44, fragmentHeader(17, 1, udp(53, 4000, body)))))),
				reason: "forwarded_icmp",
			},
			{ frame: six(tooBig6(44, fragmentHeader(17, 0x5a9, udp(53, 4000, body)))), reason: "icmp_short" },
			{ frame: six(tooBig6(0, extension(17, Buffer.alloc(2)))), reason: "icmp_short" },
			{ frame: six(tooBig6(60, extension(17, udp(53, 4000, body), 255))), reason: "icmp_short" },
			{
				frame: six(
					tooBig6(
						60,
						[60, 60, 60, 60, 60, 60, 17].reduceRight((then, next) => extension(next, then), udp(53, 4000, body)),
					),
				),
				reason: "icmp_short",
			},
			{ frame: six(tooBig6(60, extension(58, Buffer.alloc(16)))), reason: "protocol_other" },
		],
	},
	{
		name: "icmp-backend",
		title:
			"R34: a backend hands ICMP errors to its stack, about the port that the service has there, with right checksums",
		role: "backend",
		packets: [
			{
				frame: tunnelled(icmpSummed(icmpError(answerOf(4000), 3, 4)), {
					header: { port: 5353 },
					flow: { source: parseAddress("198.51.100.7")!, sourcePort: 4000, destinationPort: 53, protocol: 17 },
				}),
				reason: "delivered",
			},
			{
				frame: tunnelled(icmpSummed(tooBig6(44, fragmentHeader(17, 1, udp(53, 4000, body)))), {
					header: { port: 5353 },
					flow: { source: parseAddress("2001:db8:100::7")!, sourcePort: 4000, destinationPort: 53, protocol: 17 },
				}),
				reason: "delivered",
			},
		],
	},
	{
		name: "none-of-ours",
		title: "all that is none of ours passes to the host",
		role: "gateway",
		packets: [
			{ frame: ethernet(0x0806, Buffer.alloc(28)), reason: "not_ip" },
			{ frame: four(udp4("192.0.2.1", 4000, "203.0.113.99")), reason: "not_service" },
			{ frame: four(udp4("192.0.2.1", 4000, VIP, 54)), reason: "not_service_port" },
			{
				frame: six(
					ipv6(hex("2001:db8:9::1"), `00000000000000000000ffff${hex(VIP).slice(24)}`, 17, udp(4000, 53, body)),
				),
				reason: "not_service_port",
			},
			{ frame: four(ipv4("192.0.2.1", VIP, 47, Buffer.alloc(20))), reason: "protocol_other" },
		],
	},
	{
		name: "bad",
		title: "what is cut off, impossible or from nowhere is refused, each under its name",
		role: "gateway",
		packets: [
			{ frame: four(udp4("192.0.2.1")).subarray(0, 30), reason: "truncated" },
			{ frame: four(changed(udp4("192.0.2.1"), 0, 0x44)), reason: "bad_ip_header" },
			{ frame: four(changed(udp4("192.0.2.1"), 0, 0x55)), reason: "bad_ip_header" },
			{ frame: four(changed(udp4("192.0.2.1"), 10, 1)), reason: "bad_ip_checksum" },
			{ frame: four(ipv4("192.0.2.1", VIP, 17, udp(4000, 53, body).fill(0xff, 4, 6))), reason: "bad_transport" },
			{
				frame: four(ipv4("192.0.2.1", VIP, 6, tcp(4000, 53, 2, Buffer.alloc(0), body).fill(0x10, 12, 13))),
				reason: "bad_transport",
			},
			{ frame: four(udp4("127.0.0.1")), reason: "bad_source" },
			{ frame: four(udp4("224.0.0.1")), reason: "bad_source" },
			{ frame: four(udp4("192.0.2.1", 0)), reason: "bad_source" },
			{ frame: six(udp6("::1")), reason: "bad_source" },
			{ frame: six(udp6("ff02::1")), reason: "bad_source" },
		],
	},
	{
		name: "runt",
		title: "a frame shorter than Ethernet's own header; no driver hands one to the kernel's engine",
		role: "gateway",
		userSpaceOnly: true,
		packets: [{ frame: Buffer.alloc(9), reason: "truncated" }],
	},
	{
		name: "too-big-tagged",
		title: "packet-too-big goes back under the VLAN tags that the packet came with",
		role: "gateway",
		mtu: 600,
		packets: [
			{ frame: four(df(udp4("198.51.100.7", 4000, VIP, 53, Buffer.alloc(501))), [7]), reason: "too_big" },
			{ frame: four(df(udp4("198.51.100.7", 4000, VIP, 53, Buffer.alloc(501))), [7, 9]), reason: "too_big" },
			{ frame: six(udp6("2001:db8:100::7", 4000, VIP6, Buffer.alloc(600)), [7]), reason: "too_big" },
		],
	},
	{
		name: "too-big",
		title: "what would not fit the link is answered by packet-too-big; an error or a later fragment is not",
		role: "gateway",
		mtu: 600,
		packets: [
			{ frame: four(udp4("198.51.100.7", 4000, VIP, 53, Buffer.alloc(500))), reason: "forwarded_new" },
			{ frame: four(df(udp4("198.51.100.7", 4000, VIP, 53, Buffer.alloc(501)))), reason: "too_big" },
			{ frame: six(udp6("2001:db8:100::7", 4000, VIP6, Buffer.alloc(600))), reason: "too_big" },
			{ frame: four(icmpError(Buffer.concat([answerOf(4000), Buffer.alloc(520)]))), reason: "too_big_dropped" },
		],
	},
	{
		name: "fragmented",
		title:
			"R32: an IPv4 datagram without DF that does not fit the link is forwarded in fragments, which are the client's",
		role: "gateway",
		mtu: 600,
		packets: [
			{ frame: four(udp4("198.51.100.7", 4000, VIP, 53, counting(501))), reason: "fragmented" },
			{ at: 1, frame: four(udp4("198.51.100.7", 4000, VIP, 53, counting(1500)), [7]), reason: "fragmented" },
			{ at: 2, frame: four(udp4("192.0.2.9", 4000, "203.0.113.64", 53, counting(900))), reason: "fragmented" },
			{
				at: 3,
				frame: four(ipv4("192.0.2.9", VIP, 6, tcp(5000, 53, 0x18, Buffer.alloc(12, 1), counting(1400)))),
				reason: "fragmented",
			},
			// A fragment of the client's own, and its next one, are cut further.
			{
				at: 4,
				frame: four(ipv4("192.0.2.9", VIP, 17, udp(4001, 53, counting(1192)), 0x2000)),
				reason: "fragmented",
			},
			{ at: 5, frame: four(ipv4("192.0.2.9", VIP, 17, counting(900), 150)), reason: "fragmented" },
			// Padding is no part of the datagram.
			{
				at: 6,
				frame: Buffer.concat([four(udp4("198.51.100.7", 4000, VIP, 53, counting(510))), Buffer.alloc(20, 9)]),
				reason: "fragmented",
			},
			// Not these: DF, options, too many fragments.
			{ at: 7, frame: four(df(udp4("198.51.100.7", 4000, VIP, 53, counting(510)))), reason: "too_big" },
			{ at: 8, frame: four(withOptions(udp4("192.0.2.9", 4000, VIP, 53, counting(1000)))), reason: "too_big" },
			{ at: 9, frame: four(udp4("198.51.100.7", 4000, VIP, 53, counting(504 * 16 - 8))), reason: "fragmented" },
			{ at: 10, frame: four(udp4("198.51.100.7", 4000, VIP, 53, counting(504 * 16 - 7))), reason: "too_big" },
		],
	},
	{
		name: "jumbo",
		title: "R1: jumbo frames, which the kernel keeps in several buffers, are forwarded, cut and counted whole",
		role: "gateway",
		mtu: 9216,
		packets: [
			{ frame: four(udp4("198.51.100.7", 4000, VIP, 53, Buffer.alloc(9000 - 28, 1))), reason: "forwarded_new" },
			{ frame: four(udp4("198.51.100.7", 4000, VIP, 53, Buffer.alloc(9216 - 72 - 28, 2)), [7]), reason: "forwarded" },
			{ frame: six(udp6("2001:db8:100::7", 4000, VIP6, Buffer.alloc(9000 - 48, 4))), reason: "forwarded_new" },
			// Padding from the first buffer into the next ones.
			{ frame: Buffer.concat([four(udp4("198.51.100.7")), Buffer.alloc(9000, 6)]), reason: "forwarded" },
			{
				frame: Buffer.concat([four(udp4("198.51.100.7", 4000, VIP, 53, Buffer.alloc(4000, 7))), Buffer.alloc(5000, 8)]),
				reason: "forwarded",
			},
			{ frame: ethernet(0x0806, Buffer.alloc(9000)), reason: "not_ip" },
			{ frame: four(udp4("192.0.2.1", 4000, "203.0.113.99", 53, Buffer.alloc(9000))), reason: "not_service" },
			{ frame: four(udp4("192.0.2.1", 4000, VIP, 53, Buffer.alloc(9000))).subarray(0, 8999), reason: "truncated" },
		],
	},
	{
		name: "too-big-jumbo",
		title: "R1: jumbo frames that are larger still are answered by packet-too-big, and no byte more",
		role: "gateway",
		mtu: 9216,
		packets: [
			{ frame: four(df(udp4("198.51.100.7", 4000, VIP, 53, Buffer.alloc(9216 - 71 - 28, 3)))), reason: "too_big" },
			{ frame: six(udp6("2001:db8:100::7", 4000, VIP6, Buffer.alloc(9216 - 103 - 48, 5)), [7]), reason: "too_big" },
		],
	},
	{
		name: "jumbo-backend",
		title: "R1: jumbo frames are taken out of their tunnel",
		role: "backend",
		packets: [
			{ frame: tunnelled(udp4("198.51.100.7", 4000, VIP, 53, Buffer.alloc(9000 - 28, 1))), reason: "delivered" },
			{
				frame: Buffer.concat([
					tunnelled(udp4("198.51.100.7", 4000, VIP, 53, Buffer.alloc(4000, 2)), { header: { port: 5353 } }),
					Buffer.alloc(4000, 3),
				]),
				reason: "delivered",
			},
			{
				frame: tunnelled(udp4("198.51.100.7", 4000, VIP, 53, Buffer.alloc(9000 - 28, 1)), { spoil: spoilHeader(12) }),
				reason: "header_tag",
			},
		],
	},
	{
		name: "no-next-hop",
		title: "a target whose next hop has not answered",
		role: "gateway",
		unresolved: ["10.77.3.11"],
		packets: [{ frame: four(udp4("192.0.2.1")), reason: "no_next_hop" }],
	},
	{
		name: "backend",
		title: "R1 R3 R9: a backend verifies, notes the session, and delivers, to the header's port",
		role: "backend",
		packets: [
			{ frame: tunnelled(udp4("198.51.100.7")), reason: "delivered" },
			{ frame: tunnelled(udp4("198.51.100.8"), { header: { port: 5353 } }), reason: "delivered" },
			{
				frame: tunnelled(ipv4("198.51.100.8", VIP, 6, tcp(5000, 53, 2, Buffer.alloc(0), Buffer.alloc(0))), {
					header: { port: 5353, keyId: 2 },
				}),
				reason: "delivered",
			},
			{ frame: tunnelled(udp6("2001:db8:9::1"), { header: { port: 5353 } }), reason: "delivered" },
			{
				frame: tunnelled(ipv4("198.51.100.7", VIP, 17, udp(4000, 53, Buffer.alloc(16, 1)), 0x2000)),
				reason: "delivered",
			},
			{ frame: tunnelled(ipv4("198.51.100.7", VIP, 17, Buffer.alloc(16, 1), 0x0003)), reason: "delivered" },
		],
	},
	{
		name: "direct",
		title: "R3 R9 R22: a redirected client's packet straight to the backend is noted, and left as it is to the host",
		role: "backend",
		packets: [
			{ frame: four(udp4("198.51.100.7", 4000, OWN)), reason: "direct" },
			{ at: 100, frame: four(udp4("198.51.100.7", 4000, OWN), [7]), reason: "direct" },
			{
				at: 200,
				frame: four(ipv4("198.51.100.7", OWN, 6, tcp(4001, 53, 2, Buffer.alloc(0), Buffer.alloc(0)))),
				reason: "direct",
			},
			{ at: 300, frame: six(udp6("2001:db8:9::1", 4002, OWN6)), reason: "direct" },
			// One client, by the gateway and straight: one session.
			{ at: 400, frame: tunnelled(udp4("198.51.100.7", 4003)), reason: "delivered" },
			{ at: 500, frame: four(udp4("198.51.100.7", 4003, OWN)), reason: "direct" },
			{
				at: 600,
				frame: four(ipv4("198.51.100.7", OWN, 17, udp(4004, 53, Buffer.alloc(16, 1)), 0x2000)),
				reason: "direct",
			},
			// And none of these makes one.
			{ frame: four(ipv4("198.51.100.7", OWN, 17, Buffer.alloc(16, 1), 0x0003)), reason: "not_service" },
			{ frame: four(udp4("198.51.100.7", 4005, OWN, 54)), reason: "not_service" },
			{ frame: four(udp4("198.51.100.7", 0, OWN)), reason: "not_service" },
			{ frame: four(udp4("127.0.0.1", 4005, OWN)), reason: "not_service" },
			{ frame: four(changed(udp4("198.51.100.7", 4005, OWN), 10, 0)), reason: "not_service" },
			{ frame: four(udp4("198.51.100.7", 4005)), reason: "not_service" },
			{
				frame: four(
					ipv4(
						"192.0.2.1",
						OWN,
						1,
						Buffer.concat([Buffer.from([3, 3, 0, 0, 0, 0, 0, 0]), ipv4(OWN, "198.51.100.7", 17, udp(53, 4005, body))]),
					),
				),
				reason: "not_service",
			},
			{ frame: four(udp4("198.51.100.7", 4005, OWN, 6081)), reason: "tunnel_bad" },
			{
				at: 1000,
				change: ["    backends: [b1]\n", "    backends: [{ name: b1, port: 5353 }]\n"],
				frame: four(ipv4("198.51.100.7", OWN, 6, tcp(4001, 53, 16, Buffer.alloc(0), Buffer.alloc(0)))),
				reason: "not_service",
			},
			{ at: 1000, frame: four(udp4("198.51.100.7", 4006, OWN, 5353)), reason: "direct" },
		],
		sessions: {
			4000: { idleMs: 900, proven: true },
			4001: { idleMs: 800, proven: false },
			4002: { idleMs: 700, proven: false },
			4003: { idleMs: 500, proven: true },
			4004: { idleMs: 400, proven: false },
			4006: { idleMs: 0, proven: false },
		},
	},
	{
		name: "sent",
		title: "R9: what a backend sends keeps its client's session alive for a period of its own, or makes one",
		role: "backend",
		packets: [
			{
				change: ["    idle: 10s\n", "    idle: 10s\n    idleSent: 4s\n"],
				frame: four(udp4("198.51.100.7", 4000, OWN)),
				reason: "direct",
			},
			// A session ends at the later of both: this one at 10 s by the client's packet, then at 12 s by the last answer.
			{ at: 1000, sent: true, frame: four(sentBy(OWN, 4000)), reason: "sent: renewed" },
			{ at: 8000, sent: true, frame: four(sentBy(OWN, 4000)), reason: "sent: renewed" },
			{ at: 8000, sent: true, frame: four(sentBy(VIP, 4001)), reason: "sent: made" },
			{ at: 8000, frame: tunnelled(udp4("198.51.100.7", 4002)), reason: "delivered" },
			{ at: 8500, sent: true, frame: four(sentBy(VIP, 4002)), reason: "sent: renewed" },
			// The first byte tells enough: a tag, many segments in one with a checksum still to make, extension headers.
			{ at: 9000, sent: true, frame: four(sentBy(VIP, 4003), [7]), reason: "sent: made" },
			{
				at: 9000,
				sent: true,
				frame: four(
					changed(
						changed(ipv4(VIP, "198.51.100.7", 6, tcp(53, 4004, 16, Buffer.alloc(0), Buffer.alloc(0))), 2, 0xfa),
						10,
						0,
					),
				),
				reason: "sent: made",
			},
			{
				at: 9000,
				sent: true,
				frame: six(ipv6(hex(OWN6), hex("2001:db8:9::1"), 0, extension(17, udp(53, 4005, body)))),
				reason: "sent: made",
			},
			{
				at: 9000,
				sent: true,
				frame: four(ipv4(VIP, "198.51.100.7", 17, udp(53, 4006, Buffer.alloc(16)), 0x2000)),
				reason: "sent: made",
			},
			// None of these is a service's answer, or one that says whose.
			...[
				four(ipv4(VIP, "198.51.100.7", 17, Buffer.alloc(16, 1), 0x0003)),
				four(ipv4(OWN, "198.51.100.7", 17, udp(54, 4007, body))),
				four(ipv4("10.77.3.99", "198.51.100.7", 17, udp(53, 4007, body))),
				four(ipv4(VIP, "198.51.100.7", 1, Buffer.alloc(16))),
				four(sentBy(VIP, 0)),
				four(sentBy(VIP, 4007)).subarray(0, 36),
				four(changed(sentBy(VIP, 4007), 0, 0x41)),
				four(sentBy(VIP, 4007), [7, 8, 9]),
				ethernet(0x0806, Buffer.alloc(28)),
			].map((frame) => ({ at: 9000, sent: true as const, frame, reason: "sent: nothing" })),
			{ at: 9000, frame: four(udp4("198.51.100.7", 4002, OWN)), reason: "direct" },
		],
		sessions: {
			4000: { idleMs: 7000, proven: false },
			4001: { idleMs: 7000, proven: false },
			4002: { idleMs: 0, proven: true },
			...Object.fromEntries([4003, 4004, 4005, 4006].map((port) => [port, { idleMs: 6000, proven: false }])),
		},
	},
	{
		name: "sent-off",
		title: "R9: with idleSent 0 what a backend sends keeps nothing alive, from the reload on",
		role: "backend",
		packets: [
			{ frame: four(udp4("198.51.100.7", 4000, OWN)), reason: "direct" },
			{ at: 1000, sent: true, frame: four(sentBy(OWN, 4000)), reason: "sent: renewed" },
			{
				at: 2000,
				change: ["    idle: 10s\n", "    idle: 10s\n    idleSent: 0ms\n"],
				sent: true,
				frame: four(sentBy(OWN, 4000)),
				reason: "sent: nothing",
			},
			{ at: 3000, sent: true, frame: four(sentBy(OWN, 4001)), reason: "sent: nothing" },
		],
		sessions: { 4000: { idleMs: 2000, proven: false } },
	},
	{
		name: "sent-longer",
		title: "R9: where answers keep a session alive for longer than questions, a question does not shorten it",
		role: "backend",
		packets: [
			{
				change: ["    idle: 10s\n", "    idle: 1s\n    idleSent: 60s\n"],
				frame: four(udp4("198.51.100.7", 4000, OWN)),
				reason: "direct",
			},
			{ at: 100, sent: true, frame: four(sentBy(OWN, 4000)), reason: "sent: renewed" },
			{ at: 200, frame: four(udp4("198.51.100.7", 4000, OWN)), reason: "direct" },
			// 60 s after the answer is 400 ms from now, as if the client had sent something 600 ms ago.
			{ at: 59_700, frame: four(udp4("198.51.100.7", 4001, OWN)), reason: "direct" },
		],
		sessions: { 4000: { idleMs: 600, proven: true }, 4001: { idleMs: 0, proven: false } },
	},
	{
		name: "congestion",
		title: "RFC 6040: a congestion mark goes inwards where it is understood, and ends the packet where it isn't",
		role: "backend",
		packets: [
			{ frame: tunnelled(mended(changed(udp4("198.51.100.7"), 1, 2)), { tos: 3 }), reason: "delivered" },
			{ frame: tunnelled(udp4("198.51.100.7"), { tos: 3 }), reason: "congested" },
		],
	},
	{
		name: "forged",
		title: "R1: every byte of the header and of the flow is covered by the tag",
		role: "backend",
		packets: [
			...Array.from({ length: 8 }, (_, i) => ({
				frame: tunnelled(udp4("198.51.100.7"), { spoil: spoilHeader(12 + i) }),
				reason: "header_tag",
			})),
			...Array.from({ length: 8 }, (_, i) => ({
				frame: tunnelled(udp4("198.51.100.7"), { spoil: spoilHeader(24 + i, 0x80) }),
				reason: "header_tag",
			})),
			{ frame: tunnelled(udp4("198.51.100.7"), { flow: { sourcePort: 4001 } }), reason: "header_tag" },
			{
				frame: tunnelled(udp4("198.51.100.7"), { flow: { source: parseAddress("198.51.100.6") as Uint8Array } }),
				reason: "header_tag",
			},
			{ frame: tunnelled(udp4("198.51.100.7"), { header: { lease: 1 }, spoil: spoilHeader(5) }), reason: "header_tag" },
		],
	},
	{
		name: "headers",
		title: "headers that are refused, each under its name",
		role: "backend",
		packets: [
			{ frame: tunnelled(udp4("198.51.100.7"), { spoil: spoilHeader(0, 0x30) }), reason: "header_version" },
			{ frame: tunnelled(udp4("198.51.100.7"), { spoil: spoilHeader(0, 0x0d) }), reason: "header_type" },
			{ frame: tunnelled(udp4("198.51.100.7"), { header: { type: "redirect" } }), reason: "header_type" },
			{ frame: tunnelled(udp4("198.51.100.7"), { spoil: spoilHeader(1, 0x60) }), reason: "header_flags" },
			{ frame: tunnelled(udp4("198.51.100.7"), { spoil: spoilHeader(1, 0x02) }), reason: "header_length" },
			{ frame: tunnelled(udp4("198.51.100.7"), { header: { hops: 5 } }), reason: "delivered" },
			{ frame: tunnelled(udp4("198.51.100.7"), { header: { hops: 6 } }), reason: "header_hops" },
			{ frame: tunnelled(udp4("198.51.100.7"), { header: { port: 0 } }), reason: "header_port" },
			{ frame: tunnelled(udp4("198.51.100.7"), { header: { keyId: 3 } }), reason: "header_key" },
			{ frame: tunnelled(udp4("198.51.100.7"), { header: { issued: EPOCH_S - 30 } }), reason: "delivered" },
			{ frame: tunnelled(udp4("198.51.100.7"), { header: { issued: EPOCH_S - 31 } }), reason: "clock_skew" },
			{ frame: tunnelled(udp4("198.51.100.7"), { header: { issued: EPOCH_S + 31 } }), reason: "clock_skew" },
			{
				frame: tunnelled(udp4("198.51.100.7"), { header: { issued: EPOCH_S + 31 }, spoil: spoilHeader(24) }),
				reason: "header_tag",
			},
			{
				frame: tunnelled(udp4("198.51.100.7"), { header: { address: parseAddress("10.77.3.12") as Uint8Array } }),
				reason: "header_elsewhere",
			},
		],
	},
	{
		name: "tunnel-sources",
		title: "R1: where the configuration names every gateway's address, a backend takes the tunnel from members alone",
		role: "backend",
		packets: [
			{ frame: tunnelled(udp4("198.51.100.7"), { from: "198.51.100.7" }), reason: "delivered" },
			{
				at: 1,
				change: ["g1: { interface: eth0 }", 'g1: { interface: eth0, address: [10.77.2.2, "fd77:2::2"] }'],
				frame: tunnelled(udp4("198.51.100.7"), { from: "198.51.100.7" }),
				reason: "tunnel_source",
			},
			{ at: 2, frame: tunnelled(udp4("198.51.100.7")), reason: "delivered" },
			{ at: 3, frame: tunnelled(udp4("198.51.100.7"), { from: "10.77.3.12" }), reason: "delivered" },
			{
				at: 4,
				frame: tunnelled(udp4("198.51.100.7"), { from: "10.77.3.12", spoil: spoilHeader(24) }),
				reason: "header_tag",
			},
			{
				at: 5,
				change: ["  name: golden", "  name: golden\n  tunnelFrom: any"],
				frame: tunnelled(udp4("198.51.100.7"), { from: "198.51.100.7" }),
				reason: "delivered",
			},
		],
	},
	{
		name: "tunnel",
		title: "packets to the tunnel's port that no gateway sends",
		role: "backend",
		packets: [
			{ frame: tunnelled(udp4("198.51.100.7"), { raw: Buffer.from("hello") }), reason: "tunnel_bad" },
			{
				frame: tunnelled(udp4("198.51.100.7"), { spoil: (packet) => changed(packet, 28, 0x49) }),
				reason: "tunnel_bad",
			},
			{
				frame: tunnelled(udp4("198.51.100.7"), { spoil: (packet) => changed(packet, 29, 0xc0) }),
				reason: "tunnel_bad",
			},
			{
				frame: tunnelled(udp4("198.51.100.7"), { spoil: (packet) => changed(packet, 36, 0x01) }),
				reason: "tunnel_no_header",
			},
			{
				frame: tunnelled(udp4("198.51.100.7"), { spoil: (packet) => changed(packet, 28, 0x08) }),
				reason: "header_length",
			},
			{ frame: tunnelled(udp4("198.51.100.7"), { protocol: 0x86dd }), reason: "inner_bad" },
			{ frame: tunnelled(udp4("198.51.100.7").subarray(0, 27)), reason: "inner_bad" },
			{ frame: tunnelled(udp4("198.51.100.7", 4000, VIP, 54)), reason: "inner_not_service" },
			{ frame: tunnelled(udp4("198.51.100.7"), { to: "10.77.3.99" }), reason: "not_service" },
		],
	},
];
