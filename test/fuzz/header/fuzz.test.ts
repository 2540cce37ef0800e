// Builds the fuzzer of the C decoder and lets it run for a bounded time. Longer runs: test/fuzz/header/build.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "shunt-fuzz-header-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Whether clang-16 and its libFuzzer runtime (Debian: libclang-rt-16-dev) are here. */
function fuzzerHere(): boolean {
	const empty = join(folder, "empty.c");
	writeFileSync(empty, "int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return 0 * *p * n; }\n");
	return spawnSync("clang-16", ["-fsanitize=fuzzer", empty, "-o", join(folder, "empty")]).status === 0;
}

test.skipIf(!fuzzerHere())(
	"the C decoder survives a million fuzzed headers, with sanitizers",
	{ timeout: 120_000 },
	() => {
		const program = join(folder, "fuzz");
		const built = spawnSync(join(here, "build"), [program], { encoding: "utf8" });
		expect(built.status, built.stderr).toBe(0);
		const grown = join(folder, "grown");
		mkdirSync(grown);
		const limits = ["-runs=1000000", "-max_total_time=10", "-max_len=80", `-artifact_prefix=${folder}/`];
		const done = spawnSync(program, [...limits, grown, join(here, "corpus")], { encoding: "utf8" });
		expect(done.status, done.stderr).toBe(0);
		expect(done.stderr).toMatch(/Done \d{5,} runs/);
	},
);
