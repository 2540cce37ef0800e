// The embedded database: the contract of a store, several processes, and crashes at every byte.
import { spawn } from "node:child_process";
import {
	appendFileSync,
	cpSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	truncateSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { EmbeddedStore } from "../../src/database/index.js";
import { clockedHarness, storeContract } from "../contract/store.js";

const work = mkdtempSync(join(tmpdir(), "shunt-embedded-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));
let folders = 0;
const folder = () => join(work, String(++folders));

const journalOf = (path: string) => join(path, readdirSync(path).find((name) => /^journal-\d+$/.test(name)) as string);

storeContract("EmbeddedStore", () => clockedHarness((now) => EmbeddedStore.open(folder(), { now })));

storeContract("EmbeddedStore, read by another process than the one that writes", async () => {
	let now = 1_000_000;
	let touched = 0;
	const path = folder();
	const writer = await EmbeddedStore.open(path, { now: () => now });
	// Each of its writes begins a generation.
	const store = await EmbeddedStore.open(path, { now: () => now, renewAbove: 0 });
	return {
		store,
		advance: async (ms) => {
			now += ms;
		},
		touch: async () => {
			await writer.put("touched", { times: ++touched });
		},
		close: async () => {
			await writer.close();
			await store.close();
		},
	};
});

describe("a crash", () => {
	test("R17: after a crash at any byte every acknowledged write is there, and the next write is", async () => {
		const path = folder();
		const store = await EmbeddedStore.open(path);
		const journal = journalOf(path);
		/** Bytes of the journal, and what is acknowledged at that size. */
		const acknowledged: { size: number; entries: string }[] = [];
		const note = async () => {
			const { entries } = await store.list("");
			acknowledged.push({ size: statSync(journal).size, entries: JSON.stringify(entries) });
		};
		await note();
		for (const [key, value] of [
			["a", 1],
			["b", { text: "two lines\nin one value, é" }],
			["a", [true, null]],
		] as const) {
			await store.put(key, value);
			await note();
		}
		await store.commit([
			{ key: "a", value: undefined },
			{ key: "c", value: "x".repeat(60) },
			{ key: "d", value: 4 },
		]);
		await note();
		await store.delete("c");
		await note();
		await store.close();
		const whole = statSync(journal).size;
		expect(acknowledged.at(-1)!.size).toBe(whole);
		for (let size = acknowledged[0]!.size; size <= whole; size++) {
			const copy = folder();
			cpSync(path, copy, { recursive: true });
			truncateSync(journalOf(copy), size);
			const opened = await EmbeddedStore.open(copy);
			const expected = acknowledged.filter((one) => one.size <= size).at(-1)!.entries;
			expect(JSON.stringify((await opened.list("")).entries), `cut at byte ${size}`).toBe(expected);
			// The next writer cuts off what is not whole; a process each is slow, so not at every byte.
			if (size % 50 === 0) {
				await opened.put("after", size);
				await opened.close();
				const again = await EmbeddedStore.open(copy);
				expect((await again.get("after"))?.value, `written after a cut at byte ${size}`).toBe(size);
				await again.close();
			} else await opened.close();
			rmSync(copy, { recursive: true });
		}
	}, 120_000);

	test("a last line of other bytes is cut off, a damaged line in the middle is an error that names its place", async () => {
		const path = folder();
		const store = await EmbeddedStore.open(path);
		await store.put("a", 1);
		await store.close();
		const journal = journalOf(path);
		const { size } = statSync(journal);
		appendFileSync(journal, Buffer.from("\0\0\0\0 half of the line\n"));
		const opened = await EmbeddedStore.open(path);
		expect((await opened.get("a"))?.value).toBe(1);
		await opened.put("b", 2);
		await opened.close();
		expect(readFileSync(journal, "utf8")).not.toContain("half of");
		appendFileSync(journal, "00000000 {}\n00000000 {}\n");
		await expect(EmbeddedStore.open(path)).rejects.toMatchObject({ code: "SHUNT_STORE_DAMAGED" });
		truncateSync(journal, size);
	});

	test("R17: a process that is killed again and again loses no acknowledged write", { timeout: 120_000 }, async () => {
		const path = folder();
		const dist = join(import.meta.dirname, "../../dist/database/index.js");
		const program = `
			const { EmbeddedStore } = await import(${JSON.stringify(dist)});
			const store = await EmbeddedStore.open(process.argv[1], { renewAbove: 2000 });
			let next = ((await store.get("count"))?.value ?? 0) + 1;
			for (;; next++) {
				await store.commit([{ key: "count", value: next }, { key: "same/" + (next % 7), value: next }]);
				process.stdout.write(next + "\\n");
			}`;
		let last = 0;
		for (let round = 0; round < 12; round++) {
			const child = spawn(process.execPath, ["--input-type=module", "-e", program, path], {
				stdio: ["ignore", "pipe", "inherit"],
			});
			let said = "";
			const ended = new Promise((resolve) => child.once("close", resolve));
			const some = 3 + round * 2;
			child.stdout.on("data", (text: Buffer) => {
				said += text;
				// At a different number of writes each time; the next write is under way.
				if (said.split("\n").length > some) child.kill("SIGKILL");
			});
			await ended;
			const numbers = said.split("\n").slice(0, -1).map(Number);
			expect(numbers[0]).toBeGreaterThan(last);
			last = numbers.at(-1)!;
			const store = await EmbeddedStore.open(path);
			const count = (await store.get("count"))!.value as number;
			expect(count === last || count === last + 1, `${count} is stored, ${last} was acknowledged`).toBe(true);
			expect((await store.get(`same/${count % 7}`))?.value, "a commit is there as a whole").toBe(count);
			await store.close();
			last = count;
		}
	});
});

test("two processes that write at once make all of their writes, one after the other", async () => {
	const path = folder();
	const stores = await Promise.all([EmbeddedStore.open(path), EmbeddedStore.open(path, { renewAbove: 500 })]);
	const seen: number[] = [];
	const watching = (async () => {
		for await (const { revision } of stores[0].watch("n/", { from: 1 })) if (seen.push(revision) === 40) return;
	})();
	await Promise.all(
		stores.map(async (store, one) => {
			for (let i = 0; i < 20; i++) await store.put(`n/${one}/${i}`, i);
		}),
	);
	await watching;
	expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
	expect((await stores[1].list("n/")).entries).toHaveLength(40);
	await Promise.all(stores.map((store) => store.close()));
});
