// reload.test.ts - a large configuration is reloaded without holding the event loop.
//
// On the built tree: the file is read in a thread. Processor time is asserted, which other programs do not add to; the
// limits are several times what is measured (bench/README.md).

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type * as ConfigRoom from "../../src/config/index.js";

const root = join(import.meta.dirname, "../..");
const dist = join(root, "dist");
const work = mkdtempSync(join(tmpdir(), "shunt-reload-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const SIZE = { services: 1000, backends: 50, rules: 20_000 };

/** Two files; in the second, the last service has another backend port. */
async function files(size: typeof SIZE): Promise<{ file: string; changed: string }> {
	const { configText } = (await import(join(root, "scripts/bench/config/file.mjs"))) as {
		configText: (size: typeof SIZE & { changed?: boolean }) => string;
	};
	const [file, changed] = [join(work, "cluster.yaml"), join(work, "changed.yaml")];
	writeFileSync(file, configText(size));
	writeFileSync(changed, configText({ ...size, changed: true }));
	return { file, changed };
}

const SMALL = { services: 100, backends: 20, rules: 3000 };

describe("1,000 services of 50 backends and 20,000 rules, one service changed", () => {
	test("one set is compiled, and no turn of the event loop is long", { timeout: 120_000 }, async () => {
		const { file, changed } = await files(SIZE);
		const subject = join(root, "scripts/bench/config/subject.mjs");
		const { stdout, stderr } = spawnSync(process.execPath, [subject, "reload", dist, file, changed], {
			encoding: "utf8",
		});
		expect(stderr).toBe("");
		const figures = JSON.parse(stdout) as Record<string, number>;
		expect(figures).toMatchObject({ recompiled: 1, rules: SIZE.rules });
		expect(figures.targets, "of 20 ports, and the changed service's").toBe(20 * 50 + 50 + 50);
		expect(figures.reload_turn_ms).toBeLessThan(150);
	});
});

describe("a configuration read in a thread", () => {
	test("is readConfig()'s, and what has not changed is the same object", { timeout: 60_000 }, async () => {
		const { file, changed } = await files(SMALL);
		const { readConfig, readConfigAside } = (await import(join(dist, "config/index.js"))) as typeof ConfigRoom;
		const first = await readConfigAside(file, { large: 0 });
		expect(first).toEqual(readConfig(file));
		const second = await readConfigAside(changed, { before: first, large: 0 });
		expect(second.services.filter((one, i) => one !== first.services[i]).map(({ name }) => name)).toEqual(["s99"]);
		expect(second.backends.every((one, i) => one === first.backends[i])).toBe(true);
		expect(Object.isFrozen(second.services[0]?.rules[0]?.redirection)).toBe(true);
		const small = await readConfigAside(changed, { before: second, large: Number.POSITIVE_INFINITY });
		expect(small.services.every((one, i) => one === second.services[i])).toBe(true);
	});

	test("has readConfig()'s problems", { timeout: 60_000 }, async () => {
		const { file } = await files(SMALL);
		const { readConfig, readConfigAside } = (await import(join(dist, "config/index.js"))) as typeof ConfigRoom;
		writeFileSync(file, "version: 1\nservices: { s: { port: 0 } }\n");
		const problem = (() => {
			try {
				return readConfig(file);
			} catch (error) {
				return error;
			}
		})();
		await expect(readConfigAside(file, { large: 0 })).rejects.toEqual(problem);
		const gone = join(work, "gone.yaml");
		await expect(readConfigAside(gone, { large: 0 })).rejects.toMatchObject({ code: "SHUNT_CONFIG_UNREADABLE" });
	});
});
