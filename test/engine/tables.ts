// tables.ts - a small set of tables for tests of an engine: one service, two targets, every second flow to each.

import type { TableSet } from "../../src/policy/index.js";
import { v4 } from "./links.js";

export const SERVICE = "203.0.113.53";

export function tables(change: Partial<TableSet> = {}, link: { ifindex: number; mac: Buffer } = nowhere): TableSet {
	const target = (id: number) => ({
		id,
		address: v4(`10.77.3.${10 + id}`),
		source: v4("10.77.3.1"),
		nextHop: Buffer.from([2, 0, 0, 0, 0, id]),
		ownMac: link.mac,
		port: 53,
		family: 4 as const,
		epoch: 0,
		state: 1 as const,
		mtu: 1500,
		ifindex: link.ifindex,
		alternative: 0,
		headerFlags: 0,
		leaseS: 0,
		load: 0,
	});
	return {
		epoch: 1,
		roles: 1,
		seed: [0x1234n, 0x5678n],
		wallOffsetNs: 0n,
		windowS: 30,
		tunnelPort: 6081,
		signKey: 1,
		maxHops: 5,
		keys: [{ id: 1, secret: Buffer.alloc(16, 7) }],
		own: [],
		services: [{ id: 1, address: v4(SERVICE), port: 53, protocol: 17, family: 4, redirection: 0, idleMs: 30_000 }],
		rules: [],
		redirections: [{ rows: Uint16Array.from([1, 2]), spread: 0, choice: 0 }],
		targets: [target(1), target(2)],
		...change,
	};
}
const nowhere = { ifindex: 0, mac: Buffer.alloc(6) };
