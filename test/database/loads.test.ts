// loads.test.ts - choosing by load as a whole: sessions → loads → tables → the packet program's own choice.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseAddress } from "../../src/config/index.js";
import { type Compiled, compile, newTableIds, snapshotOfConfig, targetLoads } from "../../src/database/index.js";
import { NativeEngine } from "../../src/engine/index.js";
import { CHOICE, FULL_LOAD, type Loads, loadsMoved, ROLE } from "../../src/policy/index.js";
import { config, factsFor } from "./fixture.js";

const SERVICE = "address: 203.0.113.53, port: 53, protocol: udp";

describe("targetLoads", () => {
	const loadsOf = (services: string, sessions: Record<string, number>, backends?: string) => {
		const snapshot = snapshotOfConfig(config(services, backends));
		const ids = newTableIds();
		compileNow(snapshot, ids);
		const counts = new Uint32Array(65_536);
		for (const [target, count] of Object.entries(sessions)) counts[ids.targets.get(target)!] = count;
		return Object.fromEntries(targetLoads(snapshot, ids, () => counts));
	};
	const key = (backend: number, port = 53) =>
		`udp/203.0.113.53/53>b${backend}/10.77.3.1${backend}/${port} gateway only`;

	test("R18: sessions over the weight, of each service that chooses by load", () => {
		expect(
			loadsOf(
				`  s: { ${SERVICE}, choose: least-load, backends: [b1, { name: b2, weight: 4 }] }
  t: { address: 203.0.113.54, port: 53, protocol: udp, backends: [b3] }`,
				{ [key(1)]: 10, [key(2)]: 20 },
			),
		).toEqual({ [key(1)]: FULL_LOAD, [key(2)]: 32_768 });
	});

	test("a draining backend's sessions do not set the scale of the others", () => {
		const backends = `  b1: { address: 10.77.3.11, state: draining }\n  b2: { address: 10.77.3.12 }\n  b3: { address: 10.77.3.13 }`;
		expect(
			loadsOf(
				`  s: { ${SERVICE}, choose: least-load, backends: [b1, b2, b3] }`,
				{ [key(1)]: 1000, [key(2)]: 3, [key(3)]: 1 },
				backends,
			),
		).toEqual({ [key(2)]: FULL_LOAD, [key(3)]: FULL_LOAD / 3 });
	});

	test("a backend that a rule names too is one server: all its sessions count, over the service's own weight", () => {
		const service = (more: string) =>
			`  s: { ${SERVICE}, choose: least-load, backends: [b1, { name: b2, weight: 2 }]${more} }`;
		const sessions = { [key(1)]: 10, [key(2)]: 10 };
		expect(
			loadsOf(service(", sources: [{ from: 10.0.0.0/8, backends: [{ name: b2, weight: 9 }] }]"), sessions),
		).toEqual(loadsOf(service(""), sessions));
	});

	test("where no service chooses by load, sessions are not even counted", () => {
		const snapshot = snapshotOfConfig(config(`  s: { ${SERVICE}, backends: [b1] }`));
		const count = () => {
			throw new Error("asked");
		};
		expect(targetLoads(snapshot, newTableIds(), count).size).toBe(0);
	});
});

describe("compile", () => {
	test("R18: a target has its load, a redirection its choice; a target without a report has load 0", () => {
		const snapshot = snapshotOfConfig(
			config(`  s: { ${SERVICE}, choose: least-load, backends: [b1, b2] }
  t: { address: 203.0.113.54, port: 53, protocol: udp, choose: maglev, backends: [b1, b2] }`),
		);
		const ids = newTableIds();
		const { tables } = compileNow(snapshot, ids, { "udp/203.0.113.53/53>b2/10.77.3.12/53 gateway only": 77 });
		expect(tables.targets.map(({ load }) => load).sort()).toEqual([0, 0, 0, 77]);
		expect(tables.services.map((service) => tables.redirections[service.redirection]!.choice)).toEqual([
			CHOICE.lessLoaded,
			CHOICE.row,
		]);
	});

	test("loads move no row and no epoch, and forwarding tables are not computed again", () => {
		const snapshot = snapshotOfConfig(config(`  s: { ${SERVICE}, choose: least-load, backends: [b1, b2, b3] }`));
		const ids = newTableIds();
		const before = compileNow(snapshot, ids);
		const busy = Object.fromEntries([...ids.targets.toJSON().ids].map(([key], i) => [key, i * 20_000]));
		const after = compileNow(snapshot, ids, busy, before);
		expect(after.tables.redirections[0]!.rows).toBe(before.tables.redirections[0]!.rows);
		expect(after.tables.targets.map(({ load, ...rest }) => rest)).toEqual(
			before.tables.targets.map(({ load, ...rest }) => rest),
		);
		expect(after.tables.targets.map(({ load }) => load)).toEqual([0, 20_000, 40_000]);
	});
});

function compileNow(
	snapshot: ReturnType<typeof snapshotOfConfig>,
	ids: ReturnType<typeof newTableIds>,
	loads: Loads | Record<string, number> = {},
	previous?: Compiled,
): Compiled {
	return compile({
		epoch: (previous?.tables.epoch ?? 0) + 1,
		roles: ROLE.gateway,
		cluster: config(`  s: { ${SERVICE}, backends: [b1] }`).cluster,
		snapshot,
		facts: factsFor(snapshot),
		own: [],
		ids,
		previous,
		wallOffsetNs: 0n,
		loads: loads instanceof Map ? loads : new Map(Object.entries(loads)),
	});
}

/** An engine wants something to capture, though it is only asked here: a file of no packets. */
const folder = mkdtempSync(join(tmpdir(), "shunt-loads-"));
writeFileSync(join(folder, "none.pcap"), Buffer.from("d4c3b2a1020004000000000000000000ffff000001000000", "hex"));
afterAll(() => rmSync(folder, { recursive: true }));

/**
 * Sessions that come one after the other and stay, each to the target that the packet program chooses for it, and loads as
 * a member publishes them, looked at after every `refresh` sessions. Returns each target's sessions over its weight.
 */
function fill(choose: string, targets: number, sessions: number, refresh: number, weight = (_: number) => 1) {
	const names = Array.from({ length: targets }, (_, i) => i + 1);
	const snapshot = snapshotOfConfig(
		config(
			`  s: { ${SERVICE}, choose: ${choose}, backends: [${names.map((i) => `{ name: b${i}, weight: ${weight(i)} }`)}] }`,
			names.map((i) => `  b${i}: { address: 10.77.4.${i} }`).join("\n"),
		),
	);
	const ids = newTableIds();
	const engine = new NativeEngine({ workers: [{ file: join(folder, "none.pcap") }] });
	const counts = new Uint32Array(65_536);
	let loads: Loads = new Map();
	let publications = 0;
	let compiled: Compiled | undefined;
	for (let i = 0; i < sessions; i++) {
		if (i % refresh === 0) {
			const now = targetLoads(snapshot, ids, () => counts);
			if (compiled === undefined || loadsMoved(loads, now)) {
				loads = now;
				compiled = compileNow(snapshot, ids, loads, compiled);
				engine.publish(compiled.tables);
				publications++;
			}
		}
		const { choice } = engine.explain({
			source: parseAddress(`198.51.${i >> 8}.${i & 255}`)!.bytes,
			sourcePort: 1024 + (i % 50_000),
			destination: parseAddress("203.0.113.53")!.bytes,
			destinationPort: 53,
			protocol: 17,
			family: 4,
		});
		const { other } = choice!;
		expect(other === undefined ? "maglev" : "least-load").toBe(choose);
		if (other !== undefined) expect(choice!.load).toBeLessThanOrEqual(other.load);
		counts[choice!.target]!++;
	}
	const shares = compiled!.tables.targets.map(({ id, address }) => counts[id]! / weight(address[15]!));
	const total = shares.reduce((sum, share) => sum + share, 0);
	return { shares, unevenness: (Math.max(...shares) * shares.length) / total, publications };
}

describe("R18: over a hundred targets the fullest has at most a tenth more than its share", () => {
	test("by two rows and loads; by rows alone it has far more", () => {
		const byRow = fill("maglev", 100, 10_000, 100);
		const byLoad = fill("least-load", 100, 10_000, 100);
		expect(byLoad.unevenness).toBeLessThanOrEqual(1.1);
		expect(byRow.unevenness).toBeGreaterThan(1.2);
		expect(byRow.publications).toBe(1);
	});

	test("by weight too", () => {
		const weight = (i: number) => 1 + (i % 4);
		expect(fill("least-load", 100, 25_000, 250, weight).unevenness).toBeLessThanOrEqual(1.1);
		expect(fill("maglev", 100, 25_000, 250, weight).unevenness).toBeGreaterThan(1.1);
	});

	test("loads that ten new sessions of each target have overtaken still do better than rows alone", () => {
		const { shares } = fill("least-load", 100, 10_000, 1000);
		expect(Math.max(...shares)).toBeLessThanOrEqual(115);
		expect(Math.min(...shares)).toBeGreaterThanOrEqual(85);
	});
});
