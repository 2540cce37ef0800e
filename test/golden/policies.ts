// policies.ts - what an operator writes to steer clients: weight 0, deny rules, services without sessions, of many ports, of
// many addresses. The same form as cases.ts.
//
// Owns: these cases. Each adds its services to CONFIG by a change, so that other cases' targets keep their numbers.

import { ipv4, udp } from "../wire/pcap.js";
import { type Case, four, tunnelled, udp4 } from "./cases.js";

/** A change that puts this service into CONFIG. */
const adding = (service: string): [string, string] => ["  alone:", `${service}\n  alone:`];

const POOL = "203.0.113.90";
const pool = (options: string) => `  pool: { address: ${POOL}, port: 53, protocol: udp, ${options} }`;
const toPool = (source: string, port = 4000) => four(udp4(source, port, POOL));

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
		title: "R2: a default that denies, prefixes that are served, and a silent exception among them",
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
];
