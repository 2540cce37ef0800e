// digest.test.ts - what makes two members' configurations alike, and what does not.

import { expect, test } from "vitest";
import { identityOf, parseConfig } from "../../src/config/index.js";

const TEXT = `
version: 1
cluster: { name: c, seed: s, keys: [{ id: 1, secret: "00112233445566778899aabbccddeeff" }] }
gateways: { g1: { interface: eth0 } }
backends:
  b1: { address: 10.0.0.1 }
  b2: { address: 10.0.0.2 }
services:
  dns: { address: 203.0.113.53, port: 53, protocol: udp, backends: [b1, b2] }
`;
const identity = (...changes: [string, string][]) =>
	identityOf(
		parseConfig(
			changes.reduce((text, [from, to]) => text.replace(from, to), TEXT),
			"c.yaml",
		),
	);

test("R37: comments, order, defaults written out and what concerns one host alone make no difference", () => {
	const { config } = identity();
	expect(config).toMatch(/^[0-9a-f]{16}$/);
	for (const [from, to] of [
		["version: 1", "version: 1 # the first"],
		[
			"b1: { address: 10.0.0.1 }\n  b2: { address: 10.0.0.2 }",
			"b2: { address: 10.0.0.2 }\n  b1: { address: 10.0.0.1 }",
		],
		["port: 53,", "port: 53, idle: 30s,"],
		["interface: eth0", "interface: eth1"],
		["name: c", "name: d"],
		["gateways:", "engine: { mode: user }\ngateways:"],
	] as [string, string][])
		expect(identity([from, to]).config, to).toBe(config);
});

test("R37: services, backends, the seed, the tunnel and the ports make one", () => {
	const all = [
		identity(),
		identity(["seed: s", "seed: t"]),
		identity(["seed: s", "seed: s, window: 29s"]),
		identity(["seed: s", "seed: s, tunnelPort: 6082"]),
		identity(["address: 10.0.0.2", "address: 10.0.0.3"]),
		identity(["address: 10.0.0.2", "address: 10.0.0.2, state: draining"]),
		identity(["port: 53", "port: 54"]),
		identity(["backends: [b1, b2]", "backends: [b1]"]),
	].map(({ config }) => config);
	expect(new Set(all).size).toBe(all.length);
});

test("R37: a key's check value is the same for the same key, and not the key; a key is no part of the digest", () => {
	const before = identity();
	const after = identity(["00112233445566778899aabbccddeeff", "10112233445566778899AABBCCDDEEFF"]);
	expect(before.keys).toEqual([{ id: 1, check: expect.stringMatching(/^[0-9a-f]{8}$/) }]);
	expect(after.keys[0]?.check).not.toBe(before.keys[0]?.check);
	expect(after.config).toBe(before.config);
	expect(identity().keys).toEqual(before.keys);
	expect("00112233445566778899aabbccddeeff").not.toContain(before.keys[0]?.check);
});
