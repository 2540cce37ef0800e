// policies.ts - what an operator writes to steer clients: weight 0, deny rules, services without sessions, of many ports, of
// many addresses. The same form as cases.ts.
//
// Owns: these cases. Each adds its services to CONFIG by a change, so that other cases' targets keep their numbers.

import { capability, encodeControl, encodeHeader, parseAddress } from "../../src/wire/index.js";
import { ipv4, ipv6, tcp, udp } from "../wire/pcap.js";
import { type Case, four, hex, six, tunnelled, udp4 } from "./cases.js";

/** A change that puts this service into CONFIG. */
const adding = (service: string): [string, string] => ["  alone:", `${service}\n  alone:`];

const POOL = "203.0.113.90";
const pool = (options: string) => `  pool: { address: ${POOL}, port: 53, protocol: udp, ${options} }`;
const toPool = (source: string, port = 4000) => four(udp4(source, port, POOL));

const several = (port: string, options: string, name = "several") =>
	`  ${name}: { address: ${POOL}, port: ${port}, protocol: udp, ${options} }`;
const to = (source: string, sourcePort: number, port: number) => four(udp4(source, sourcePort, POOL, port));

/** A control datagram about one port of the service. */
function capabilityAbout(port: number): Buffer {
	const address = parseAddress(POOL) as Uint8Array;
	return Buffer.from(encodeControl(encodeHeader(capability(7n)), { protocol: 17, port, address }, undefined, 88));
}

/** A datagram's bytes differ from another's by its checksum, too. */
const question = (source: string, port: number, number: number) => {
	const datagram = udp(port, 53, Buffer.from(`question ${number}`));
	datagram.writeUInt16BE(0x1000 + number, 6);
	return four(ipv4(source, POOL, 17, datagram));
};

export const policies: Case[] = [
	{
		name: "weight-zero",
		title: "R9: weight 0 in one service: a backend keeps its sessions there and gets no new ones, as if it drained",
		role: "gateway",
		packets: [
			{ change: adding(pool("backends: [b1]")), frame: toPool("192.0.2.1"), reason: "forwarded_new" },
			{
				at: 1,
				change: [pool("backends: [b1]"), pool("backends: [{ name: b1, weight: 0 }, b2]")],
				frame: toPool("192.0.2.1"),
				reason: "forwarded",
			},
			...[4001, 4002, 4003, 4004].map((port) => ({
				at: port - 3999,
				frame: toPool("192.0.2.1", port),
				reason: "forwarded_new",
			})),
			{ at: 9, frame: four(udp4("192.0.2.1", 4001)), reason: "forwarded_new" },
		],
	},
	{
		name: "denied",
		title: "R2: a default that denies and says so, prefixes that are served, and a silent exception among them",
		role: "gateway",
		packets: [
			{
				change: adding(
					pool(
						"backends: [b1], sources: [{ from: 0.0.0.0/0, action: refuse }, { from: 198.51.100.10-198.51.100.99, action: allow }, { from: 198.51.100.20, action: silent }]",
					),
				),
				frame: toPool("192.0.2.1"),
				reason: "denied",
			},
			{ at: 1, frame: toPool("198.51.100.9"), reason: "denied" },
			{ at: 2, frame: toPool("198.51.100.10"), reason: "forwarded_new" },
			{ at: 3, frame: toPool("198.51.100.20"), reason: "denied" },
			{ at: 4, frame: toPool("198.51.100.99"), reason: "forwarded_new" },
			{
				at: 5,
				change: ["{ from: 198.51.100.10-198.51.100.99, action: allow }, ", ""],
				frame: toPool("198.51.100.99"),
				reason: "forwarded",
			},
			{ at: 6, frame: toPool("198.51.100.99", 4001), reason: "denied" },
		],
	},
	{
		name: "refused-by-rule",
		title: "R2: a rule that refuses answers what is long enough, and one that is silent answers nothing",
		role: "gateway",
		packets: [
			{
				change: adding(
					pool(
						"backends: [b1], sources: [{ from: 0.0.0.0/0, action: refuse }, { from: 198.51.100.20, action: silent }]",
					),
				),
				frame: toPool("192.0.2.1"),
				reason: "denied",
			},
			{ at: 1, frame: four(udp4("192.0.2.1", 4002, POOL, 53, Buffer.alloc(28, 1))), reason: "refused" },
			{ at: 2, frame: four(udp4("198.51.100.20", 4002, POOL, 53, Buffer.alloc(28, 1))), reason: "denied" },
		],
	},
	{
		name: "no-session",
		title: "R18: without sessions each datagram is chosen by itself, and the same datagram goes where it went before",
		role: "gateway",
		sessions: {},
		packets: Array.from({ length: 12 }, (_, i) => ({
			at: i,
			frame: question("192.0.2.1", 4000, i % 10),
			reason: "forwarded_alone",
			...(i === 0 ? { change: adding(pool("session: none, backends: [b1, b2, b3]")) } : {}),
		})),
	},
	{
		name: "no-session-by-source",
		title: "R18: without sessions, spread by source keeps a client at one backend",
		role: "gateway",
		sessions: {},
		packets: Array.from({ length: 6 }, (_, i) => ({
			at: i,
			frame: question("192.0.2.1", 4000 + i, i),
			reason: "forwarded_alone",
			...(i === 0 ? { change: adding(pool("session: none, spread: source, backends: [b1, b2, b3]")) } : {}),
		})),
	},
	{
		name: "no-session-at-backend",
		title: "R9: a backend keeps no record of a service without sessions, by neither direction",
		role: "backend",
		sessions: {},
		packets: [
			{
				change: adding(pool("session: none, backends: [b1]")),
				frame: tunnelled(udp4("192.0.2.1", 4000, POOL)),
				reason: "delivered",
			},
			{ at: 1, frame: tunnelled(udp4("192.0.2.1", 4000, POOL)), reason: "delivered" },
			{ at: 2, frame: four(ipv4(POOL, "192.0.2.1", 17, udp(53, 4000, Buffer.from("reply")))), sent: true, reason: "*" },
		],
	},
	{
		name: "any-port",
		title:
			"R3 R32: any port: all ports of a client's one are one session, and the header has the port that the client sends to",
		role: "gateway",
		packets: [
			{
				change: adding(`${several("any", "backends: [b1, b2, b3]")}\n${pool("backends: [b2]")}`),
				frame: to("192.0.2.1", 4000, 69),
				reason: "forwarded_new",
			},
			...[32_768, 50_000, 65_535, 1].map((port, i) => ({
				at: i + 1,
				frame: to("192.0.2.1", 4000, port),
				reason: "forwarded",
			})),
			{ at: 6, frame: to("192.0.2.1", 4001, 69), reason: "forwarded_new" },
			// A service of exactly this port comes first, and the control port is the gateway's own.
			{ at: 7, frame: to("192.0.2.1", 4000, 53), reason: "forwarded_new" },
			{ at: 8, frame: to("192.0.2.1", 4000, 3575), reason: "control_bad" },
			{ at: 9, frame: to("192.0.2.1", 4000, 0), reason: "not_service_port" },
			{
				at: 10,
				frame: four(ipv4("192.0.2.1", POOL, 6, tcp(4000, 69, 2, Buffer.alloc(0), Buffer.alloc(0)))),
				reason: "not_service_port",
			},
			{
				at: 11,
				frame: four(ipv4("192.0.2.2", POOL, 17, udp(4000, 700, Buffer.alloc(16, 1)), 0x2000)),
				reason: "forwarded_new",
			},
			{ at: 12, frame: four(ipv4("192.0.2.2", POOL, 17, Buffer.alloc(24, 1), 0x0003)), reason: "forwarded_fragment" },
		],
	},
	{
		name: "port-ranges",
		title: "R3: ranges and a list of ports: the narrowest entry has a port, and other ports are no service's",
		role: "gateway",
		packets: [
			{
				change: adding(
					`${several("[5060, 10000-10009]", "backends: [b1]", "sip")}\n${several("20000-20100", "backends: [b2]", "media")}\n${several("any", "backends: [b3]", "rest").replace(POOL, "203.0.113.91")}`,
				),
				frame: to("192.0.2.1", 4000, 5060),
				reason: "forwarded_new",
			},
			...[9999, 10_000, 10_009, 10_010, 19_999, 20_000, 20_100, 20_101].map((port, i) => ({
				at: i + 1,
				frame: to("192.0.2.1", 4000 + port, port),
				reason: [10_000, 10_009, 20_000, 20_100].includes(port) ? "forwarded_new" : "not_service_port",
			})),
		],
	},
	{
		name: "any-port-by-source",
		title: "R3 R18: any port, spread by source: signalling and media of one client go to one backend",
		role: "gateway",
		packets: [5060, 10_000, 10_001, 30_000].map((port, i) => ({
			at: i,
			frame: to("192.0.2.7", 5060 + i, port),
			reason: "forwarded_new",
			...(i === 0 ? { change: adding(several("any", "spread: source, backends: [b1, b2, b3]")) } : {}),
		})),
	},
	{
		name: "any-port-at-backend",
		title:
			"R3 R32: any port at a backend: delivered to the port that the client sends to, replies from any port renew its session",
		role: "backend",
		packets: [
			{
				change: adding(several("any", "backends: [b1]")),
				frame: tunnelled(udp4("192.0.2.1", 4000, POOL, 69), { header: { port: 69 } }),
				reason: "delivered",
			},
			{
				at: 1,
				frame: four(ipv4(POOL, "192.0.2.1", 17, udp(40_001, 4000, Buffer.from("data")))),
				sent: true,
				reason: "*",
			},
			{
				at: 2,
				frame: tunnelled(udp4("192.0.2.1", 4000, POOL, 40_001), { header: { port: 40_001 } }),
				reason: "delivered",
			},
			// Other traffic of the host itself is left alone.
			{ at: 3, frame: four(udp4("192.0.2.1", 4000, "10.77.3.11", 40_001)), reason: "not_service" },
		],
	},
	{
		name: "port-range-redirected",
		title: "R3 R7: a range of ports, redirected: the redirect and its alternative have the port that was asked about",
		role: "gateway",
		packets: [10_000, 10_005].map((port, i) => ({
			at: i,
			frame: four(udp4("192.0.2.1", 4000, POOL, 3575, capabilityAbout(port))),
			reason: "answered",
			...(i === 0
				? {
						change: adding(
							several("10000-10009", "backends: [b1, b2], redirect: { clients: true, term: leased, lease: 60s }"),
						),
					}
				: {}),
		})),
	},
	{
		name: "address-prefix",
		title:
			"R1 R3: a prefix of service addresses: one service at all of them, a longer prefix and a single address come first",
		role: "gateway",
		packets: [
			{
				change: adding(
					`${pool("backends: [b1]").replace(POOL, "203.0.113.128/25")}\n${pool("backends: [b2]").replace("pool", "near").replace(POOL, "203.0.113.192/28")}\n${pool("backends: [b3]").replace("pool", "one").replace(POOL, "203.0.113.193")}`,
				),
				frame: four(udp4("192.0.2.1", 4000, "203.0.113.128")),
				reason: "forwarded_new",
			},
			{ at: 1, frame: four(udp4("192.0.2.1", 4000, "203.0.113.255")), reason: "forwarded" },
			{ at: 2, frame: four(udp4("192.0.2.1", 4000, "203.0.113.192")), reason: "forwarded_new" },
			{ at: 3, frame: four(udp4("192.0.2.1", 4000, "203.0.113.207")), reason: "forwarded" },
			{ at: 4, frame: four(udp4("192.0.2.1", 4000, "203.0.113.193")), reason: "forwarded_new" },
			{ at: 5, frame: four(udp4("192.0.2.1", 4000, "203.0.113.208", 54)), reason: "not_service_port" },
			{ at: 6, frame: four(udp4("192.0.2.1", 4000, "203.0.113.127")), reason: "not_service" },
			{ at: 7, frame: four(udp4("192.0.2.1", 4000, "203.0.113.140", 3575)), reason: "control_bad" },
		],
	},
	{
		name: "address-prefix6",
		title: "R1 R3: a prefix of IPv6 service addresses, with any port",
		role: "gateway",
		packets: ["2001:db8:77::", "2001:db8:77:0:ffff::1", "2001:db8:77:1::1"].map((address, i) => ({
			at: i,
			frame: six(ipv6(hex("2001:db8:9::1"), hex(address), 17, udp(4000, 53 + i, Buffer.from("question")))),
			reason: ["forwarded_new", "forwarded", "not_service"][i] as string,
			...(i === 0 ? { change: adding(several("any", "backends: [b1, b2]").replace(POOL, '"2001:db8:77::/64"')) } : {}),
		})),
	},
	{
		name: "address-prefix-at-backend",
		title: "R1 R3: a backend delivers to every address of a prefix, and renews the session by replies from them",
		role: "backend",
		packets: [
			{
				change: adding(pool("backends: [b1]").replace(POOL, "203.0.113.128/25")),
				frame: tunnelled(udp4("192.0.2.1", 4000, "203.0.113.200")),
				reason: "delivered",
			},
			{
				at: 1,
				frame: four(ipv4("203.0.113.200", "192.0.2.1", 17, udp(53, 4000, Buffer.from("reply")))),
				sent: true,
				reason: "*",
			},
			{ at: 2, frame: tunnelled(udp4("192.0.2.1", 4000, "203.0.113.9")), reason: "inner_not_service" },
		],
	},
];
