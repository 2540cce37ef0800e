// subject.mjs - a packet program in the kernel, with tables for one service of a hundred targets, pinned to be measured.
//
//   node subject.mjs PIN SESSIONS IFINDEX [OBJECT]    prints one line, {"buckets": …, "reasons": …} at each line it is sent;
//                                                     the line `forget` first ends every session
//
// Owns: the tables of the measurement. IFINDEX is the link that targets are reached by. Nothing is attached.

import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { NativeEngine } from "../../../dist/engine/index.js";
import { forwardingTable } from "../../../dist/policy/index.js";

const [pin, sessions4, ifindex, objectFile] = process.argv.slice(2);
const TARGETS = 100;
const MAGLEV_ROWS = 65_537;

const mapped = (text) => Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...text.split(".").map(Number)]);
/** @type {import("../../../dist/policy/index.js").TableTarget[]} */
const targets = Array.from({ length: TARGETS }, (_, i) => ({
	id: i + 1,
	address: mapped(`10.77.3.${i + 1}`),
	source: mapped("10.77.2.2"),
	nextHop: Buffer.from("02bb00000004", "hex"),
	ownMac: Buffer.from("02bb00000003", "hex"),
	port: 53,
	family: 4,
	epoch: 0,
	state: 1,
	mtu: 9000,
	ifindex: Number(ifindex),
	alternative: 0,
	headerFlags: 0,
	leaseS: 0,
	load: 0,
}));
const engine = new NativeEngine({
	kernel: {
		interfaces: [],
		mode: "native",
		sessions4: Number(sessions4),
		sessions6: 1024,
		...(objectFile === undefined ? {} : { objectFile }),
	},
});
engine.publish({
	epoch: 1,
	roles: 1,
	seed: [1234567890123n, 9876543210987n],
	wallOffsetNs: BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint(),
	windowS: 30,
	tunnelPort: 6081,
	signKey: 1,
	maxHops: 5,
	keys: [{ id: 1, secret: Buffer.alloc(16, 7) }],
	own: [],
	services: [
		{ id: 1, address: mapped("203.0.113.53"), port: 53, protocol: 17, family: 4, redirection: 0, idleMs: 60_000 },
	],
	rules: [],
	redirections: [
		{
			rows: forwardingTable(
				targets.map(({ id }) => ({ id, key: `target ${id}`, weight: 1 })),
				MAGLEV_ROWS,
				"bench",
			),
			spread: 0,
			choice: 0,
		},
	],
	targets,
});
rmSync(pin, { force: true });
engine.pinProgram(pin);
const say = () => {
	const reasons = Object.entries(engine.statistics.counters().reasons).map(([name, { packets }]) => [name, packets]);
	console.log(JSON.stringify({ buckets: engine.sessionTable().buckets, reasons: Object.fromEntries(reasons) }));
};
say();
const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
	let from = 0;
	if (line === "forget")
		do from = engine.removeSessions({ from, buckets: 65_536 }).next;
		while (from !== 0);
	say();
});
input.on("close", () => rmSync(pin, { force: true }));
