// check.test.ts - `shunt check`: problems, or what would be published.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root, shunt } from "./cli.js";

const BAD = "test/config/bad/address-octal.yaml";

test("a valid configuration is OK, with what it would publish", async () => {
	const { status, stdout, stderr } = await shunt(["check", "examples/lab.yaml"]);
	expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
	expect(stdout).toBe(`examples/lab.yaml: OK
  cluster lab: 1 gateway, 3 backends
  publishes 10 services, 28 rules, 58 targets, 38 redirections of 13,666 rows

  service  on   address                    idle  spread  rules  targets  rows
  dns      udp  203.0.113.53:53            10 s  flow        2        5   509
  dns      tcp  203.0.113.53:53            10 s  flow        2        5   509
  dns      udp  [2001:db8:53::53]:53       10 s  flow        2        5   509
  dns      tcp  [2001:db8:53::53]:53       10 s  flow        2        5   509
  web      tcp  203.0.113.80:80             1 m  flow        2        7   509
  web      tcp  [2001:db8:53::80]:80        1 m  flow        2        7   509
  iperf    udp  203.0.113.52:5201          30 s  source      4        6   509
  iperf    tcp  203.0.113.52:5201       2 h 4 m  source      4        6   509
  iperf    udp  [2001:db8:53::52]:5201     30 s  source      4        6   509
  iperf    tcp  [2001:db8:53::52]:5201  2 h 4 m  source      4        6   509
`);
});

test("every problem of every file has its place; a valid file is reported too; exit status 2", async () => {
	const { status, stdout } = await shunt(["check", BAD, "nope.yaml", "examples/dns.yaml"]);
	expect(status).toBe(2);
	expect(stdout).toContain(
		`${BAD}:10:14: services.dns.address: "203.0.113.053" has an octet with a leading zero; must be an IPv4 or IPv6 address, or a prefix such as 203.0.113.0/28; write octets in decimal.\n${BAD}: 1 problem\n`,
	);
	expect(stdout).toContain("The configuration nope.yaml cannot be read: there is no such file.\n");
	expect(stdout).toContain("examples/dns.yaml: OK\n");
});

test("--json has the same answer", async () => {
	const { status, stdout } = await shunt(["check", "--json", BAD, "examples/lab.yaml"]);
	expect(status).toBe(2);
	const [bad, good] = JSON.parse(stdout).files;
	expect(bad).toMatchObject({ file: BAD, ok: false });
	expect(bad.error.problems).toMatchObject([{ line: 10, column: 14, field: "services.dns.address" }]);
	expect(good).toMatchObject({ ok: true, published: { targets: 58, rules: 28, rows: 13_666 } });
	expect(good.published.services).toHaveLength(10);
	expect(stdout).not.toContain("4c61624b65794f66"); // no secret is shown
});

test("each problem is on a line of its own", async () => {
	const folder = "test/config/bad";
	const files = readdirSync(join(root, folder)).filter((file) => file.endsWith(".yaml"));
	const { status, stdout } = await shunt(["check", ...files.map((file) => `${folder}/${file}`)]);
	expect(status).toBe(2);
	for (const file of files) expect(stdout).toMatch(new RegExp(`^${folder}/${file}:\\d+:\\d+: \\S`, "m"));
	expect(stdout).not.toMatch(/: OK$/m);
});

test("check loads neither the addon nor a daemon", async () => {
	const env = { NODE_DEBUG: "module" };
	expect((await shunt(["reasons"], { env })).stderr).toContain("shunt.node"); // proves that the next line can fail
	expect((await shunt(["check", "examples/lab.yaml"], { env })).stderr).not.toContain("shunt.node");
});

test("a list of backends whose weights are all 0 is a warning", async () => {
	const { status, stdout } = await shunt(["check", "test/config/warned/weights-zero.yaml"]);
	const warnings = stdout.split("\n").filter((line) => line.includes(": warning: "));
	expect({ status, fields: warnings.map((line) => line.split(": ")[2]) }).toEqual({
		status: 0,
		fields: ["services.dns.backends", "services.dns.sources[1].backends"],
	});
});

test("a service at a gateway's own address is a warning at its place, in text and in --json; exit status 0", async () => {
	const file = "test/config/warned/gateway-address.yaml";
	const text = await shunt(["check", file]);
	expect(text.status).toBe(0);
	const [first, second] = text.stdout.split("\n");
	const place = `${file}:10:34: warning: services.dns.address[1]: 203.0.113.53 is gateway g1's own address`;
	expect(first?.slice(0, place.length)).toBe(place);
	expect(second).toBe(`${file}: OK, 1 warning`);
	const json = await shunt(["check", "--json", file, "examples/dns.yaml"]);
	expect(json.status).toBe(0);
	const [warned, clean] = JSON.parse(json.stdout).files;
	expect(warned).toMatchObject({ ok: true, warnings: [{ line: 10, column: 34, field: "services.dns.address[1]" }] });
	expect(clean).toMatchObject({ ok: true, warnings: [] });
});
