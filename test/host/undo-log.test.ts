// undo-log.test.ts - R29: a change is recorded before it is made, and a refused start undoes its own changes alone.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { UndoLog } from "../../src/host/undo-log.js";

const folder = mkdtempSync(join(tmpdir(), "shunt-undo-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const objects = (log: UndoLog) => log.entries("").map(({ object }) => object);

describe("the undo log", () => {
	test("R29: has what an earlier daemon changed, or its own changes alone", () => {
		new UndoLog("b1", "1", folder).recordAll(["setting a", "setting b"], "0");
		const next = new UndoLog("b1", "1", folder);
		next.record("setting c", "1");
		expect(objects(next)).toEqual(["setting c", "setting b", "setting a"]);
		next.keepInherited();
		expect(objects(next)).toEqual(["setting c"]);
		expect([next.has("setting a"), next.has("setting c")]).toEqual([false, true]);
		next.remove("setting c");
		expect(objects(new UndoLog("b1", "1", folder))).toEqual(["setting b", "setting a"]);
		new UndoLog("b1", "1", folder).removeAll(["setting a", "setting b"]);
		expect(existsSync(join(folder, "b1.1.journal"))).toBe(false);
	});

	test("R29: where the file cannot be written, the change is refused by name and not recorded; one that was undone is forgotten", () => {
		const log = new UndoLog("b2", "1", folder);
		log.recordAll(["setting a", "setting b"], "0");
		const text = readFileSync(join(folder, "b2.1.journal"), "utf8");
		rmSync(join(folder, "b2.1.journal"));
		mkdirSync(join(folder, "b2.1.journal", "full"), { recursive: true }); // no file can take its place
		expect(() => log.record("setting c", "1")).toThrow(
			/b2\.1\.journal cannot be written: .*; nothing that needs it was changed/,
		);
		log.remove("setting b");
		expect(objects(log)).toEqual(["setting a"]);
		expect(text).toContain("setting b");
	});
});
