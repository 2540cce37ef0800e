// A member's copy of the shared configuration: over a database that fails, is silent, compacts, is half way through a
// change, or has become empty; and over none.
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import {
	applyRecords,
	changeRecords,
	MemoryStore,
	type Store,
	VERSION_KEY,
	WatchedCopy,
	type WatchOptions,
} from "../../src/database/index.js";
import { ShuntError } from "../../src/errors.js";

const work = mkdtempSync(join(tmpdir(), "shunt-copy-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));
let files = 0;
const by = { by: "test", note: "" };
const records = (...names: string[]) =>
	new Map(names.map((name, i) => [`backend/${name}`, { address: `10.0.0.${i + 1}` }]));

/** A store whose connection can be cut, or become silent. */
class Line {
	readonly store = new MemoryStore(undefined, 50);
	dead = false;
	silent = false;
	#watches = new Set<AbortController>();

	cut(): void {
		this.dead = true;
		for (const watch of this.#watches) watch.abort();
	}

	/** Of the member. */
	readonly far = new Proxy(this.store as Store, {
		get: (target, name) => {
			if (name === "watch") return (prefix: string, options: WatchOptions) => this.#watch(prefix, options);
			const method = (Reflect.get(target, name) as (...args: unknown[]) => unknown).bind(target);
			return async (...args: unknown[]) => {
				if (this.dead) throw new ShuntError("SHUNT_STORE_UNREACHABLE", { database: "test", why: "it is cut" });
				return method(...args);
			};
		},
	});

	async *#watch(prefix: string, options: WatchOptions) {
		const controller = new AbortController();
		this.#watches.add(controller);
		const signal = AbortSignal.any([controller.signal, options.signal!]);
		for await (const change of this.store.watch(prefix, { ...options, signal })) {
			if (this.silent) continue;
			yield change;
		}
		this.#watches.delete(controller);
		if (controller.signal.aborted)
			throw new ShuntError("SHUNT_STORE_UNREACHABLE", { database: "test", why: "it is cut" });
	}
}

async function open(line: Line, file = join(work, String(++files))) {
	const told: (string | undefined)[] = [];
	const warnings: string[] = [];
	let changes = 0;
	const copy = await WatchedCopy.open(line.far, {
		file,
		database: "test",
		changed: () => changes++,
		connection: (why) => told.push(why),
		warn: (problem) => warnings.push(problem),
		checkMs: 20,
	});
	copy.follow();
	return { copy, file, told, warnings, changes: () => changes };
}

async function until(what: string, probe: () => boolean): Promise<void> {
	for (const end = performance.now() + 15_000; !probe(); ) {
		if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}

describe("R2 R19: a watched copy", () => {
	test("follows the database, version by version, and keeps each in its file", async () => {
		const line = new Line();
		await applyRecords(line.store, records("b1"), by);
		const { copy, file, changes, told } = await open(line);
		expect(copy.shared.records).toEqual(records("b1"));
		await applyRecords(line.store, records("b1", "b2"), by);
		await until("the change", () => copy.shared.version.version === 2);
		expect(copy.shared.records).toEqual(records("b1", "b2"));
		await until("the file", () => readFileSync(file, "utf8").includes("b2"));
		await until("one report", () => changes() === 1);
		expect(told).toEqual([]);
		await copy.close();
	});

	test("a database that dies is reported once; what changed meanwhile is caught up when it is back", async () => {
		const line = new Line();
		await applyRecords(line.store, records("b1"), by);
		const { copy, told } = await open(line);
		line.cut();
		await until("the report", () => told.length === 1);
		expect(told[0]).toContain("it is cut");
		expect(copy.shared.version.version).toBe(1);
		// More than the history of the store holds.
		for (let i = 0; i < 60; i++) await changeRecords(line.store, records(`n${i}`), by);
		expect(copy.why).toContain("it is cut");
		line.dead = false;
		await until("the last version", () => copy.shared.version.version === 61);
		expect(copy.shared.records.size).toBe(61);
		await until("the report", () => told.length === 2);
		expect(told[1]).toBeUndefined();
		await copy.close();
	});

	test("a watch that is silent is noticed by the version, and the records are listed again", async () => {
		const line = new Line();
		await applyRecords(line.store, records("b1"), by);
		const { copy } = await open(line);
		line.silent = true;
		await applyRecords(line.store, records("b1", "b2"), by);
		await until("the version all the same", () => copy.shared.version.version === 2);
		await copy.close();
	});

	test("half a change is not handed out, neither to a member that runs nor to one that starts", async () => {
		const line = new Line();
		await applyRecords(line.store, records("b1"), by);
		const { copy, file } = await open(line);
		const head = (await line.store.get(VERSION_KEY))!.value as object;
		await line.store.put("config/backend/half", { address: "10.0.0.9" });
		await line.store.put(VERSION_KEY, { ...head, applying: true });
		const { copy: other } = await open(line, file);
		expect(other.shared.records, "its own copy of the version before").toEqual(records("b1"));
		expect(copy.shared.records).toEqual(records("b1"));
		await other.close();
		await applyRecords(line.store, records("b1", "b2"), by);
		await until("the whole change", () => copy.shared.version.version === 2);
		expect(copy.shared.records).toEqual(records("b1", "b2"));
		await copy.close();
	}, 30_000);

	test("a database that has become empty changes nothing, and is a warning", async () => {
		const line = new Line();
		await applyRecords(line.store, records("b1"), by);
		const { copy, warnings } = await open(line);
		for (const { key } of (await line.store.list("")).entries) await line.store.delete(key);
		await until("the warning", () => warnings.some((one) => one.includes("has become empty")));
		expect(copy.shared.records).toEqual(records("b1"));
		await copy.close();
	});

	test("a start without the database takes the copy, whose age is known; without either it is an error", async () => {
		const line = new Line();
		await applyRecords(line.store, records("b1", "b2"), by);
		const { copy, file } = await open(line);
		await copy.close();
		line.dead = true;
		utimesSync(file, new Date(Date.now() - 3_600_000), new Date(Date.now() - 3_600_000));
		const { copy: again } = await open(line, file);
		expect(again.shared.records).toEqual(records("b1", "b2"));
		expect(again.why).toContain("it is cut");
		expect(Date.now() - again.confirmedAt).toBeGreaterThan(3_500_000);
		line.dead = false;
		await until("the database", () => again.why === undefined);
		expect(Date.now() - again.confirmedAt).toBeLessThan(60_000);
		await again.close();
		line.dead = true;
		await expect(open(line)).rejects.toMatchObject({ code: "SHUNT_STORE_UNREACHABLE" });
	});

	test("a file that is no copy is as none; an empty database is an error of its own", async () => {
		const line = new Line();
		await expect(open(line)).rejects.toMatchObject({ code: "SHUNT_DATABASE_EMPTY" });
		line.dead = true;
		for (const content of ["", "{", "[]", '{"format":1}', '{"format":1,"version":{},"records":[]}', '{"format":2}']) {
			const file = join(work, String(++files));
			writeFileSync(file, content);
			await expect(open(line, file), content).rejects.toMatchObject({ code: "SHUNT_STORE_UNREACHABLE" });
			expect(existsSync(file)).toBe(true);
		}
	});
});
