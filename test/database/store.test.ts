import { expect, test } from "vitest";
import { MemoryStore, readSnapshot, StaticStore } from "../../src/database/index.js";
import { clockedHarness, storeContract } from "../contract/store.js";
import { config, DNS } from "./fixture.js";

storeContract("MemoryStore", () => clockedHarness(async (now) => new MemoryStore(now)));

storeContract("StaticStore", async () => {
	const states = ["active", "draining"];
	let now = 0;
	const store = await StaticStore.open(config(DNS), () => now);
	return {
		store,
		advance: async (ms) => {
			now += ms;
		},
		touch: async () => {
			states.reverse();
			await store.reload(
				config(
					DNS,
					`  b1: { address: [10.77.3.11, "fd77:3::11"], state: ${states[0]} }\n  b2: { address: 10.77.3.12 }\n  b3: { address: 10.77.3.13 }`,
				),
			);
		},
		close: () => store.close(),
	};
});

test("a reload changes only what differs", async () => {
	const store = await StaticStore.open(config(DNS));
	const before = await store.list("");
	await store.reload(config(DNS));
	expect(await store.list("")).toEqual(before);
	await store.reload(config(DNS.replace("dns:", "names:").replace("port: 53\n", "port: 54\n")));
	const keys = (await store.list("service/")).entries.map((entry) => entry.key);
	expect(keys).toEqual(["service/udp/2001:db8:53::53/54", "service/udp/203.0.113.53/54"]);
	expect((await store.get("backend/b1"))?.revision).toBe(before.entries.find((e) => e.key === "backend/b1")?.revision);
});

test("no read sees half a reload", async () => {
	const other = "  s: { address: 203.0.113.1, port: 1, protocol: udp, backends: [n1] }";
	const store = await StaticStore.open(config(DNS));
	const reloaded = store.reload(config(other, "  n1: { address: 10.77.3.21 }"));
	const seen = new Set<string>();
	for (let turn = 0; turn < 20; turn++) {
		const { services, backends } = await readSnapshot(store);
		seen.add(JSON.stringify([services.map((service) => service.name), [...backends.keys()]]));
	}
	await reloaded;
	const whole = ['[["dns","dns"],["b1","b2","b3"]]', '[["s"],["n1"]]'];
	for (const state of seen) expect(whole).toContain(state);
	expect(seen).toContain(whole[1]);
});

test("no secret stands in the database", async () => {
	const store = await StaticStore.open(config(DNS));
	expect(JSON.stringify(await store.list(""))).not.toContain("00112233445566778899aabbccddeeff");
});

test("a history that no longer reaches back is an error of its own", async () => {
	const store = new MemoryStore(() => 0, 2);
	for (let i = 0; i < 4; i++) await store.put("a", i);
	const watch = store.watch("", { from: 1 })[Symbol.asyncIterator]();
	await expect(watch.next()).rejects.toMatchObject({
		code: "SHUNT_STORE_COMPACTED",
		fields: { revision: 1, oldest: 3 },
	});
	const late = store.watch("", { from: 3 })[Symbol.asyncIterator]();
	expect((await late.next()).value).toMatchObject({ value: 2, revision: 3 });
});

test("R13 R15: a snapshot has services, backends and loads; records of later versions are passed over", async () => {
	const store = new MemoryStore();
	const load = { server: "b1", at: 1, total: 0.5, udpSessions: 3, tcpSessions: 4 };
	await store.put("load/b1", load, { lease: await store.grant(1000) });
	await store.put("later/x", 1);
	const snapshot = await readSnapshot(store);
	expect(snapshot.loads.get("b1")).toEqual(load);
	expect(snapshot.services).toEqual([]);
});

test("a reload leaves every unchanged record the same object in the next snapshot, frozen", async () => {
	const store = await StaticStore.open(config(DNS));
	const before = await readSnapshot(store);
	await store.reload({ ...config(DNS), backends: config(DNS).backends.slice(1) });
	const after = await readSnapshot(store);
	expect(after.backends.size).toBe(before.backends.size - 1);
	expect(after.services[0]).toBe(before.services[0]);
	expect(Object.isFrozen(after.services[0]?.redirection.choices)).toBe(true);
});
