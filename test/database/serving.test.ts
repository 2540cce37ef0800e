// serving.test.ts - what health does to tables: rows, epochs, and the panic threshold.

import { describe, expect, test } from "vitest";
import {
	type Compiled,
	compile,
	type ImposedStates,
	newTableIds,
	readSnapshot,
	StaticStore,
	type TableIds,
	targetsOf,
} from "../../src/database/index.js";
import { ROLE, TARGET_STATE } from "../../src/policy/index.js";
import { config, factsFor } from "./fixture.js";

/** A service of three backends, and a rule that names only the first of them, on the same terms. */
const SERVICE = `
  dns:
    address: 203.0.113.53
    port: 53
    protocol: udp
    via: ipv4
    backends: [b1, b2, b3]
    sources:
      - { from: 198.51.100.7, backends: [b1] }
`;

async function compiler(health = "") {
	const of = config(SERVICE + health);
	const store = await StaticStore.open(of);
	const snapshot = await readSnapshot(store);
	await store.close();
	const ids: TableIds = newTableIds();
	const [service] = snapshot.services;
	const keys = Object.fromEntries(
		targetsOf(snapshot, service!, service!.redirection).map(({ key, backend }) => [backend, key]),
	);
	let previous: Compiled | undefined;
	const step = (health: Record<string, "draining" | "inactive">) => {
		const imposed: ImposedStates = new Map(Object.entries(health).map(([backend, state]) => [keys[backend]!, state]));
		const facts = factsFor(snapshot);
		const common = { epoch: 1, roles: ROLE.gateway, cluster: of.cluster, own: [], wallOffsetNs: 0n };
		previous = compile({ ...common, snapshot, facts, ids, previous, health: imposed });
		return seen(previous, (backend) => ids.targets.get(keys[backend]!)!);
	};
	return step;
}

function seen({ tables, panics }: Compiled, id: (backend: string) => number) {
	const names = ["b1", "b2", "b3"];
	const target = (backend: string) => tables.targets.find((one) => one.id === id(backend))!;
	const rows = (redirection: number) =>
		[...tables.redirections[redirection]!.rows].map((row) => names.find((name) => id(name) === row));
	return {
		rows: rows(tables.services[0]!.redirection),
		backends: [...new Set(rows(tables.services[0]!.redirection))].sort(),
		ofRule: [...new Set(rows(tables.rules[0]!.redirection))],
		epochs: Object.fromEntries(names.map((name) => [name, target(name).epoch])),
		states: Object.fromEntries(names.map((name) => [name, target(name).state])),
		panics,
	};
}

describe("tables by health", () => {
	test("R31: an inactive target loses its rows and its epoch moves; the others' rows stay as they are", async () => {
		const step = await compiler();
		const before = step({});
		const after = step({ b2: "inactive" });
		expect(after.backends).toEqual(["b1", "b3"]);
		expect(after.epochs).toEqual({ b1: 0, b2: 1, b3: 0 });
		expect(after.states.b2).toBe(TARGET_STATE.inactive);
		const others = before.rows.flatMap((backend, i) => (backend === "b2" ? [] : [i]));
		const moved = others.filter((i) => after.rows[i] !== before.rows[i]);
		expect(moved.length / others.length).toBeLessThan(0.05);
		const back = step({});
		expect(back.rows).toEqual(before.rows);
		expect(back.epochs.b2).toBe(1);
	});

	test("R31: a draining target loses its rows and keeps its epoch, and so its sessions", async () => {
		const step = await compiler();
		step({});
		const after = step({ b2: "draining" });
		expect(after.backends).toEqual(["b1", "b3"]);
		expect(after.epochs.b2).toBe(0);
		expect(after.states.b2).toBe(TARGET_STATE.draining);
		expect(step({ b2: "inactive" }).epochs.b2, "its host dies as well").toBe(1);
	});

	test("R31: where less than half of the backends are usable, all are", async () => {
		const step = await compiler();
		step({});
		const panic = step({ b1: "inactive", b2: "inactive" });
		expect(panic.backends).toEqual(["b1", "b2", "b3"]);
		expect(panic.panics).toEqual([{ service: "udp/203.0.113.53/53", rule: null }]);
		expect(panic.states).toEqual({ b1: TARGET_STATE.active, b2: TARGET_STATE.active, b3: TARGET_STATE.active });
		const enough = step({ b1: "inactive" });
		expect(enough.backends).toEqual(["b2", "b3"]);
		expect(enough.panics).toEqual([]);
	});

	test("R31: a rule's only backend serves it, healthy or not, while other sources no longer get it", async () => {
		const step = await compiler();
		step({});
		const after = step({ b1: "inactive" });
		expect(after.backends).toEqual(["b2", "b3"]);
		expect(after.ofRule).toEqual(["b1"]);
		expect(after.epochs.b1, "sessions of other sources choose anew").toBe(1);
		expect(after.states.b1, "the packet program takes no inactive target").toBe(TARGET_STATE.draining);
		expect(after.panics, "no news beyond the backend's own").toEqual([]);
	});

	test("R31: fail: refuse uses no unhealthy backend, and panic: 0% only when all are", async () => {
		const refuse = await compiler("    health: { fail: refuse }\n");
		refuse({});
		expect(refuse({ b1: "inactive", b2: "inactive" }).backends).toEqual(["b3"]);
		const none = refuse({ b1: "inactive", b2: "inactive", b3: "inactive" });
		expect(none.backends).toEqual([]);
		expect(none.panics).toEqual([]);
		const open = await compiler("    health: { panic: 0% }\n");
		open({});
		expect(open({ b1: "inactive", b2: "inactive" }).backends).toEqual(["b3"]);
		expect(open({ b1: "inactive", b2: "inactive", b3: "inactive" }).backends).toEqual(["b1", "b2", "b3"]);
	});
});
