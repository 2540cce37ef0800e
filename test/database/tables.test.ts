import { describe, expect, test } from "vitest";
import { addressText, type Config, maskBytes, parseAddress } from "../../src/config/index.js";
import {
	type CompileInput,
	compile,
	findService,
	lookup,
	newTableIds,
	snapshotOfConfig,
	type TableIds,
} from "../../src/database/index.js";
import { ANSWER, ROLE, TARGET_STATE, type TableSet } from "../../src/policy/index.js";
import { config, DNS, factsFor } from "./fixture.js";

function input(from: Config, ids: TableIds = newTableIds()): CompileInput {
	const snapshot = snapshotOfConfig(from);
	return {
		epoch: 1,
		roles: ROLE.gateway,
		cluster: from.cluster,
		snapshot,
		facts: factsFor(snapshot),
		own: ["10.77.2.1"],
		ids,
		wallOffsetNs: 5n,
	};
}

/** What the packet program does with the tables, in its plainest form: the targets a source can get. */
function reachable(tables: TableSet, address: string, source: string): string[] {
	const service = tables.services.find((s) => addressText(s.address) === address)!;
	const bytes = parseAddress(source)!.bytes;
	const rule = tables.rules
		.filter((r) => r.service === service.id && maskBytes(bytes, r.length).equals(r.prefix))
		.sort((a, b) => b.length - a.length)[0];
	const { rows } = tables.redirections[rule?.redirection ?? service.redirection]!;
	const ids = new Set(rows);
	return tables.targets
		.filter((t) => ids.has(t.id))
		.map((t) => `${addressText(t.address)} ${t.port}`)
		.sort();
}

const BACKENDS = (state: string) =>
	`  b1: { address: [10.77.3.11, "fd77:3::11"] }\n  b2: { address: 10.77.3.12, state: ${state} }\n  b3: { address: 10.77.3.13 }`;

describe("compile", () => {
	test("R3 R9: a backend's tables name where its services listen at its own addresses; a gateway's name nothing", () => {
		const text = `  one: { address: 203.0.113.1, port: 53, protocol: udp, backends: [{ name: b1, port: 5353 }], idleSent: 2s, count: source }
  six: { address: "2001:db8::1", port: 53, protocol: udp, via: ipv4, backends: [b1] }
  two: { address: 203.0.113.2, port: 53, protocol: udp, backends: [b1, b2] }`;
		const given = input(config(text));
		const { tables } = compile({ ...given, roles: ROLE.backend, own: ["10.77.3.11", "fd77:3::11"] });
		const id = (address: string) => tables.services.find((one) => addressText(one.address) === address)!.id;
		expect(tables.direct?.map((one) => [one.service, addressText(one.address), one.port, one.family])).toEqual([
			[id("203.0.113.1"), "10.77.3.11", 5353, 4],
			// Not of the service that only the tunnel brings there, though it comes first.
			[id("203.0.113.2"), "10.77.3.11", 53, 4],
		]);
		const periods = (address: string) => {
			const { idleMs, idleSentMs, countSources } = tables.services.find((one) => one.id === id(address))!;
			return [idleMs, idleSentMs, countSources];
		};
		expect(periods("203.0.113.1")).toEqual([30_000, 2000, true]);
		expect(periods("203.0.113.2")).toEqual([30_000, 30_000, false]);
		expect(compile(given).tables.direct).toEqual([]);
	});

	test("R18: where spread is by source, services of the same backends place a client alike, whatever their ports", () => {
		const rowsOf = (services: string) => {
			const { tables } = compile(input(config(services)));
			const backendOf = new Map(tables.targets.map((target) => [target.id, addressText(target.address)]));
			const of = (port: number) => tables.services.find((service) => service.port === port)!.redirection;
			return [80, 443, 444].map((port) => [...tables.redirections[of(port)]!.rows].map((id) => backendOf.get(id)));
		};
		for (const choose of ["source-hash", "maglev, spread: source"]) {
			const [web, tls, other] =
				rowsOf(`  web: { address: 203.0.113.1, port: 80, protocol: tcp, choose: ${choose}, backends: [b2, b3] }
  tls: { address: 203.0.113.1, port: 443, protocol: tcp, choose: ${choose}, backends: [{ name: b2, port: 8443 }, { name: b3, port: 9443 }] }
  other: { address: 203.0.113.1, port: 444, protocol: tcp, choose: ${choose}, backends: [b2, { name: b3, weight: 2 }] }`);
			expect(tls).toEqual(web);
			expect(other).not.toEqual(web);
		}
	});

	test("R4: targets tell how a capability is answered, and one that is answered otherwise is another target", () => {
		const text = `  dns:
    address: 203.0.113.53
    port: 53
    protocol: udp
    uninvited: drop
    backends: [b2]
    sources:
      - { from: 198.51.100.1, redirect: { clients: true } }
      - { from: 198.51.100.2, redirect: { clients: true, answer: forward } }
      - { from: 198.51.100.3, redirect: { clients: true, answer: indicate } }
      - { from: 198.51.100.4, redirect: { clients: true, answer: return } }
  web: { address: 203.0.113.80, port: 80, protocol: tcp, backends: [b2] }`;
		const { tables } = compile(input(config(text)));
		const { forward, forwardAndIndicate, indicate, return: giveBack } = ANSWER;
		const expected = { 1: forwardAndIndicate, 2: forward, 3: indicate, 4: giveBack, 5: forward };
		for (const [source, answer] of Object.entries(expected)) {
			const prefix = parseAddress(`198.51.100.${source}`)!.bytes;
			const service = tables.services.find((one) => one.port === 53)!;
			const rule = tables.rules.find((one) => one.service === service.id && one.prefix.equals(prefix));
			const { rows } = tables.redirections[rule?.redirection ?? service.redirection]!;
			expect(tables.targets.find((target) => target.id === rows[0])?.answer, source).toBe(answer);
		}
		expect(new Set(tables.targets.map((target) => target.id)).size).toBe(6);
		const invitedOnly = tables.services.map((service) => [service.port, service.invitedOnly]);
		expect(Object.fromEntries(invitedOnly)).toEqual({ 53: true, 80: false });
	});

	test("ports, limits and a backend's own state are in its tables; a gateway's is active", () => {
		const given = input(config(DNS));
		expect(compile(given).tables).toMatchObject({
			controlPort: 3575,
			limits: { source: 8, burst: 32, all: 10_000 },
			ownState: TARGET_STATE.active,
		});
		const cluster = { ...given.cluster, controlPort: 4000, indications: { source: 1, burst: 2, all: 3 } };
		const other = compile({ ...given, roles: ROLE.backend, cluster, ownState: "draining" }).tables;
		expect(other).toMatchObject({
			controlPort: 4000,
			limits: { source: 1, burst: 2, all: 3 },
			ownState: TARGET_STATE.draining,
		});
		expect(compile({ ...given, ownState: "inactive" }).tables.ownState).toBe(TARGET_STATE.inactive);
	});

	test("R2 R3: for every source, the tables name the targets that look-up names", () => {
		const from = config(DNS);
		const given = input(from);
		const { tables } = compile(given);
		for (const [address, sources] of [
			[
				"203.0.113.53",
				["192.0.2.1", "198.51.100.0", "198.51.100.127", "198.51.100.128", "198.51.100.200", "198.51.100.255"],
			],
			["2001:db8:53::53", ["2001:db8::1", "2001:db8:100::1", "2001:db8:100:ffff::", "2001:db8:101::"]],
		] as const) {
			const service = findService(given.snapshot, address, 53, "udp")!;
			for (const source of sources) {
				const want = lookup(given.snapshot, service, source)!
					.targets.map((t) => `${t.address} ${t.port}`)
					.sort();
				expect(reachable(tables, address, source), source).toEqual(want);
			}
		}
	});

	test("prefixes are of the mapped form, and have no bits beyond their length", () => {
		const { tables } = compile(input(config(DNS)));
		expect(tables.rules.map((rule) => rule.length).sort()).toEqual([120, 121, 128, 48]);
		for (const rule of tables.rules) expect(maskBytes(rule.prefix, rule.length)).toEqual(rule.prefix);
	});

	test("R4 R7: terms become the header's flags", () => {
		const { tables } = compile(input(config(DNS)));
		const flags = tables.targets.map((target) => [target.headerFlags, target.leaseS]);
		expect(flags).toContainEqual([0x90, 90]);
		expect(flags).toContainEqual([0, 0]);
	});

	test("equal redirections are stored once", () => {
		const same = `
  s:
    address: 203.0.113.1
    port: 1
    protocol: udp
    backends: [b1, b2]
    sources:
      - { from: 10.0.0.0/8, backends: [b2, b1] }
      - { from: 10.1.0.0/16, redirect: { clients: false } }
      - { from: 10.2.0.0/16, backends: [b2] }`;
		const { tables } = compile(input(config(same)));
		expect(tables.redirections).toHaveLength(2);
		expect(tables.targets).toHaveLength(2);
	});

	test("a draining target has no row, keeps its epoch, and still is a target", () => {
		const ids = newTableIds();
		const first = compile(input(config(DNS), ids));
		const second = compile({ ...input(config(DNS, BACKENDS("draining")), ids), previous: first });
		const b2 = second.tables.targets.filter((target) => addressText(target.address) === "10.77.3.12");
		expect(b2.map((target) => [target.state, target.epoch])).toEqual([
			[2, 0],
			[2, 0],
			[2, 0],
		]);
		for (const { rows } of second.tables.redirections) for (const { id } of b2) expect(rows).not.toContain(id);
	});

	test("an inactive target's epoch moves, and no other's", () => {
		const ids = newTableIds();
		const first = compile(input(config(DNS), ids));
		const second = compile({ ...input(config(DNS, BACKENDS("inactive")), ids), previous: first });
		for (const target of second.tables.targets) {
			expect(target.epoch).toBe(addressText(target.address) === "10.77.3.12" ? 1 : 0);
		}
	});

	test("a state does not change the size of a table, so that the others' rows stay", () => {
		const ids = newTableIds();
		const before = compile(input(config(DNS), ids)).tables;
		const after = compile(input(config(DNS, BACKENDS("inactive")), ids)).tables;
		const rowsOf = (tables: TableSet) => tables.redirections[tables.services[1]!.redirection]!.rows;
		expect(rowsOf(after)).toHaveLength(rowsOf(before).length);
		const gone = new Set(before.targets.filter((t) => addressText(t.address) === "10.77.3.12").map((t) => t.id));
		const moved = [...rowsOf(before)].filter((id, row) => !gone.has(id) && rowsOf(after)[row] !== id).length;
		expect(moved / rowsOf(before).length).toBeLessThan(0.05);
	});

	test("R8: an alternative is another backend's, of the same family", () => {
		const { tables } = compile(input(config(DNS)));
		const byId = new Map(tables.targets.map((target) => [target.id, target]));
		for (const target of tables.targets) {
			const other = byId.get(target.alternative);
			if (target.family === 6)
				expect(target.alternative).toBe(0); // b1 is the only one with IPv6
			else {
				expect(other?.family).toBe(4);
				expect(other?.address).not.toEqual(target.address);
			}
		}
	});

	test("R8: a draining target has an alternative that is active", () => {
		const { tables } = compile(input(config(DNS, BACKENDS("draining"))));
		const byId = new Map(tables.targets.map((target) => [target.id, target]));
		for (const target of tables.targets.filter((t) => t.state === 2)) {
			expect(byId.get(target.alternative)?.state).toBe(1);
		}
	});

	test("R19: two gateways with different pasts name the same address in every row", () => {
		const past = newTableIds();
		past.targets.assign(["x", "y", "z"]);
		const name = (ids?: TableIds) => {
			const { tables } = compile(input(config(DNS), ids));
			const byId = new Map(
				tables.targets.map((target) => [target.id, `${addressText(target.address)} ${target.port}`]),
			);
			return tables.services.map((s) => [...tables.redirections[s.redirection]!.rows].map((id) => byId.get(id)));
		};
		expect(name(past)).toEqual(name());
	});

	test("an address without a way keeps its rows and is reported", () => {
		const given = input(config(DNS));
		const facts = new Map(given.facts);
		facts.delete("10.77.3.12");
		facts.set("10.77.3.13", { ...facts.get("10.77.3.13")!, nextHop: null });
		const { tables, unresolved } = compile({ ...given, facts });
		expect(unresolved).toEqual(["10.77.3.12", "10.77.3.13"]);
		expect(tables.redirections.map((r) => r.rows)).toEqual(
			compile(input(config(DNS))).tables.redirections.map((r) => r.rows),
		);
	});

	test("a forwarding table whose causes stay is not computed again, and one that is not used is forgotten", () => {
		const ids = newTableIds();
		const first = compile(input(config(DNS), ids));
		const second = compile({ ...input(config(DNS), ids), previous: first });
		expect(second.tables.redirections.map((r) => r.rows)).toEqual(first.tables.redirections.map((r) => r.rows));
		for (const [i, { rows }] of second.tables.redirections.entries()) {
			expect(rows).toBe(first.tables.redirections[i]?.rows);
		}
		const third = compile({ ...input(config(DNS, BACKENDS("inactive")), ids), previous: second });
		expect(third.tables.redirections.map((r) => r.rows)).not.toEqual(first.tables.redirections.map((r) => r.rows));
	});

	test("no active target: no rows", () => {
		const only = "  s: { address: 203.0.113.1, port: 1, protocol: udp, backends: [b2] }";
		const { tables } = compile(input(config(only, BACKENDS("inactive"))));
		expect(tables.redirections[0]?.rows).toHaveLength(0);
	});

	test("ids, keys and what the whole set has", () => {
		const ids = newTableIds();
		const { tables } = compile(input(config(DNS), ids));
		expect(tables).toMatchObject({ epoch: 1, windowS: 30, tunnelPort: 6081, signKey: 7, maxHops: 5, wallOffsetNs: 5n });
		expect(tables.keys[0]?.secret.toString("hex")).toBe("00112233445566778899aabbccddeeff");
		expect(tables.seed[0]).not.toBe(tables.seed[1]);
		expect(tables.own.map(addressText)).toEqual(["10.77.2.1"]);
		const more = config(`${DNS}  web: { address: 203.0.113.80, port: 80, protocol: tcp, backends: [b1] }`);
		const again = compile(input(more, ids)).tables;
		for (const target of tables.targets) {
			expect(again.targets.find((t) => t.id === target.id)).toMatchObject({
				address: target.address,
				port: target.port,
			});
		}
		expect(again.services.find((s) => s.port === 80)?.protocol).toBe(6);
	});

	describe("loads and links", () => {
		const UPLINKS = "  b1: { address: [10.77.3.11, 10.77.4.11] }\n  b2: { address: 10.77.3.12 }";
		const service = (choose: string) =>
			`  s: { address: 203.0.113.1, port: 1, protocol: udp, choose: ${choose}, backends: [b1, b2] }`;
		/** Of the service's rows, by address. */
		const shares = (choose: string, balance: NonNullable<CompileInput["balance"]>) => {
			const { tables } = compile({ ...input(config(service(choose), UPLINKS)), balance });
			const rows = tables.redirections[0]!.rows;
			const of = tables.targets.map((target): [string, number] => [
				addressText(target.address),
				rows.filter((id) => id === target.id).length / rows.length,
			]);
			return { size: rows.length, of: new Map(of), tables };
		};
		const as = (
			factors: Record<string, number>,
			addresses: Record<string, number> = {},
			down: readonly string[] = [],
		) => ({
			factors: new Map(Object.entries(factors)),
			addresses: new Map(Object.entries(addresses)),
			down: new Set(down),
		});

		test("R11: a backend's factor moves its rows where the service is weighted, and nowhere else", () => {
			const even = shares("weighted", as({}));
			expect(even.of.get("10.77.3.12")).toBeCloseTo(0.5, 2);
			const moved = shares("weighted", as({ b2: 3 }));
			expect(moved.of.get("10.77.3.12")).toBeCloseTo(0.75, 2);
			expect(moved.size, "the table's size follows from what is configured").toBe(even.size);
			for (const choose of ["maglev", "source-hash", "least-load"])
				expect(shares(choose, as({ b2: 3 })).of).toEqual(shares(choose, as({})).of);
		});

		test("R12: the addresses of a backend share its weight as their uplinks allow, and it keeps its weight", () => {
			const { of } = shares("maglev", as({}, { "10.77.3.11": 10, "10.77.4.11": 1 }));
			expect(of.get("10.77.3.11")).toBeCloseTo(0.5 * (10 / 11), 2);
			expect(of.get("10.77.4.11")).toBeCloseTo(0.5 * (1 / 11), 2);
			expect(of.get("10.77.3.12")).toBeCloseTo(0.5, 2);
			const capped = shares("maglev", as({}, { "10.77.3.11": 0, "10.77.4.11": 0.5 }));
			expect(capped.of.get("10.77.3.11")).toBe(0);
			expect(capped.of.get("10.77.4.11")).toBeCloseTo(0.5, 2);
			const state = capped.tables.targets.find((target) => addressText(target.address) === "10.77.3.11")?.state;
			expect(state, "existing sessions stay there").toBe(TARGET_STATE.active);
		});

		test("R12: an address whose uplink is down is inactive, and its part is the backend's other one's", () => {
			const { of, tables } = shares("maglev", as({}, {}, ["10.77.3.11"]));
			expect(of.get("10.77.3.11")).toBe(0);
			expect(of.get("10.77.4.11")).toBeCloseTo(0.5, 2);
			const state = tables.targets.find((target) => addressText(target.address) === "10.77.3.11")?.state;
			expect(state).toBe(TARGET_STATE.inactive);
			const gone = shares("maglev", as({}, {}, ["10.77.3.11", "10.77.4.11"]));
			expect(gone.of.get("10.77.3.12")).toBe(1);
		});
	});
});
