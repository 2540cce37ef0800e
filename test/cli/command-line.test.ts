// command-line.test.ts - help, invalid arguments, errors and exit statuses.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { socketOf } from "../../src/cli/which-daemon.js";
import { shunt } from "./cli.js";

// biome-ignore format: a list of words
const COMMANDS = ["gateway", "backend", "reload", "status", "sessions", "explain", "check", "schema", "dump", "reasons", "version"];

describe("help", () => {
	test("shunt without arguments prints the same as shunt --help: every command, and examples", async () => {
		const alone = await shunt([]);
		expect(alone).toEqual(await shunt(["--help"]));
		expect(alone.status).toBe(0);
		expect(alone.stderr).toBe("");
		for (const command of [...COMMANDS, "lab"]) expect(alone.stdout).toMatch(new RegExp(`^  ${command} +\\S`, "m"));
		expect(alone.stdout).toMatch(/Examples:\n {2}shunt check/);
	});

	test.each(COMMANDS)("shunt %s --help fits 80 columns and names --json", async (command) => {
		const { status, stdout } = await shunt([command, "--help"]);
		expect(status).toBe(0);
		expect(stdout).toContain(`Usage: shunt ${command}`);
		expect(stdout).toContain("--json");
		for (const line of stdout.split("\n")) expect([...line].length, line).toBeLessThanOrEqual(80);
	});

	test("shunt help COMMAND prints the same as shunt COMMAND --help", async () => {
		expect((await shunt(["help", "dump"])).stdout).toBe((await shunt(["dump", "--help"])).stdout);
	});
});

describe("errors", () => {
	test.each([
		[["statsu"], "Unknown command 'statsu' (did you mean status?)."],
		[["help", "statsu"], "Unknown command 'statsu'."],
		[["status", "--jsno"], "Unknown option '--jsno' (did you mean --json?)."],
		[["check"], "Missing required argument 'file'."],
		[["gateway"], "Required option '-c, --config <file>' not specified."],
		[["dump"], "Neither an interface nor a file is given; name one with -i INTERFACE or -r FILE."],
		[
			["dump", "-i", "lo", "-r", "x"],
			"Option '-i, --interface <name>' cannot be used with option '-r, --read <file>'.",
		],
		[
			["dump", "-r", "x", "-c", "0"],
			"Option '-c, --count <count>' argument '0' is invalid; must be a whole number of at least 1.",
		],
		[["explain", "sctp", "192.0.2.1:1", "192.0.2.2:2"], 'PROTOCOL: "sctp" is invalid; must be udp or tcp.'],
		[
			["explain", "udp", "192.0.2.1", "192.0.2.2:2"],
			'SOURCE: "192.0.2.1" is invalid; must be ADDRESS:PORT, such as 192.0.2.1:53 or [2001:db8::1]:53.',
		],
		[
			["explain", "udp", "192.0.2.1:5", "2001:db8::1:2"],
			'DESTINATION: "2001:db8::1:2" is invalid; must be ADDRESS:PORT, such as 192.0.2.1:53 or [2001:db8::1]:53.',
		],
		[
			["explain", "udp", "192.0.2.1:5", "[2001:db8::1]:2"],
			"SOURCE 192.0.2.1:5 and DESTINATION [2001:db8::1]:2 are of different address families; must be of the same.",
		],
	])("shunt %j: one sentence, a hint, exit status 2", async (words, sentence) => {
		const { status, stdout, stderr } = await shunt(words);
		expect(status).toBe(2);
		expect(stdout).toBe("");
		expect(stderr.split("\n")[0]).toBe(`shunt: ${sentence}`);
		expect(stderr).toMatch(/^shunt: .*\n {7}shunt .*--help .*\n$/);
	});

	test("with --json an error is one object on standard error, and standard output stays empty", async () => {
		const { status, stdout, stderr } = await shunt(["status", "--socket", "/nowhere/x.sock", "--json"]);
		expect(status).toBe(4);
		expect(stdout).toBe("");
		expect(stderr.trimEnd()).not.toContain("\n");
		expect(JSON.parse(stderr)).toMatchObject({
			error: {
				code: "SHUNT_DAEMON_UNREACHABLE",
				message: "No daemon answers at /nowhere/x.sock: there is no such socket.",
				hint: expect.stringContaining("shunt gateway"),
				exitStatus: 4,
			},
		});
		const unknown = await shunt(["statsu", "--json"]);
		expect(JSON.parse(unknown.stderr).error.code).toBe("SHUNT_USAGE");
	});

	test("a stack trace is shown with SHUNT_DEBUG only", async () => {
		const words = ["status", "--socket", "/nowhere/x.sock"];
		expect((await shunt(words)).stderr).not.toMatch(/^\s+at /m);
		expect((await shunt(words, { env: { SHUNT_DEBUG: "1" } })).stderr).toMatch(/^\s+at /m);
	});

	test("a daemon with an invalid configuration ends with the problem's place", async () => {
		const bad = "test/config/bad/address-octal.yaml";
		const { status, stderr } = await shunt(["gateway", "--config", bad]);
		if (process.getuid?.() === 0) {
			expect(status).toBe(2);
			expect(stderr).toContain(`${bad}:10:14: services.dns.address`);
		} else expect(status).toBe(3);
	});
});

test("schema, version and reasons", async () => {
	expect(JSON.parse((await shunt(["schema"])).stdout)).toMatchObject({ title: "Shunt configuration", type: "object" });
	const { version } = JSON.parse((await shunt(["version", "--json"])).stdout);
	expect((await shunt(["version"])).stdout).toBe(`shunt ${version}\n`);
	expect((await shunt(["--version"])).stdout).toBe(`shunt ${version}\n`);
	const { reasons } = JSON.parse((await shunt(["reasons", "--json"])).stdout);
	expect(reasons[0]).toMatchObject({ name: "forwarded", verdict: "forward" });
	const { stdout } = await shunt(["reasons"]);
	for (const { name } of reasons) expect(stdout).toMatch(new RegExp(`^${name} `, "m"));
	for (const line of stdout.split("\n")) expect([...line].length, line).toBeLessThanOrEqual(80);
});

test("lab passes its arguments on, options included", async () => {
	expect((await shunt(["lab", "picture"])).stdout).toContain("gateway");
	const wrong = await shunt(["lab", "up", "--server-mtu", "12"]);
	expect(wrong.status).toBe(1);
	expect(wrong.stderr).toContain("--server-mtu");
});

describe("which daemon", () => {
	let folder: string;
	beforeAll(() => {
		folder = mkdtempSync(join(tmpdir(), "shunt-cli-"));
	});
	afterAll(() => rmSync(folder, { recursive: true, force: true }));

	test("--socket, else --name, else the only daemon; several are listed, dead ones are skipped", async () => {
		expect(await socketOf({ socket: "/a/b.sock", name: "g1" }, folder)).toBe("/a/b.sock");
		expect(await socketOf({ name: "g1" }, folder)).toBe(join(folder, "g1.sock"));
		await expect(socketOf({}, folder)).rejects.toMatchObject({ code: "SHUNT_DAEMON_UNREACHABLE", exitStatus: 4 });
		const servers = await Promise.all(["b1", "g1"].map((name) => listen(join(folder, `${name}.sock`))));
		await expect(socketOf({}, folder)).rejects.toThrow(
			"Several daemons run on this host; choose one of b1, g1 with --name.",
		);
		servers[1]?.close();
		expect(await socketOf({}, folder)).toBe(join(folder, "b1.sock"));
		servers[0]?.close();
	});
});

function listen(path: string): Promise<ReturnType<typeof createServer>> {
	return new Promise((resolve) => {
		const server = createServer().listen(path, () => resolve(server));
	});
}
