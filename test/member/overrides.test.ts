// overrides.test.ts - run-time drains and weights: what is in force, kept, reported and followed.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { type Config, parseConfig } from "../../src/config/index.js";
import { type LoadReport, readReport } from "../../src/load/index.js";
import { OverrideFile } from "../../src/member/override-file.js";
import { MemberOverrides } from "../../src/member/overrides.js";

const folder = mkdtempSync(join(tmpdir(), "shunt-overrides-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
	vi.useRealTimers();
});

const CONFIG = parseConfig(
	`
version: 1
cluster: { name: c, seed: s, keys: [{ id: 1, secret: "00112233445566778899aabbccddeeff" }] }
gateways: { g1: { interface: eth0 } }
backends:
  b1: { address: 10.0.0.1 }
  b2: { address: 10.0.0.2 }
  b3: { address: 10.0.0.3, state: inactive }
services:
  web:
    address: 203.0.113.80
    port: 80
    protocol: tcp
    backends: [b1, { name: b2, weight: 5 }, b3]
    sources:
      - { from: [198.51.100.1, 198.51.100.2], backends: [b2] }
  dns: { address: 203.0.113.53, port: 53, protocol: udp, backends: [b1, b2] }
`,
	"test.yaml",
);

let files = 0;
const newFile = () => new OverrideFile("m", join(folder, `${++files}.overrides`));

interface Made {
	overrides: MemberOverrides;
	file: OverrideFile;
	warnings: string[];
	changes: () => number;
}

function make(file = newFile(), backend?: string): Made {
	const warnings: string[] = [];
	let changes = 0;
	const overrides = new MemberOverrides({
		backend,
		file,
		warn: (problem) => warnings.push(problem),
		changed: () => changes++,
	});
	return { overrides, file, warnings, changes: () => changes };
}

const states = ({ backends }: Config) => Object.fromEntries(backends.map(({ name, state }) => [name, state]));
const weights = ({ services }: Config, name: string) =>
	services
		.filter((one) => one.name === name)
		.flatMap(({ redirection, rules }) => [redirection, ...rules.map((rule) => rule.redirection)])
		.map(({ choices }) => Object.fromEntries(choices.map(({ backend, weight }) => [backend, weight])));

test("R31: a drain takes no backend into service, and a weight is changed in the service's rules, too", () => {
	const { overrides } = make();
	expect(overrides.apply(CONFIG), "nothing is overridden").toBe(CONFIG);
	overrides.set({ kind: "drain", backend: "b1", drain: { backend: "b1", until: null } });
	overrides.set({ kind: "drain", backend: "b3", drain: { backend: "b3", until: null } });
	overrides.set({ kind: "weight", service: "web", backend: "b2", weight: 0 });
	const config = overrides.apply(CONFIG);
	expect(states(config)).toEqual({ b1: "draining", b2: "active", b3: "inactive" });
	expect(weights(config, "web")).toEqual([{ b1: 1, b2: 0, b3: 1 }, { b2: 0 }, { b2: 0 }]);
	expect(weights(config, "dns")).toEqual(weights(CONFIG, "dns"));
	const [first, second] = config.services.find(({ name }) => name === "web")?.rules ?? [];
	expect(first?.redirection, "rules share their redirections as before").toBe(second?.redirection);
	overrides.set({ kind: "undrain", backend: "b1" });
	overrides.set({ kind: "undrain", backend: "b3" });
	overrides.set({ kind: "weight", service: "web", backend: "b2", weight: null });
	expect(overrides.apply(CONFIG)).toBe(CONFIG);
});

test("R31: after its deadline a drained backend is out of service, by itself", () => {
	vi.useFakeTimers();
	const { overrides, changes } = make();
	overrides.set({ kind: "drain", backend: "b1", drain: { backend: "b1", until: Date.now() + 600_000 } });
	expect(states(overrides.apply(CONFIG)).b1).toBe("draining");
	vi.advanceTimersByTime(599_000);
	expect(changes()).toBe(0);
	vi.advanceTimersByTime(1_100);
	expect(changes()).toBe(1);
	expect(states(overrides.apply(CONFIG)).b1).toBe("inactive");
	overrides.close();
});

test("R31: overrides are kept over restarts, go with the last one, and those of a removed backend with it", () => {
	const { overrides, file, warnings } = make();
	overrides.set({ kind: "drain", backend: "b2", drain: { backend: "b2", until: null } });
	overrides.set({ kind: "weight", service: "web", backend: "b1", weight: 3 });
	const next = make(file);
	expect(next.overrides.inForce).toEqual(overrides.inForce);
	expect(states(next.overrides.apply(CONFIG)).b2).toBe("draining");
	next.overrides.prune({ ...CONFIG, backends: CONFIG.backends.filter(({ name }) => name !== "b1") });
	expect(next.overrides.inForce.weights).toEqual([]);
	expect(next.warnings).toEqual([expect.stringMatching(/no longer configured/)]);
	next.overrides.set({ kind: "undrain", backend: "b2" });
	expect(existsSync(file.path)).toBe(false);
	expect(warnings).toEqual([]);
});

test("a file that cannot be understood is a warning that names it, and no override", () => {
	for (const text of [
		"{",
		"null",
		'{"version":2,"drains":[],"weights":[]}',
		'{"version":1,"drains":[{}],"weights":[]}',
	]) {
		const file = newFile();
		writeFileSync(file.path, text);
		const { overrides, warnings } = make(file);
		expect(overrides.apply(CONFIG)).toBe(CONFIG);
		expect(warnings).toEqual([expect.stringContaining(`the overrides in ${file.path} are ignored`)]);
		expect(readFileSync(file.path, "utf8")).toBe(text);
	}
});

test("an override that cannot be kept does not take effect", () => {
	writeFileSync(join(folder, "in-the-way"), "");
	const { overrides } = make(new OverrideFile("m", join(folder, "in-the-way", "m.overrides")));
	const drain = { kind: "drain", backend: "b1", drain: { backend: "b1", until: null } } as const;
	expect(() => overrides.set(drain)).toThrow();
	expect(overrides.apply(CONFIG)).toBe(CONFIG);
});

/** As a gateway receives it. */
const received = (override: LoadReport["override"]) => {
	const report = { server: "b1", at: 1, total: 0, udpSessions: 0, tcpSessions: 0, cpu: null, link: null, uplinks: [] };
	return readReport(JSON.parse(JSON.stringify({ ...report, override })))?.override;
};

test("R31: a backend reports its drain and weights, and a gateway follows until it reports them no more", () => {
	vi.useFakeTimers();
	const backend = make(newFile(), "b1");
	const gateway = make();
	const report = () => gateway.overrides.report("b1", received(backend.overrides.ownReport()));
	report();
	expect(gateway.changes()).toBe(0);
	backend.overrides.set({ kind: "drain", backend: "b1", drain: { backend: "b1", until: Date.now() + 60_000 } });
	backend.overrides.set({ kind: "weight", service: "dns", backend: "b1", weight: 7 });
	report();
	report();
	expect(gateway.changes(), "the same report changes nothing").toBe(1);
	expect(states(gateway.overrides.apply(CONFIG)).b1).toBe("draining");
	expect(weights(gateway.overrides.apply(CONFIG), "dns")).toEqual([{ b1: 7, b2: 1 }]);
	expect(gateway.overrides.inForce.drains).toMatchObject([{ backend: "b1", by: "report", until: Date.now() + 60_000 }]);
	expect(existsSync(gateway.file.path), "it is the backend that keeps it").toBe(false);
	gateway.overrides.set({ kind: "weight", service: "dns", backend: "b1", weight: 9 });
	expect(weights(gateway.overrides.apply(CONFIG), "dns"), "the gateway's own goes before").toEqual([{ b1: 9, b2: 1 }]);
	gateway.overrides.set({ kind: "weight", service: "dns", backend: "b1", weight: null });

	vi.advanceTimersByTime(60_001);
	report();
	expect(states(gateway.overrides.apply(CONFIG)).b1).toBe("inactive");
	expect(states(backend.overrides.apply(CONFIG)).b1, "it serves what still arrives").toBe("draining");
	backend.overrides.set({ kind: "undrain", backend: "b1" });
	backend.overrides.set({ kind: "weight", service: "dns", backend: "b1", weight: null });
	expect(backend.overrides.ownReport()).toBeUndefined();
	report();
	expect(gateway.overrides.apply(CONFIG)).toBe(CONFIG);
	backend.overrides.close();
});

test("R31: the drain of a backend that is about to stop is not kept, and leaves an operator's as it is", () => {
	const { overrides, file } = make(newFile(), "b1");
	overrides.set({ kind: "drain", backend: "b1", transient: true, drain: { backend: "b1", until: null } });
	expect(overrides.ownReport()?.drain?.state).toBe("draining");
	expect(existsSync(file.path)).toBe(false);
	overrides.set({ kind: "undrain", backend: "b1", transient: true });
	expect(overrides.ownReport()).toBeUndefined();
	overrides.set({ kind: "drain", backend: "b1", drain: { backend: "b1", until: null } });
	overrides.set({ kind: "undrain", backend: "b1", transient: true });
	expect(overrides.ownReport()?.drain?.state).toBe("draining");
});

test("a report with an override that is not valid is refused as a whole; one without stays readable", () => {
	const ok = { drain: { state: "draining", since: 1, until: null }, weights: [] };
	expect(received(ok as never)).toEqual(ok);
	expect(received(undefined)).toBeUndefined();
	const report = { server: "b1", at: 1, total: 0, udpSessions: 0, tcpSessions: 0, cpu: null, link: null, uplinks: [] };
	for (const override of [
		null,
		1,
		{},
		{ weights: {} },
		{ weights: [], drain: null },
		{ weights: [], drain: { ...ok.drain, state: "active" } },
		{ weights: [], drain: { ...ok.drain, until: -1 } },
		{ weights: [], drain: { ...ok.drain, since: "now" } },
		{ weights: [{ service: "web", weight: 1001, since: 1 }] },
		{ weights: [{ service: "", weight: 1, since: 1 }] },
		{ weights: Array.from({ length: 129 }, () => ({ service: "web", weight: 1, since: 1 })) },
	])
		expect(readReport({ ...report, override }), JSON.stringify(override)).toBeUndefined();
});
