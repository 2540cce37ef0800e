// policies.ts - what an operator writes to steer clients: weight 0, deny rules, services without sessions, of many ports, of
// many addresses. The same form as cases.ts.
//
// Owns: these cases. Each adds its services to CONFIG by a change, so that other cases' targets keep their numbers.

import { type Case, four, udp4 } from "./cases.js";

/** A change that puts this service into CONFIG. */
const adding = (service: string): [string, string] => ["  alone:", `${service}\n  alone:`];

const POOL = "203.0.113.90";
const pool = (options: string) => `  pool: { address: ${POOL}, port: 53, protocol: udp, ${options} }`;
const toPool = (source: string, port = 4000) => four(udp4(source, port, POOL));

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
];
