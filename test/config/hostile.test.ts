// hostile.test.ts - R29: a file that is hostile or broken is refused in bounded time and output, whatever it holds.
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseConfig, readConfig } from "../../src/config/index.js";

const folder = mkdtempSync(join(tmpdir(), "shunt-hostile-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (key: string, gateway = "interface: eth0, address: 10.0.0.9") => `version: 1
cluster: { name: lab, seed: s, tunnelFrom: any, keys: [{ id: 1, ${key} }] }
gateways: { g1: { ${gateway} } }
backends: { b1: { address: 10.0.0.1 } }
services: { s: { address: 203.0.113.1, port: 53, protocol: udp, backends: [b1] } }
`;
const SECRET = 'secret: "000102030405060708090a0b0c0d0e0f"';
const refusal = (text: string): string => {
	try {
		parseConfig(text, join(folder, "test.yaml"));
		return "";
	} catch (error) {
		return (error as Error).message;
	}
};

describe("a hostile configuration", () => {
	test("R29: many unknown fields: the first hundred are listed, and the others counted", () => {
		const text = file(SECRET) + Array.from({ length: 20_000 }, (_, i) => `zz${i}: {a: 1, b: [1,2,3]}\n`).join("");
		const lines = refusal(text).split("\n");
		expect(lines).toHaveLength(101);
		expect(lines[0]).toContain("zz0: unknown field");
		expect(lines.at(-1)).toBe("and 19900 more problems");
	}, 60_000);

	test("R29: a secretFile that is a device, a FIFO, too long or a folder", () => {
		const fifo = join(folder, "fifo");
		execFileSync("mkfifo", [fifo]);
		const long = join(folder, "long");
		writeFileSync(long, "0".repeat(5000));
		chmodSync(long, 0o600);
		for (const [path, why] of [
			["/dev/zero", "it is no regular file"],
			[fifo, "it is no regular file"],
			[folder, "it is no regular file"],
			[long, "it has 5000 bytes"],
		] as const)
			expect(refusal(file(`secretFile: ${path}`))).toContain(
				`${path} cannot be read: ${why}; must be a file of 32 hex digits`,
			);
	});

	test("R29: a configuration that is a device", () => {
		expect(() => readConfig("/dev/zero")).toThrow("/dev/zero cannot be read: it is a device");
	});

	test.each([
		["lists", `${"[".repeat(20_000)}${"]".repeat(20_000)}`],
		["maps", `{a: ${"{a: ".repeat(20_000)}${"}".repeat(20_000)}}`],
	])(
		"R29: %s nested 20,000 deep",
		(_, value) => {
			expect(refusal(`x: ${value}\n`)).toMatch(/test\.yaml:\d+:\d+: .*(nested too deep|YAML)/);
		},
		60_000,
	);

	test("R29: NUL in a name, and names that are no interface's", () => {
		expect(refusal(file(SECRET).replace("name: lab", 'name: "la\\0b"'))).toContain("has a control character");
		for (const bad of [
			'"eth0\\" } counter drop; #"',
			'"-j"',
			'"../../x"',
			'"eth0\\nflush"',
			'"eth*"',
			'"a name"',
			'".."',
			'"sixteen-letters-"',
		])
			expect(refusal(file(SECRET, `interface: ${bad}`)), bad).toContain("gateways.g1.interface");
		for (const good of ["eth0", "eth0.100", "br-lan", "veth@x", "wg_0", "enp3s0f1np1"])
			expect(refusal(file(SECRET, `interface: "${good}"`)), good).toBe("");
	});
});
