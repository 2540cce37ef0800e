// package.test.ts - the client's package, from its tarball: installed in an empty folder without a registry, run without
// a PATH, and compiled against.
//
// Owns: what a program outside this repository meets. Must never: import from src/: the package is under test.
//
// SHUNT_TEST_NODES: further node binaries to run the programs with, separated by colons; scripts/client-tarball brings
// some.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const programs = join(import.meta.dirname, "package");
const NODES = [process.execPath, ...(process.env.SHUNT_TEST_NODES?.split(":") ?? [])];
const CLIENT_ONLY = ["dist", "docs", "LICENSE", "README.md", "package.json"];

/** The folder of a package, as the package.json of `from` resolves it. */
function folderOf(name: string, from = "package.json"): string {
	return dirname(createRequire(join(root, from)).resolve(`${name}/package.json`));
}

function run(file: string, args: readonly string[], cwd: string, env = process.env): string {
	try {
		return execFileSync(file, args, { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
	} catch (error) {
		const { stdout, stderr } = error as { stdout?: string; stderr?: string };
		throw new Error(`${file} ${args.join(" ")}: ${String(error)}\n${stdout}\n${stderr}`);
	}
}

describe("the client's package, from its tarball", () => {
	let folder: string;
	const manifest = () => JSON.parse(readFileSync(join(folder, "node_modules/shunt-client/package.json"), "utf8"));

	beforeAll(() => {
		folder = mkdtempSync(join(tmpdir(), "shunt-client-"));
		const cache = ["--cache", join(folder, ".npm"), "--no-update-notifier"];
		run("npm", ["pack", "--workspace", "shunt-client", "--pack-destination", folder, ...cache], root);
		const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) as string;
		run("npm", ["install", "--offline", "--no-audit", "--no-fund", ...cache, `./${tarball}`], folder);
		for (const name of readdirSync(programs)) copyFileSync(join(programs, name), join(folder, name));
	}, 300_000);
	afterAll(() => rmSync(folder, { recursive: true, force: true }));

	test("R38: the client's package has no dependency, no install script and no platform, and nothing of the daemon", () => {
		expect(readdirSync(join(folder, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(["shunt-client"]);
		const { dependencies, os, cpu, scripts } = manifest();
		expect([dependencies, os, cpu]).toEqual([undefined, undefined, undefined]);
		expect(Object.keys(scripts).filter((name) => /install|^prepare$/.test(name))).toEqual([]);
		const names = readdirSync(join(folder, "node_modules/shunt-client"));
		expect(names.filter((name) => !/\.mjs$|\.mts$/.test(name)).sort()).toEqual(CLIENT_ONLY.sort());
		expect(readdirSync(join(folder, "node_modules/shunt-client/dist")).sort()).toEqual(["client", "wire"]);
	});

	test.each(NODES.flatMap((node) => ["program.mjs", "program.cjs"].map((name) => [name, node])))(
		"R38: a program with the package follows a redirect, with an empty PATH: %s, run by %s",
		(name, node) => {
			const lines = run(node, [name], folder, { PATH: "" }).trim().split("\n");
			expect(lines.slice(0, 4)).toEqual([
				"backend two from the service",
				"target 127.0.0.11, served by the gateway: 1",
				"HTTP 200",
				"TCP backend backend, and when it has closed gateway",
			]);
			// Both module systems of one process share caches and classes.
			if (name.endsWith(".cjs")) expect(lines[4]).toBe("one library: true");
		},
		30_000,
	);

	test.each([
		["5.9", "scripts/api-docs/package.json", "@types/node", "NodeNext", "NodeNext"],
		["7", "package.json", "node-types-newest", "ESNext", "Bundler"],
	])(
		"R38: the package's types are sound under strict, without skipLibCheck: TypeScript %s",
		(version, from, types, module, resolution) => {
			const compiler = folderOf("typescript", from);
			expect(JSON.parse(readFileSync(join(compiler, "package.json"), "utf8")).version).toMatch(
				new RegExp(`^${version}\\.`),
			);
			const links = join(folder, "node_modules/@types");
			rmSync(links, { recursive: true, force: true });
			mkdirSync(links);
			symlinkSync(folderOf(types), join(links, "node"));
			const options = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "ES2022", "--types", "node"];
			const modules = ["--lib", "ES2023,ESNext.Disposable", "--module", module, "--moduleResolution", resolution];
			run(process.execPath, [join(compiler, "bin/tsc"), ...options, ...modules, "typings.mts"], folder);
		},
		300_000,
	);
});
