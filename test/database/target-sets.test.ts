// target-sets.test.ts - services that share their targets, where there are too many for each to have its own.

import { describe, expect, test } from "vitest";
import { type Config, parseConfig } from "../../src/config/index.js";
import {
	type Compiled,
	compile,
	leftTargets,
	newTableIds,
	type Snapshot,
	snapshotOfConfig,
	type TableIds,
	tableIdsOf,
	withSharedTargets,
} from "../../src/database/index.js";
import { ROLE } from "../../src/policy/index.js";

const BACKENDS = 50;
const names = Array.from({ length: BACKENDS }, (_, i) => `b${i}`);

/** `lists`: the backends of services that have not all of them. */
function config(services: number, lists: Readonly<Record<number, readonly string[]>> = {}): Config {
	const listOf = (i: number) => (lists[i] ?? names).join(", ");
	const one = (i: number) =>
		`  s${i}: { address: 203.0.113.${i % 50}, port: ${1000 + Math.floor(i / 50)}, protocol: udp, backends: [${listOf(i)}] }`;
	return parseConfig(
		`version: 1
cluster: { seed: t, keys: [{ id: 1, secret: "000102030405060708090a0b0c0d0e0f" }] }
backends:
${names.map((name, i) => `  ${name}: { address: 10.80.0.${i + 1} }`).join("\n")}
services:
${Array.from({ length: services }, (_, i) => one(i)).join("\n")}
`,
		"big.yaml",
	);
}

interface InForce {
	readonly snapshot: Snapshot;
	readonly compiled: Compiled;
}

function published(from: Config, ids: TableIds, previous?: InForce): InForce {
	const fresh = snapshotOfConfig(from);
	// As a store does: what has not changed remains the same object.
	const known = new Map(previous?.snapshot.services.map((one) => [one.key, one]));
	const services = fresh.services.map((one) => {
		const before = known.get(one.key);
		return before !== undefined && JSON.stringify(before) === JSON.stringify(one) ? before : one;
	});
	const backends = previous?.snapshot.backends ?? fresh.backends;
	const snapshot = withSharedTargets({ ...fresh, services, backends }, ids);
	const compiled = compile({
		...{ epoch: 1, roles: ROLE.gateway, cluster: from.cluster, snapshot, facts: new Map(), own: [] },
		...{ ids, wallOffsetNs: 0n, previous: previous?.compiled },
	});
	return { snapshot, compiled };
}

/** The ids of the targets in a service's rows. */
function rowsOf({ compiled }: InForce, ids: TableIds, key: string): Set<number> {
	const { tables } = compiled;
	const service = tables.services.find(({ id }) => id === ids.services.get(key))!;
	return new Set(tables.redirections[service.redirection]!.rows);
}

describe("many services of the same backends", () => {
	test("2,000 services of 50 backends have one target for each backend and port", { timeout: 20_000 }, () => {
		const { tables } = published(config(2000), newTableIds()).compiled;
		expect(tables.services).toHaveLength(2000);
		expect(tables.targets).toHaveLength(40 * BACKENDS); // 40 ports
		expect(tables.redirections).toHaveLength(40);
		for (const { id, alternative } of tables.targets) expect(alternative).not.toBe(id);
	});

	test("few services have targets, and counters, of their own", () => {
		const ids = newTableIds();
		const few = published(config(50), ids);
		expect(few.compiled.tables.targets).toHaveLength(50 * BACKENDS);
		// Those keep theirs when others come.
		const more = published(config(150), ids, few);
		expect(more.compiled.tables.targets).toHaveLength(50 * BACKENDS + 2 * BACKENDS);
		expect(rowsOf(more, ids, "udp/203.0.113.0/1000")).toEqual(rowsOf(few, ids, "udp/203.0.113.0/1000"));
		expect(leftTargets(few, more, ids)).toEqual([]);
	});

	test("one service's change compiles one set, and moves no other's targets", { timeout: 20_000 }, () => {
		const ids = newTableIds();
		const before = published(config(2000), ids);
		expect(before.compiled.recompiled).toBe(40);
		const after = published(config(2000, { 1999: names.slice(1) }), ids, before);
		expect(after.compiled.recompiled).toBe(1);
		expect(after.compiled.tables.targets).toHaveLength(40 * BACKENDS + BACKENDS - 1);
		expect(rowsOf(after, ids, "udp/203.0.113.48/1039")).toEqual(rowsOf(before, ids, "udp/203.0.113.48/1039"));
		expect(rowsOf(after, ids, "udp/203.0.113.49/1039").size).toBe(BACKENDS - 1);
		// b0 still serves others at that port, so the sessions that this service has there are ended.
		const [left, ...others] = leftTargets(before, after, ids);
		expect(others).toEqual([]);
		expect(left).toMatchObject({ service: ids.services.get("udp/203.0.113.49/1039") });
		expect(left?.targets).toHaveLength(1);
		expect(rowsOf(before, ids, "udp/203.0.113.48/1039")).toContain(left?.targets[0]);
		// Nothing changed: nothing is compiled.
		expect(published(config(2000, { 1999: names.slice(1) }), ids, after).compiled.recompiled).toBe(0);
	});

	test("a backend that is taken from all services moves no other target, also after a restart", () => {
		const kept = newTableIds();
		const before = published(config(400), kept);
		const ids = tableIdsOf(JSON.parse(JSON.stringify(kept)));
		const without = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [i, names.slice(1)]));
		const after = published(config(400, without), ids);
		const key = "udp/203.0.113.7/1000";
		const [was, is] = [rowsOf(before, kept, key), rowsOf(after, ids, key)];
		expect(is.size).toBe(BACKENDS - 1);
		for (const id of is) expect(was).toContain(id);
	});

	test("too many targets are refused with their number and the remedy", { timeout: 20_000 }, () => {
		const lists = Object.fromEntries(
			Array.from({ length: 1400 }, (_, i) => [i, names.filter((_, k) => k !== i % 50 && k !== Math.floor(i / 50))]),
		);
		expect(() => published(config(1400, lists), newTableIds())).toThrow(
			/^6\d{4} targets are in use at once; must be at most 65534; a backend counts once for every address, port and terms/,
		);
	});
});
