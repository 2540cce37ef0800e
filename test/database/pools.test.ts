import { expect, test } from "vitest";
import { poolsOf } from "../../src/database/index.js";
import { config } from "./fixture.js";

test("R18: pools are what redirections have in common, directly or through another, rules included", () => {
	const backends = ["a", "b", "c", "d", "e", "f"]
		.map((name, i) => `  ${name}: { address: 10.0.0.${i + 1} }`)
		.join("\n");
	const at = (last: number, more: string) => `{ address: 203.0.113.${last}, port: 1, protocol: udp, ${more} }`;
	const { services, backends: all } = config(
		`  s: ${at(1, "backends: [a, b]")}
  t: ${at(2, "backends: [b, c], sources: [{ from: 10.0.0.0/8, backends: [d] }]")}
  u: ${at(3, "backends: [e], sources: [{ from: 10.0.0.0/8, backends: [d, e] }]")}`,
		backends,
	);
	const pools = poolsOf(services, all);
	expect(new Set(["a", "b", "c"].map((name) => pools.get(name))).size).toBe(1);
	expect(pools.get("d")).toBe(pools.get("e"));
	expect(new Set(["a", "d", "f"].map((name) => pools.get(name))).size).toBe(3);
});
