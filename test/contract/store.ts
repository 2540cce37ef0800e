// The contract of src/database/store.ts as tests, to be run over every implementation.
//
// Works over whatever the store holds already: it names its own keys, and compares revisions with those it was given.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Change, MOST_WRITES, type Store } from "../../src/database/index.js";

export interface Harness {
	readonly store: Store;
	/** Lets this time pass for leases: a fake clock moves, a real one is waited for. */
	advance(ms: number): Promise<void>;
	/** All times are multiplied by this, where the clock is real and a machine slow. */
	readonly slower?: number;
	/** Makes a change that the store's owner can make even where other writers may not. */
	touch(): Promise<void>;
	close(): Promise<void>;
}

/** Of a store that takes writes, over a clock that the tests move. */
export async function clockedHarness(open: (now: () => number) => Promise<Store>): Promise<Harness> {
	let now = 1_000_000;
	let touched = 0;
	const store = await open(() => now);
	return {
		store,
		advance: async (ms) => {
			now += ms;
		},
		touch: async () => {
			await store.put("touched", { times: ++touched });
		},
		close: () => store.close(),
	};
}

export function storeContract(name: string, open: () => Promise<Harness>): void {
	describe(`Store contract: ${name}`, { timeout: 90_000 }, () => {
		let harness: Harness;
		let store: Store;
		let times = 1;
		const advance = (ms: number) => harness.advance(ms * times);
		beforeEach(async () => {
			harness = await open();
			store = harness.store;
			times = harness.slower ?? 1;
		});
		afterEach(() => harness.close());

		test("R2: list gives entries by key, each as get gives it", async () => {
			await harness.touch();
			const { entries, revision } = await store.list("");
			expect(entries.length).toBeGreaterThan(0);
			expect(entries.map((entry) => entry.key)).toEqual(entries.map((entry) => entry.key).sort());
			for (const entry of entries) {
				expect(await store.get(entry.key)).toEqual(entry);
				expect(entry.revision).toBeGreaterThan(0);
				expect(entry.revision).toBeLessThanOrEqual(revision);
			}
		});

		test("list keeps to its prefix", async () => {
			await harness.touch();
			const first = (await store.list("")).entries[0]!;
			expect((await store.list(first.key)).entries).toContainEqual(first);
			expect((await store.list("no such prefix/")).entries).toEqual([]);
			expect(await store.get("no such key")).toBeUndefined();
		});

		test("what a reader does with a value changes nothing", async () => {
			await harness.touch();
			const first = (await store.list("")).entries[0]!;
			const before = JSON.stringify(first.value);
			if (typeof first.value === "object" && first.value !== null) Object.assign(first.value, { tampered: true });
			expect(JSON.stringify((await store.get(first.key))?.value)).toBe(before);
		});

		test("a watch after a list sees each later change once, in order", async () => {
			const { revision } = await store.list("");
			const seen = collect(store, "", revision + 1, 2);
			await harness.touch();
			await harness.touch();
			const changes = await seen;
			expect(changes).toHaveLength(2);
			expect(changes[0]!.revision).toBeGreaterThan(revision);
			expect(changes[1]!.revision).toBeGreaterThan(changes[0]!.revision);
		});

		test("a watch replays what happened before it began", async () => {
			const { revision } = await store.list("");
			await harness.touch();
			expect((await collect(store, "", revision + 1, 1))[0]!.revision).toBeGreaterThan(revision);
		});

		test("a signal ends a watch, also before it has begun", async () => {
			expect(await collect(store, "", (await store.list("")).revision + 1, 1, AbortSignal.abort())).toEqual([]);
			const controller = new AbortController();
			const waiting = collect(store, "", (await store.list("")).revision + 1, 1, controller.signal);
			await Promise.resolve();
			controller.abort();
			expect(await waiting).toEqual([]);
		});

		test("closing ends watches, and nothing can be asked afterwards", async () => {
			const waiting = collect(store, "", (await store.list("")).revision + 1, 1);
			await Promise.resolve();
			await store.close();
			expect(await waiting).toEqual([]);
			await expect(store.get("a")).rejects.toMatchObject({ code: "SHUNT_STORE_CLOSED" });
			await expect(store.list("")).rejects.toMatchObject({ code: "SHUNT_STORE_CLOSED" });
		});

		test("R13: a load report is taken, and goes with its lease: then the load is unknown", async () => {
			const lease = await store.grant(5000 * times);
			await store.put("load/b1", { total: 0.5 }, { lease });
			expect((await store.get("load/b1"))?.value).toEqual({ total: 0.5 });
			await advance(4000);
			await lease.renew();
			await advance(4000);
			expect((await store.list("load/")).entries).toHaveLength(1);
			await harness.touch();
			expect((await store.list("load/")).entries, "a reload is no reason to forget it").toHaveLength(1);
			await advance(5001);
			expect(await store.get("load/b1")).toBeUndefined();
		});

		test("writes are refused where the store takes none", async () => {
			if (store.writable) return;
			const before = await store.list("");
			const refused = { code: "SHUNT_STORE_READ_ONLY", exitStatus: 2 };
			await expect(store.put("test/a", 1)).rejects.toMatchObject(refused);
			await expect(store.delete(before.entries[0]?.key ?? "test/a")).rejects.toMatchObject(refused);
			await expect(store.commit([{ key: "test/a", value: 1 }])).rejects.toMatchObject(refused);
			expect(await store.list("")).toEqual(before);
		});

		/** Titles stay the same for every implementation; one that takes no writes has been asked for that above. */
		const writing = (title: string, run: () => Promise<void>) =>
			test(title, async ({ skip }) => {
				skip(!store.writable, "takes no writes");
				await run();
			});

		writing("what was put is there, at the revision that was answered", async () => {
			const put = await store.put("test/a", { n: [1, "x", null, true] });
			expect(put.done).toBe(true);
			expect(await store.get("test/a")).toEqual({
				key: "test/a",
				value: { n: [1, "x", null, true] },
				revision: put.done && put.revision,
			});
		});

		writing("what a writer does with its value afterwards changes nothing", async () => {
			const value = { n: 1 };
			await store.put("test/a", value);
			value.n = 2;
			expect((await store.get("test/a"))?.value).toEqual({ n: 1 });
		});

		writing("every change moves the revision; a delete of nothing is no change", async () => {
			const revisions = [(await store.list("")).revision];
			await store.put("test/a", 1);
			revisions.push((await store.list("")).revision);
			await store.put("test/a", 1);
			revisions.push((await store.list("")).revision);
			await store.delete("test/a");
			revisions.push((await store.list("")).revision);
			expect(new Set(revisions).size).toBe(4);
			expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
			expect((await store.delete("test/a")).done).toBe(true);
			expect((await store.list("")).revision).toBe(revisions[3]);
		});

		writing("compare-and-swap: of two writers that saw the same entry, one wins", async () => {
			await store.put("test/a", "first");
			const seen = (await store.get("test/a"))!;
			expect((await store.put("test/a", "second", { expect: seen.revision })).done).toBe(true);
			const lost = await store.put("test/a", "third", { expect: seen.revision });
			expect(lost).toMatchObject({ done: false, current: { value: "second" } });
			expect(await store.delete("test/a", { expect: seen.revision })).toMatchObject({ done: false });
			expect((await store.get("test/a"))?.value).toBe("second");
		});

		writing("compare-and-swap: revision 0 expects that there is none", async () => {
			expect((await store.put("test/b", 1, { expect: 0 })).done).toBe(true);
			expect((await store.put("test/b", 2, { expect: 0 })).done).toBe(false);
			await store.delete("test/b");
			expect((await store.put("test/b", 3, { expect: 0 })).done).toBe(true);
			expect(await store.put("test/c", 1, { expect: 1 })).toEqual({ done: false, current: undefined });
		});

		writing("a commit makes all of its changes at one revision, and a watch sees them in its order", async () => {
			await store.put("test/a", 1);
			const { revision } = await store.list("");
			const done = await store.commit([
				{ key: "test/c", value: 3 },
				{ key: "test/a", value: undefined },
				{ key: "test/b", value: { n: 2 } },
				{ key: "test/none", value: undefined },
			]);
			expect(done).toMatchObject({ done: true });
			const { entries } = await store.list("test/");
			expect(entries.map(({ key, value }) => [key, value])).toEqual([
				["test/b", { n: 2 }],
				["test/c", 3],
			]);
			expect(new Set(entries.map((entry) => entry.revision)).size).toBe(1);
			const changes = await collect(store, "test/", revision + 1, 3);
			expect(changes.map(({ key }) => key)).toEqual(["test/c", "test/a", "test/b"]);
			expect(new Set(changes.map((change) => change.revision)).size).toBe(1);
		});

		writing(
			"R19: of two commits that expect the same revision, one is made and the other changes nothing",
			async () => {
				await store.put("test/head", 1);
				const seen = new Map([["test/head", (await store.get("test/head"))!.revision]]);
				const commit = (by: string) =>
					store.commit(
						[
							{ key: `test/${by}`, value: by },
							{ key: "test/head", value: by },
						],
						seen,
					);
				const results = await Promise.all([commit("one"), commit("two")]);
				expect(results.filter(({ done }) => done)).toHaveLength(1);
				const winner = results[0]!.done ? "one" : "two";
				expect(results.find(({ done }) => !done)).toMatchObject({ current: { key: "test/head", value: winner } });
				expect((await store.list("test/")).entries.map(({ key }) => key)).toEqual(["test/head", `test/${winner}`]);
				const absent = await store.commit([{ key: "test/x", value: 1 }], new Map([["test/head", 0]]));
				expect(absent.done).toBe(false);
			},
		);

		writing("a commit of MOST_WRITES changes is one revision", async () => {
			const writes = Array.from({ length: MOST_WRITES }, (_, i) => ({ key: `test/many/${i}`, value: i }));
			const done = await store.commit(writes, new Map([["test/many/0", 0]]));
			const { entries } = await store.list("test/many/");
			expect(entries).toHaveLength(MOST_WRITES);
			expect(entries.every(({ revision }) => done.done && revision === done.revision)).toBe(true);
		});

		writing("a watch keeps to its prefix, and sees values and deletions", async () => {
			const { revision } = await store.list("");
			await store.put("test/a", 1);
			await store.put("other/a", 2);
			await store.delete("test/a");
			await store.delete("other/a");
			const changes = await collect(store, "test/", revision + 1, 2);
			expect(changes.map((change) => change.value)).toEqual([1, undefined]);
		});

		writing("R13: what was put under a lease goes when it ends, and watches see it go", async () => {
			const lease = await store.grant(2000 * times);
			await store.put("test/kept", 1);
			const put = await store.put("test/leased", 1, { lease });
			await advance(1000);
			expect(await store.get("test/leased")).toBeDefined();
			await advance(3000);
			expect(await store.get("test/leased")).toBeUndefined();
			expect(await store.get("test/kept")).toBeDefined();
			const from = put.done ? put.revision + 1 : 0;
			expect((await collect(store, "test/leased", from, 1))[0]).toMatchObject({ key: "test/leased", value: undefined });
			await expect(lease.renew()).rejects.toMatchObject({ code: "SHUNT_STORE_LEASE_GONE" });
			await expect(store.put("test/leased", 2, { lease })).rejects.toMatchObject({ code: "SHUNT_STORE_LEASE_GONE" });
		});

		writing("a lease that is renewed holds", async () => {
			const lease = await store.grant(3000 * times);
			await store.put("test/leased", 1, { lease });
			for (let i = 0; i < 3; i++) {
				await advance(1500);
				await lease.renew();
			}
			expect(await store.get("test/leased")).toBeDefined();
		});

		writing("a lease that is revoked takes its entries at once, but not what was put anew without it", async () => {
			const lease = await store.grant(60_000 * times);
			await store.put("test/leased", 1, { lease });
			await store.put("test/freed", 1, { lease });
			await store.put("test/freed", 2);
			await lease.revoke();
			expect(await store.get("test/leased")).toBeUndefined();
			expect((await store.get("test/freed"))?.value).toBe(2);
		});
	});
}

async function collect(
	store: Store,
	prefix: string,
	from: number,
	count: number,
	signal?: AbortSignal,
): Promise<Change[]> {
	const changes: Change[] = [];
	if (count === 0) return changes;
	for await (const change of store.watch(prefix, signal === undefined ? { from } : { from, signal })) {
		changes.push(change);
		if (changes.length === count) break;
	}
	return changes;
}
