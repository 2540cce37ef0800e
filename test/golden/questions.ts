// questions.ts - golden cases of clients that can redirect themselves: what they ask, and what they are answered.
//
// Owns: the cases. cases.ts has all others, and the configuration that both start from.

import {
	type About,
	capability,
	encodeControl,
	encodeHeader,
	encodeSurplus,
	encodeTcpCapability,
	FLAG,
	type Flow,
	type Header,
	parseAddress,
	signHeader,
} from "../../src/wire/index.js";
import { ipv4, ipv6, tcp, udp } from "../wire/pcap.js";
import { type Case, EPOCH_S, four, hex, KEYS, OWN, six, tunnelled, udp4, VIP, VIP6 } from "./cases.js";

const bytes = (text: string) => parseAddress(text) as Uint8Array;
const NONCE = 0x0123456789abcdefn;
const FORWARD = "redirect: { clients: true, term: leased, lease: 60s }";
const answer = (how: string): [string, string] => [FORWARD, FORWARD.replace("true", `true, answer: ${how}`)];
/** All sources are spread over three backends, and redirected. */
const THREE: [string, string] = [
	"    backends: [b1]\n    sources",
	"    backends: [b1, b2, b3]\n    redirect: { clients: true, term: leased, lease: 60s }\n    sources",
];

const about = (protocol = 17, port = 53, address = VIP): About => ({ protocol, port, address: bytes(address) });
const control = (header: Header, whom = about(), size = 88) =>
	Buffer.from(encodeControl(encodeHeader(header), whom, undefined, size));
const ask = (nonce = NONCE, whom = about()) => control(capability(nonce), whom);

/** A redirect that a server of this cluster has given, shown again. */
function ticket(type: "failure" | "probe" | "redirect", fields: Partial<Header>, flow: Partial<Flow> = {}): Header {
	const header = {
		type,
		flags: FLAG.redirect | FLAG.leased | (type === "failure" ? FLAG.failure : 0),
		port: 53,
		lease: 60,
		hops: 0,
		keyId: 1,
		issued: EPOCH_S,
		nonce: NONCE,
		address: bytes(OWN),
		...fields,
	};
	const of: Flow = {
		family: 4,
		source: bytes("198.51.100.7"),
		destination: bytes(VIP),
		sourcePort: 0,
		destinationPort: 53,
		protocol: 17,
		...flow,
	};
	return signHeader(header, of, KEYS.get(header.keyId) as Buffer);
}

function checked(packet: Buffer): Buffer {
	const six = (packet[0] as number) >> 4 === 6;
	const at = six ? 40 : (packet[0]! & 15) * 4;
	const end = at + packet.readUInt16BE(at + 4);
	let sum = 17 + end - at;
	for (let i = six ? 8 : 12; i < end; i += 2)
		sum += i === at + 6 ? 0 : ((packet[i] as number) << 8) | (i + 1 < end ? (packet[i + 1] as number) : 0);
	while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
	packet.writeUInt16BE(~sum & 0xffff || 0xffff, at + 6);
	return packet;
}

/** A datagram with a header as its option, and room for the answer. */
const withOption = (header: Header, data: string, room = 100) => {
	const payload = Buffer.from(data);
	const bare = encodeHeader(header);
	const odd = payload.length % 2 === 1;
	const surplus = Buffer.from(encodeSurplus(bare, odd, bare.length + 6 + (odd ? 1 : 0) + room));
	return udp(4000, 53, payload, surplus);
};
const in4 = (segment: Buffer, source = "198.51.100.7", to = VIP) => four(checked(ipv4(source, to, 17, segment)));
const in6 = (segment: Buffer, source = "2001:db8:100::7", to = VIP6) =>
	six(checked(ipv6(hex(source), hex(to), 17, segment)));
/** Options as Linux sends them, and the capability. */
const LINUX = Buffer.from("020405b40402080a000000010000000001030307", "hex");
const synOptions = Buffer.concat([LINUX, encodeTcpCapability(NONCE), Buffer.from([1, 1])]);

const onControl = (source: string, payload: Buffer, port = 4000) => four(udp4(source, port, VIP, 3575, payload));

export const questions: Case[] = [
	{
		name: "asked",
		title:
			"R5 R6 R7 R14 R15 R24: a capability in a control datagram is answered with the rule's redirect, on the control port and the service's own",
		role: "gateway",
		packets: [
			{ frame: onControl("198.51.100.7", ask()), reason: "answered" },
			{ at: 1, frame: four(udp4("198.51.100.7", 4000, VIP, 53, ask())), reason: "answered" },
			{ at: 2, frame: four(udp4("198.51.100.7")), reason: "forwarded" }, // of the session that the question made
			{ at: 3, frame: onControl("198.51.100.8", ask()), reason: "answered" },
			{ at: 4, frame: onControl("198.51.100.9", ask()), reason: "answered" },
			{ at: 5, frame: onControl("192.0.2.9", ask()), reason: "answered" }, // no terms: stay
			{ at: 6, frame: onControl("198.51.100.7", ask(NONCE, about(6))), reason: "answered" },
			{
				at: 7,
				frame: six(ipv6(hex("2001:db8:100::7"), hex(VIP6), 17, udp(4000, 3575, ask(NONCE, about(17, 53, VIP6))))),
				reason: "answered",
			},
			{
				at: 8,
				frame: six(
					ipv6(
						hex("2001:db8:9::9"),
						hex("2001:db8:53::64"),
						17,
						udp(4000, 53, ask(1n, about(17, 53, "2001:db8:53::64"))),
					),
				),
				reason: "answered",
			},
			{ at: 9, frame: four(udp4("198.51.100.7", 4000, VIP, 3575, ask()).subarray(), [7, 8]), reason: "answered" },
		],
	},
	{
		name: "asked-alternative",
		title: "R8: with several targets the redirect names an alternative",
		role: "gateway",
		packets: [
			{ frame: onControl("192.0.2.9", ask()), reason: "answered", change: THREE },
			{ at: 1, frame: onControl("192.0.2.10", ask()), reason: "answered" },
		],
	},
	{
		name: "lease-held",
		title: "R7: the session of a leased client lives as long as its lease, though the service's idle period is shorter",
		role: "gateway",
		packets: [
			{ frame: onControl("198.51.100.7", ask()), reason: "answered" },
			{ at: 30_000, frame: four(udp4("198.51.100.7")), reason: "forwarded" },
			{ at: 75_000, frame: four(udp4("198.51.100.7")), reason: "forwarded_new" },
		],
	},
	{
		name: "failure",
		title:
			"R8 R21: a failure leads to another target, the next one to a third, until none is left; and the session goes along",
		role: "gateway",
		packets: [
			{
				frame: in4(udp(4000, 53, Buffer.from("hello")), "198.51.100.9"),
				reason: "forwarded_new",
				change: [
					"    backends: [b1]\n    sources:",
					"    backends: [b1]\n    sources:\n      - { from: [198.51.100.30/32], backends: [b1, b2, b3], redirect: { clients: true, term: leased, lease: 60s } }",
				],
			},
			...["10.77.3.11", "10.77.3.12", "10.77.3.13"].flatMap((failed, i) => [
				{
					at: 10 + i,
					frame: onControl(
						"198.51.100.30",
						control(ticket("failure", { address: bytes(failed) }, { source: bytes("198.51.100.30") })),
						4100 + i,
					),
					reason: "answered_failure",
				},
				{ at: 20 + i, frame: in4(udp(4100 + i, 53, Buffer.from("again")), "198.51.100.30"), reason: "forwarded" },
			]),
			...["10.77.3.11", "10.77.3.12", "10.77.3.13"].map((failed, i) => ({
				at: 30 + i,
				frame: onControl(
					"198.51.100.30",
					control(ticket("failure", { address: bytes(failed), hops: 1 }, { source: bytes("198.51.100.30") })),
					4200 + i,
				),
				reason: "answered_failure",
			})),
			{
				at: 40,
				frame: onControl(
					"198.51.100.30",
					control(ticket("failure", { hops: 5 }, { source: bytes("198.51.100.30") })),
					4300,
				),
				reason: "answered_failure",
			},
			// Wrong tickets are no more than capabilities: another source's, another service's, one that has ended.
			{
				at: 50,
				frame: onControl("198.51.100.30", control(ticket("failure", {})), 4301),
				reason: "answered",
			},
			{
				at: 51,
				frame: onControl(
					"198.51.100.30",
					control(ticket("failure", {}, { source: bytes("198.51.100.30"), destinationPort: 54 })),
					4302,
				),
				reason: "answered",
			},
			{
				at: 52,
				frame: onControl(
					"198.51.100.30",
					control(ticket("failure", { issued: EPOCH_S - 91 }, { source: bytes("198.51.100.30") })),
					4303,
				),
				reason: "answered",
			},
		],
	},
	{
		name: "failure-chain",
		title:
			"R8: one server after the other fails: each answer's alternative is where the next failure leads, until none is left",
		role: "gateway",
		packets: ["10.77.3.13", "10.77.3.12", "10.77.3.11"].map((failed, hops) => ({
			at: hops,
			frame: onControl(
				"192.0.2.9",
				control(ticket("failure", { address: bytes(failed), hops }, { source: bytes("192.0.2.9") })),
				4100 + hops,
			),
			reason: "answered_failure",
			...(hops === 0 ? { change: THREE } : {}),
		})),
	},
	{
		name: "failure-option",
		title: "R8 R21: a datagram that carries a failure is forwarded to another target, which is to tell the client",
		role: "gateway",
		packets: [
			{
				frame: in4(withOption(ticket("failure", {}, { source: bytes("192.0.2.9") }), "again"), "192.0.2.9"),
				reason: "forwarded_failed",
				change: THREE,
			},
			{ at: 1, frame: in4(udp(4000, 53, Buffer.from("next")), "192.0.2.9"), reason: "forwarded" },
		],
	},
	{
		name: "asked-limited",
		title: "a source is answered 32 times at once and then 8 times a second; others are not touched by that",
		role: "gateway",
		packets: [
			...Array.from({ length: 32 }, () => ({ frame: onControl("198.51.100.7", ask()), reason: "answered" })),
			{ at: 1, frame: onControl("198.51.100.7", ask()), reason: "limited" },
			{ at: 2, frame: onControl("198.51.100.8", ask()), reason: "answered" },
			{ at: 3, frame: four(udp4("198.51.100.7")), reason: "forwarded" },
			{ at: 200, frame: onControl("198.51.100.7", ask()), reason: "answered" },
			{ at: 201, frame: onControl("198.51.100.7", ask()), reason: "limited" },
		],
	},
	{
		name: "control-bad",
		title:
			"what is no question, or about no service: dropped on the control port, the application's on the service's own",
		role: "gateway",
		packets: [
			{ frame: onControl("198.51.100.7", Buffer.from("hello")), reason: "control_bad" },
			{ frame: onControl("198.51.100.7", ask().subarray(0, 87)), reason: "control_bad" },
			{ frame: onControl("198.51.100.7", control({ ...capability(1n), hops: 9 })), reason: "header_hops" },
			{ frame: onControl("198.51.100.7", control(ticket("redirect", {}))), reason: "header_type" },
			{ frame: onControl("198.51.100.7", ask(1n, about(17, 54))), reason: "control_not_service" },
			{ frame: onControl("198.51.100.7", ask(1n, about(17, 53, "203.0.113.1"))), reason: "control_not_service" },
			{ frame: onControl("198.51.100.7", ask(1n, about(1, 53))), reason: "control_not_service" },
			{ frame: onControl("198.51.100.7", control(ticket("probe", {}))), reason: "header_type" },
			{ frame: onControl("198.51.100.7", ask(), 0), reason: "bad_source" },
			{ frame: four(udp4("198.51.100.7", 4000, VIP, 53, ask().subarray(0, 40))), reason: "forwarded_new" },
			{ frame: four(udp4("198.51.100.7", 4000, VIP, 53, control(ticket("redirect", {})))), reason: "forwarded" },
		],
	},
	{
		name: "told-the-target",
		title: "R4 R16 R24: forward and indicate: the target's header carries R and the client's nonce",
		role: "gateway",
		packets: [
			{ frame: in4(withOption(capability(NONCE), "even")), reason: "forwarded_new" },
			{ at: 1, frame: in4(withOption(capability(NONCE), "odd")), reason: "forwarded" },
			{ at: 2, frame: in6(withOption(capability(NONCE), "even")), reason: "forwarded_new" },
			{ at: 3, frame: in4(withOption(capability(NONCE), "none"), "192.0.2.9"), reason: "forwarded_new" }, // no terms
			// An option that is damaged, or not ours, makes no difference.
			{ at: 4, frame: in4(withOption(capability(NONCE), "even").fill(1, 30, 31)), reason: "forwarded" },
			{ at: 5, frame: in4(udp(4000, 53, Buffer.from("even"), Buffer.alloc(50))), reason: "forwarded" },
			{
				at: 6,
				frame: four(ipv4("198.51.100.7", VIP, 6, tcp(5000, 53, 2, synOptions, Buffer.alloc(0)))),
				reason: "forwarded_new",
			},
		],
	},
	{
		name: "indicate",
		title: "R14: indicate: the redirect alone, in a control datagram or a RST, and never longer than the question",
		role: "gateway",
		packets: [
			{ frame: in4(withOption(capability(NONCE), "even")), reason: "indicated", change: answer("indicate") },
			{ at: 1, frame: in4(withOption(capability(NONCE), "odd")), reason: "indicated" },
			{ at: 2, frame: in6(withOption(capability(NONCE), "even")), reason: "indicated" },
			{ at: 3, frame: in4(withOption(capability(NONCE), "even", 0)), reason: "forwarded" }, // no room
			{ at: 4, frame: in4(udp(4000, 53, Buffer.from("plain"))), reason: "forwarded" },
			{
				at: 5,
				frame: four(ipv4("198.51.100.7", VIP, 6, tcp(5000, 53, 2, synOptions, Buffer.alloc(0)))),
				reason: "indicated",
			},
			{
				at: 6,
				frame: four(ipv4("198.51.100.7", VIP, 6, tcp(5001, 53, 2, LINUX, Buffer.alloc(0)))),
				reason: "forwarded_new",
			},
			{
				at: 7,
				frame: six(ipv6(hex("2001:db8:100::7"), hex(VIP6), 6, tcp(5000, 53, 2, synOptions, Buffer.alloc(0)))),
				reason: "forwarded_new", // a RST would be longer
			},
			{
				at: 8,
				frame: four(ipv4("198.51.100.7", VIP, 6, tcp(5000, 53, 16, synOptions, Buffer.alloc(0)))),
				reason: "forwarded",
			},
		],
	},
	{
		name: "return",
		title:
			"R14: return: the redirect, and behind it the packet without its option; where that does not fit, it is forwarded",
		role: "gateway",
		packets: [
			{ frame: in4(withOption(capability(NONCE), "a question")), reason: "returned", change: answer("return") },
			{ at: 1, frame: in4(withOption(capability(NONCE), "odd")), reason: "returned" },
			{ at: 2, frame: in6(withOption(capability(NONCE), "a question", 130)), reason: "returned" },
			{ at: 3, frame: in4(withOption(capability(NONCE), "a question", 20)), reason: "forwarded" },
			{
				at: 4,
				frame: four(ipv4("198.51.100.7", VIP, 17, withOption(capability(NONCE), "no sum"))),
				reason: "forwarded",
			},
			{
				at: 5,
				frame: four(ipv4("198.51.100.7", VIP, 6, tcp(5000, 53, 2, synOptions, Buffer.alloc(0)))),
				reason: "indicated",
			},
		],
	},
	{
		name: "probed",
		title:
			"R20: a backend answers a probe whose ticket is right and in force, from the address and port that were asked",
		role: "backend",
		packets: [
			{ frame: four(udp4("198.51.100.7", 4000, OWN, 53, control(ticket("probe", {})))), reason: "answered_probe" },
			{
				at: 1,
				frame: four(udp4("198.51.100.7", 4001, OWN, 3575, control(ticket("probe", {})))),
				reason: "answered_probe",
			},
			{
				at: 2,
				frame: four(udp4("198.51.100.7", 4000, OWN, 53, control(ticket("probe", {}, { protocol: 6 }), about(6)))),
				reason: "answered_probe",
			},
			{ at: 3, frame: four(udp4("198.51.100.8", 4000, OWN, 53, control(ticket("probe", {})))), reason: "header_tag" },
			{
				at: 4,
				frame: four(udp4("198.51.100.7", 4000, OWN, 53, control(ticket("probe", {}), about(6)))),
				reason: "header_tag",
			},
			{
				at: 5,
				frame: four(udp4("198.51.100.7", 4000, OWN, 53, control(ticket("probe", { address: bytes("10.77.3.12") })))),
				reason: "header_elsewhere",
			},
			{
				at: 6,
				frame: four(udp4("198.51.100.7", 4000, OWN, 53, control(ticket("probe", { issued: EPOCH_S - 95 })))),
				reason: "header_expired",
			},
			{
				at: 7,
				frame: four(udp4("198.51.100.7", 4000, OWN, 53, control(ticket("probe", {}), about(17, 54)))),
				reason: "control_not_service",
			},
			{ at: 8, frame: four(udp4("198.51.100.7", 4000, OWN, 3575, ask())), reason: "header_type" },
			{ at: 9, frame: four(udp4("198.51.100.7", 4000, OWN, 53, ask())), reason: "direct" }, // the application's
			{ at: 10, frame: four(udp4("198.51.100.7", 4000, OWN, 9, control(ticket("probe", {})))), reason: "not_service" },
		],
	},
	{
		name: "uninvited",
		title:
			"a service for redirected clients only: a client without a ticket is dropped, also after its invitation has ended",
		role: "backend",
		packets: [
			{
				frame: four(udp4("198.51.100.7", 4000, OWN)),
				reason: "uninvited",
				change: ["    idle: 10s\n", "    idle: 10s\n    uninvited: drop\n"],
			},
			{
				at: 1,
				frame: four(udp4("198.51.100.7", 4000, OWN, 53, control(ticket("probe", {})))),
				reason: "answered_probe",
			},
			{ at: 2, frame: four(udp4("198.51.100.7", 4001, OWN)), reason: "direct" },
			{ at: 3, frame: four(udp4("198.51.100.8", 4001, OWN)), reason: "uninvited" },
			{ at: 80_000, frame: four(udp4("198.51.100.7", 4002, OWN)), reason: "direct" },
			{ at: 95_000, frame: four(udp4("198.51.100.7", 4003, OWN)), reason: "uninvited" },
		],
	},
	{
		name: "sent-on",
		title:
			"R8 R9: a draining backend keeps its sessions, and sends those that it does not know on to another one, one hop further",
		role: "backend",
		packets: [
			{ frame: tunnelled(udp4("198.51.100.7")), reason: "delivered", change: THREE },
			{
				at: 1,
				frame: tunnelled(udp4("198.51.100.7")),
				reason: "delivered",
				change: ['"fd77:3::11"] }', '"fd77:3::11"], state: draining }'],
			},
			{
				at: 2,
				frame: tunnelled(udp4("192.0.2.9", 4001), { header: { nonce: NONCE, hops: 2 } }),
				reason: "forwarded_on",
			},
			{ at: 3, frame: tunnelled(udp4("192.0.2.9", 4001)), reason: "forwarded_on" },
			{
				at: 4,
				frame: tunnelled(ipv4("192.0.2.9", VIP, 6, tcp(5000, 53, 2, Buffer.alloc(0), Buffer.alloc(0)))),
				reason: "forwarded_on",
			},
			{ at: 5, frame: tunnelled(udp4("192.0.2.9", 4001), { header: { hops: 5 } }), reason: "header_hops" },
		],
	},
];
