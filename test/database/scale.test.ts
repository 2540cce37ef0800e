// scale.test.ts - a large configuration is read and compiled in a time that grows with its size and no faster.
//
// The limits are ten times what an idle machine needs; a quadratic step would exceed them many times.
import { expect, test } from "vitest";
import { parseConfig } from "../../src/config/index.js";
import { compile, compileSteps, newTableIds, snapshotOfConfig } from "../../src/database/index.js";
import { ROLE } from "../../src/policy/index.js";

const HEAD = `version: 1
cluster: { seed: t, keys: [{ id: 1, secret: "000102030405060708090a0b0c0d0e0f" }] }
backends:
`;
const backends = (count: number) =>
	Array.from({ length: count }, (_, i) => `  b${i}: { address: 10.80.${i >> 8}.${i & 255} }\n`).join("");
const names = (count: number) => Array.from({ length: count }, (_, i) => `b${i}`).join(", ");

function inputOf(text: string) {
	const config = parseConfig(text, "big.yaml");
	return {
		epoch: 1,
		roles: ROLE.gateway,
		cluster: config.cluster,
		snapshot: snapshotOfConfig(config),
		facts: new Map(),
		own: [],
		ids: newTableIds(),
		wallOffsetNs: 0n,
	};
}

const RULES = 20_000;
const rule = (i: number) => `      - { from: 20.${i >> 16}.${(i >> 8) & 255}.${i & 255}, backends: [b${i % 50}] }\n`;
const manyRules = `${HEAD}${backends(50)}services:
  s:
    address: 203.0.113.1
    port: 1
    protocol: udp
    backends: [${names(50)}]
    sources:
${Array.from({ length: RULES }, (_, i) => rule(i)).join("")}`;

test("20,000 rules that name 50 backends are 51 redirections", { timeout: 10_000 }, () => {
	const { tables } = compile(inputOf(manyRules));
	expect(tables.rules).toHaveLength(RULES);
	expect(tables.redirections).toHaveLength(51);
	expect(tables.targets).toHaveLength(50);
});

test("20,000 rules with a mistake in the last are refused at its place", { timeout: 20_000 }, () => {
	const wrong = manyRules.replace(/b\d+( *\] \}\n)$/, "b50$1");
	expect(() => parseConfig(wrong, "big.yaml")).toThrow(/^big\.yaml:20060:\d+: .*"b50" is not a backend/);
});

test("500 services of the same 32 backends: rows of their own, in the same places", { timeout: 10_000 }, () => {
	const services = Array.from(
		{ length: 500 },
		(_, i) => `  s${i}: { address: 203.0.${i >> 8}.${i & 255}, port: 1, protocol: udp, backends: [${names(32)}] }\n`,
	);
	const input = inputOf(`${HEAD}${backends(32)}services:\n${services.join("")}`);
	let steps = 0;
	const running = compileSteps(input);
	let step = running.next();
	for (; !step.done; step = running.next()) steps++;
	const { tables } = step.value;
	expect(steps).toBeGreaterThan(500);
	expect(tables.redirections).toHaveLength(500);
	expect(tables.targets).toHaveLength(16_000);
	// By address, because ids are each service's own.
	const addressOf = new Map(tables.targets.map(({ id, address }) => [id, address.toString("hex")]));
	const [first, ...others] = tables.redirections.map(({ rows }) => Array.from(rows, (id) => addressOf.get(id)).join());
	expect(new Set(others)).toEqual(new Set([first]));
	expect(new Set(tables.redirections.map(({ rows }) => rows[0])).size).toBe(500);
});
