// The codec as a BPF program: clang compiles it, and the kernel's verifier checks every access.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "shunt-verifier-"));
const object = join(folder, "verifier.o");
const pin = `/sys/fs/bpf/shunt-test-codec-${process.pid}`;
const BPF_FS = 0xcafe4a11;

afterAll(() => {
	rmSync(pin, { force: true });
	rmSync(folder, { recursive: true, force: true });
});

function canLoad(): boolean {
	try {
		return process.getuid?.() === 0 && statfsSync("/sys/fs/bpf").type === BPF_FS;
	} catch {
		return false;
	}
}

function compile(cpu: string): void {
	const flags = ["-target", "bpf", `-mcpu=${cpu}`, "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-c"];
	const include = ["-iquote", join(root, "native")];
	const built = spawnSync("clang-16", [...flags, ...include, join(root, "test/wire/verifier.c"), "-o", object], {
		encoding: "utf8",
	});
	expect(built.status, built.stderr).toBe(0);
}

test.each([["v2"], ["v3"]])("the header's codec compiles for BPF, instruction set %s", (cpu) => compile(cpu));

test.skipIf(!canLoad())("the kernel's verifier accepts decoding, verifying and signing", () => {
	compile("v3");
	const tool = { encoding: "utf8" as const, env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } };
	const loaded = spawnSync("bpftool", ["prog", "load", object, pin], tool);
	expect(loaded.status, loaded.stderr).toBe(0);
});
