// A configuration of records: the same as of a file, and an invalid record takes nothing else down.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import {
	assemble,
	databaseOf,
	fieldsOf,
	parseConfig,
	readFields,
	recordFault,
	sharedRecords,
} from "../../src/config/index.js";

const work = mkdtempSync(join(tmpdir(), "shunt-assemble-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const LOCAL = `
version: 1
cluster: { seed: any text, keys: [{ id: 1, secret: "00112233445566778899aabbccddeeff" }], hops: 3 }
database: { kind: embedded, folder: /nowhere }
sessions: { capacity: 4096 }
`;
const SHARED = `
load: { report: 500ms }
gateways: { g1: { interface: eth0, address: 10.77.2.2 } }
backends:
  b1: { address: 10.77.3.11 }
  b2: { address: 10.77.3.12 }
services:
  dns: { address: 203.0.113.53, port: 53, protocol: [udp, tcp], backends: [b1, { name: b2, weight: 2 }] }
  web: { address: 203.0.113.80, port: 80, protocol: tcp, backends: [b1] }
`;
const FILE = join(work, "local.yaml");
writeFileSync(FILE, LOCAL);
const local = readFields(FILE);
const records = () => sharedRecords(parse(LOCAL + SHARED) as Record<string, unknown>);

describe("a configuration of records", () => {
	test("R2: is the file's that the records were made from, and holds no secret", () => {
		const { config, invalid } = assemble(local, records());
		expect(invalid).toEqual([]);
		expect(config).toEqual(parseConfig(LOCAL + SHARED, FILE));
		const text = JSON.stringify([...records()]);
		expect(text).not.toContain("00112233445566778899aabbccddeeff");
		expect(text).not.toContain("any text");
	});

	test("has local fields from the file, and shared ones from the records", () => {
		const { config } = assemble(local, new Map([...records(), ["settings", { cluster: { hops: 2 } }]]));
		expect(config.cluster.maxHops).toBe(2);
		expect(config.sessions.capacity).toBe(4096);
		expect(config.load.reportMs).toBe(1000);
	});

	test("is exported as fields that make the same records", () => {
		const fields = fieldsOf(records());
		expect(sharedRecords(fields)).toEqual(records());
	});

	test.each([
		["a field that is unknown", "backend/b2", { address: "10.77.3.12", colour: "red" }, "colour: unknown field"],
		["a value of another type", "service/web", "no map", "must be a map of fields"],
		["a list", "backend/b1", [1, 2], "must be a map of fields"],
		[
			"a reference to nothing",
			"service/web",
			{ address: "203.0.113.80", port: 80, protocol: "tcp", backends: ["b9"] },
			"b9",
		],
		["an address twice", "backend/b2", { address: "10.77.3.11" }, "already an address of b1"],
		["a secret", "settings", { cluster: { seed: "mine" } }, "seed: unknown field"],
		["a record of no kind", "password/root", { a: 1 }, "there is no such record"],
		["a name of other characters", "backend/../../etc", { address: "10.77.3.19" }, "there is no such record"],
		["prototype", "backend/__proto__", { address: "10.77.3.19" }, "there is no such record"],
		["a record that is too large", "service/big", { note: "x".repeat(800_000) }, "at most"],
	])("%s is named, and its last valid value stays in force", (_, key, value, problem) => {
		const good = assemble(local, records());
		const { config, invalid } = assemble(local, new Map([...records(), [key, value]]), good.records);
		expect(invalid).toHaveLength(1);
		expect(invalid[0]).toMatchObject({ key, before: records().has(key) });
		expect(invalid[0]!.problem).toContain(problem);
		expect(config).toEqual(good.config);
	});

	test("without a last valid value, the record is left out, with what needs it alone", () => {
		const { config, invalid } = assemble(local, new Map([...records(), ["backend/b2", { address: "::nonsense" }]]));
		expect(invalid.map(({ key, before }) => [key, before])).toEqual([
			["backend/b2", false],
			["service/dns", false],
		]);
		expect(config.services.map(({ name }) => name)).toEqual(["web"]);
	});

	test("a record whose value is the one of before, or any rubbish, never throws", () => {
		const good = assemble(local, records());
		const rubbish: unknown[] = [null, 0, "", [], {}, true, { address: {} }, { address: [null] }, { cluster: [] }];
		for (const key of records().keys())
			for (const value of rubbish) {
				const { config } = assemble(local, new Map([...records(), [key, value]]), good.records);
				expect(config.services.length).toBeGreaterThan(0);
				assemble(local, new Map([...records(), [key, value]]));
			}
	});

	test("a record is checked by itself before it is written", () => {
		expect(recordFault("backend/b3", { address: "10.77.3.13" })).toBeUndefined();
		expect(recordFault("backend/b3", { adress: "10.77.3.13" })).toContain("address");
		expect(recordFault("version", { version: 7 })).toContain("there is no such record");
	});
});

describe("a database by its URL", () => {
	test("etcd with and without TLS, a prefix, files; embedded", () => {
		const none = { caFile: null, certificateFile: null, keyFile: null, user: null, passwordFile: null };
		expect(databaseOf("etcd://10.0.0.1:2379")).toEqual({
			kind: "etcd",
			endpoints: ["http://10.0.0.1:2379"],
			prefix: "/shunt/",
			...none,
		});
		expect(databaseOf("etcds://10.0.0.1:2379,[fd00::1]:2379/other?caFile=/ca.pem&user=u&passwordFile=/p")).toEqual({
			kind: "etcd",
			endpoints: ["https://10.0.0.1:2379", "https://[fd00::1]:2379"],
			prefix: "/other/",
			...none,
			caFile: "/ca.pem",
			user: "u",
			passwordFile: "/p",
		});
		expect(databaseOf("embedded:/var/lib/x")).toEqual({ kind: "embedded", folder: "/var/lib/x" });
	});

	test.each([
		"redis://10.0.0.1",
		"etcd://",
		"etcd://h:1?colour=red",
		"etcd://h:1?user=u",
		"etcd://h:1?caFile=/x",
		"embedded:x",
	])("%s is refused", (url) => {
		expect(() => databaseOf(url)).toThrow(expect.objectContaining({ code: "SHUNT_USAGE" }));
	});
});
