// Versions of the shared configuration: apply, conflict, rollback, changes that are too large for one commit.
import { describe, expect, test } from "vitest";
import { ANY_HOST, assemble, sharedRecords } from "../../src/config/index.js";
import {
	applyRecords,
	changeRecords,
	type Json,
	MemoryStore,
	plannedServices,
	readHistory,
	readShared,
	rollback,
	type Store,
	VERSION_KEY,
	versionOf,
} from "../../src/database/index.js";

const by = (name: string) => ({ by: name, note: "" });
const backends = (count: number) =>
	new Map<string, unknown>(
		Array.from({ length: count }, (_, i) => [`backend/b${i}`, { address: `10.9.${i >> 8}.${i & 255}` }]),
	);

describe("versions", () => {
	test("R2: each change is one version, with its history; what is equal is none", async () => {
		const store = new MemoryStore();
		expect(await applyRecords(store, backends(3), by("a"))).toMatchObject({ version: 1 });
		expect(await applyRecords(store, backends(3), by("a"))).toEqual({ version: 1, changed: [] });
		expect(await changeRecords(store, new Map([["backend/b9", { address: "10.9.0.9" }]]), by("b"))).toEqual({
			version: 2,
			changed: ["backend/b9"],
		});
		expect(await changeRecords(store, new Map([["backend/b0", undefined]]), by("b"))).toMatchObject({ version: 3 });
		const { records, version } = await readShared(store);
		expect([...records.keys()]).toEqual(["backend/b1", "backend/b2", "backend/b9"]);
		expect(version).toMatchObject({ version: 3, by: "b", applying: false });
		expect((await readHistory(store)).map((one) => [one.version, [...one.before]])).toMatchObject([
			[3, [["backend/b0", { address: "10.9.0.0" }]]],
			[2, [["backend/b9", null]]],
			[
				1,
				[
					["backend/b0", null],
					["backend/b1", null],
					["backend/b2", null],
				],
			],
		]);
	});

	test("R19: two operators at once: one wins, and the other is told who did", async () => {
		const store = new MemoryStore();
		await applyRecords(store, backends(2), by("first"));
		const results = await Promise.allSettled([
			applyRecords(store, backends(3), { planned: 1, by: "one", note: "three" }),
			applyRecords(store, backends(4), { planned: 1, by: "two", note: "four" }),
		]);
		const lost = results.find((one) => one.status === "rejected");
		const won = results[0].status === "fulfilled" ? "one" : "two";
		expect(lost?.reason).toMatchObject({ code: "SHUNT_DATABASE_CONFLICT" });
		expect(String(lost?.reason.message)).toContain(`by ${won}`);
		expect((await readShared(store)).records.size).toBe(won === "one" ? 3 : 4);
		await expect(applyRecords(store, backends(9), { planned: 1, by: "late", note: "" })).rejects.toMatchObject({
			code: "SHUNT_DATABASE_CONFLICT",
		});
	});

	test("rollback goes back by one version, or to any that is kept, as a new version", async () => {
		const store = new MemoryStore();
		for (const count of [2, 3, 5]) await applyRecords(store, backends(count), by("a"));
		expect(await rollback(store, undefined, "b")).toMatchObject({ version: 4, changed: ["backend/b3", "backend/b4"] });
		expect(await rollback(store, 1, "b")).toMatchObject({ version: 5 });
		expect((await readShared(store)).records).toEqual(backends(2));
		for (const version of [0, 5, 6, 99])
			await expect(rollback(store, version, "b")).rejects.toMatchObject({ code: "SHUNT_DATABASE_VERSION" });
		expect(await rollback(store, 3, "b")).toMatchObject({ version: 6 });
		expect((await readShared(store)).records).toEqual(backends(5));
	});

	test("the last 50 versions are kept", async () => {
		const store = new MemoryStore();
		for (let i = 1; i <= 55; i++)
			await changeRecords(store, new Map([["backend/b", { address: `10.0.0.${i}` }]]), by("a"));
		expect(await readHistory(store)).toHaveLength(50);
		await expect(rollback(store, 3, "b")).rejects.toMatchObject({ fields: { version: 3, oldest: 5, newest: 55 } });
		await rollback(store, 5, "b");
		expect((await readShared(store)).records.get("backend/b")).toEqual({ address: "10.0.0.5" });
	});

	test("a change that is larger than a commit is announced, and complete when its version is; one operator wins", async () => {
		const store = new MemoryStore();
		const versions: { version: number; applying: boolean; records: number }[] = [];
		const { revision } = await store.list("");
		const watching = (async () => {
			for await (const { key, value } of store.watch("", { from: revision + 1 })) {
				if (key !== VERSION_KEY) continue;
				const { version, applying } = versionOf(value);
				versions.push({ version, applying, records: (await readShared(store)).records.size });
				if (!applying) return;
			}
		})();
		await applyRecords(store, backends(1000), by("a"));
		await watching;
		expect(versions.at(-1)).toEqual({ version: 1, applying: false, records: 1000 });
		expect(versions.slice(0, -1).every(({ applying, version }) => applying && version === 0)).toBe(true);
		const results = await Promise.allSettled([
			applyRecords(store, backends(500), by("one")),
			applyRecords(store, backends(700), by("two")),
		]);
		expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
		const lost = results.find((one) => one.status === "rejected");
		expect(lost?.reason).toMatchObject({ code: "SHUNT_DATABASE_CONFLICT" });
		const winner = results[0].status === "fulfilled" ? 500 : 700;
		expect((await readShared(store)).records.size).toBe(winner);
		await rollback(store, undefined, "b");
		expect((await readShared(store)).records).toEqual(backends(1000));
	});

	test("an operator that dies within a large change leaves the version of before, and the next apply completes", async () => {
		const store = new MemoryStore();
		await applyRecords(store, backends(10), by("a"));
		let commits = 0;
		const dying = new Proxy(store, {
			get: (target, name) =>
				name === "commit"
					? (...args: Parameters<Store["commit"]>) => {
							if (++commits > 3) throw new Error("killed");
							return target.commit(...args);
						}
					: (Reflect.get(target, name) as (...args: unknown[]) => unknown).bind(target),
		});
		await expect(applyRecords(dying, backends(600), by("dies"))).rejects.toThrow("killed");
		expect((await readShared(store)).version).toMatchObject({ version: 1, applying: true });
		expect(await applyRecords(store, backends(600), { planned: 1, by: "b", note: "" })).toMatchObject({ version: 2 });
		expect((await readShared(store)).records).toEqual(backends(600));
	});

	test("rubbish in the database is version 0 and no history, never an exception", async () => {
		const store = new MemoryStore();
		const rubbish: Json[] = [null, 1, "x", [], {}, { version: "1" }, { version: -1 }, { version: 1.5, id: {} }];
		for (const value of rubbish) {
			await store.put(VERSION_KEY, value);
			await store.put("history/0000000001/000000", value);
			expect((await readShared(store)).version.version).toBe(0);
			expect(await readHistory(store)).toEqual([]);
		}
	});
});

describe("a plan", () => {
	const configOf = (names: readonly string[], services = "dns") =>
		assemble(
			ANY_HOST,
			sharedRecords({
				backends: Object.fromEntries(names.map((name) => [name, { address: `10.77.3.${name.slice(1)}` }])),
				services: { [services]: { address: "203.0.113.53", port: 53, protocol: "udp", backends: names } },
			}),
		).config;

	test("R11: says what part of new flows moves, and how much of it the shares make necessary", () => {
		const planned = plannedServices(configOf(["b1", "b2", "b3"]), configOf(["b1", "b2", "b3", "b4"]));
		expect(planned).toHaveLength(1);
		const { change, moved, necessary, shares } = planned[0]!;
		expect(change).toBe("changed");
		expect(necessary).toBeCloseTo(0.25, 1);
		expect(moved).toBeGreaterThanOrEqual(necessary);
		expect(moved, "Maglev moves little more than it must").toBeLessThan(0.35);
		expect(shares.find(({ backend }) => backend === "b4")).toMatchObject({ before: 0 });
	});

	test("a table that changes its size is named, for most of its flows move", () => {
		const planned = plannedServices(configOf(["b1", "b2", "b3"]), configOf(["b1", "b2"]));
		expect(planned[0]).toMatchObject({ change: "changed", rows: { before: 509, after: 251 } });
		expect(planned[0]!.moved).toBeGreaterThan(0.5);
	});

	test("nothing moves where nothing changes; services come and go", () => {
		const config = configOf(["b1", "b2"]);
		expect(plannedServices(config, config)).toEqual([]);
		const other = { ...config, services: [] };
		expect(plannedServices(other, config)).toMatchObject([{ change: "added", moved: 1 }]);
		expect(plannedServices(config, other)).toMatchObject([{ change: "removed", moved: 1 }]);
	});
});
