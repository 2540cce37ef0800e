// tunnel-sources.test.ts - R1: a backend accepts the tunnel from members alone, where the configuration names them all.
import { describe, expect, test } from "vitest";
import { parseConfig, tunnelSources } from "../../src/config/index.js";

const read = (gateway: string, cluster = "") =>
	parseConfig(
		`
version: 1
cluster: { seed: s, keys: [{ id: 1, secret: "000102030405060708090a0b0c0d0e0f" }]${cluster} }
gateways: { g1: { interface: eth0${gateway} } }
backends: { b1: { address: [10.0.0.1, "fd00::1"] } }
services: { s: { address: 203.0.113.1, port: 53, protocol: udp, backends: [b1] } }
`,
		"test.yaml",
	);

describe("sources of the tunnel", () => {
	test("R1: are the addresses of gateways and backends, without a warning", () => {
		const config = read(', address: [10.0.0.9, "fd00::9"]');
		expect(tunnelSources(config)).toEqual(["10.0.0.9", "fd00::9", "10.0.0.1", "fd00::1"]);
		expect(config.warnings).toEqual([]);
	});

	test("R1: are any, with a warning, where a gateway has no address of a family that backends have", () => {
		const none = read("");
		expect(tunnelSources(none)).toEqual([]);
		expect(none.warnings.map(({ field, message }) => `${field}: ${message}`)).toEqual([
			expect.stringMatching(
				/^gateways\.g1\.address: g1 has no address, so backends accept the tunnel from any source; write/,
			),
		]);
		const four = read(", address: 10.0.0.9");
		expect(tunnelSources(four)).toEqual([]);
		expect(four.warnings[0]?.message).toMatch(/g1 has no IPv6 address/);
	});

	test("R1: are any, without a warning, where the configuration says so", () => {
		const config = read(", address: 10.0.0.9", ", tunnelFrom: any");
		expect(tunnelSources(config)).toEqual([]);
		expect(config.warnings).toEqual([]);
	});
});
