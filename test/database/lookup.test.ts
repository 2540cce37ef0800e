import { describe, expect, test } from "vitest";
import { findService, lookup, snapshotOfConfig } from "../../src/database/index.js";
import { config, DNS } from "./fixture.js";

const snapshot = snapshotOfConfig(config(DNS));
const four = findService(snapshot, "203.0.113.53", 53, "udp")!;
const six = findService(snapshot, "2001:db8:53:0::53", 53, "udp")!;
const names = (source: string, service = four) => lookup(snapshot, service, source)?.targets.map((t) => t.backend);

describe("lookup", () => {
	test("R2: the longest prefix decides, down to one address", () => {
		expect(names("192.0.2.1")).toEqual(["b1", "b2", "b3"]);
		expect(names("198.51.100.1")).toEqual(["b3"]);
		expect(names("198.51.100.127")).toEqual(["b3"]);
		expect(names("198.51.100.128")).toEqual(["b1", "b2", "b3"]);
		expect(names("198.51.100.199")).toEqual(["b1", "b2", "b3"]);
		expect(names("198.51.100.200")).toEqual(["b1"]);
		expect(names("198.51.101.0")).toEqual(["b1", "b2", "b3"]);
	});

	test("R2: by service too", () => {
		expect(findService(snapshot, "203.0.113.53", 53, "tcp")).toBeUndefined();
		expect(findService(snapshot, "203.0.113.53", 54, "udp")).toBeUndefined();
		expect(names("2001:db8:100:ffff::1", six)).toEqual(["b1"]);
		expect(names("2001:db8:101::1", six)).toEqual(["b1", "b2", "b3"]);
	});

	test("R1: own family first, then the other", () => {
		expect(lookup(snapshot, six, "2001:db8::1")?.targets.map((target) => target.address)).toEqual([
			"fd77:3::11",
			"10.77.3.12",
			"10.77.3.13",
		]);
	});

	test("R3: the target has the backend's own port", () => {
		expect(lookup(snapshot, four, "192.0.2.1")?.targets.map((target) => target.port)).toEqual([53, 5353, 53]);
	});

	test("R7: the answer carries the rule's terms", () => {
		const answer = lookup(snapshot, four, "198.51.100.130");
		expect(answer?.rule?.from).toBe("198.51.100.128/25");
		expect(answer?.redirection.terms).toMatchObject({ clients: true, term: "leased", leaseS: 90 });
	});

	test("R9: weight 0 drains a backend in one service, or for the sources of one rule, and nowhere else", () => {
		const services = `  one: { address: 203.0.113.1, port: 1, protocol: udp, backends: [b1, { name: b2, weight: 0 }] }
  two: { address: 203.0.113.2, port: 1, protocol: udp, backends: [b1, b2], sources: [{ from: 198.51.100.1, backends: [{ name: b1, weight: 0 }, b3] }] }`;
		const known = snapshotOfConfig(config(services));
		const states = (service: number, source: string) =>
			lookup(known, known.services[service]!, source)?.targets.map((target) => `${target.backend} ${target.state}`);
		expect(states(0, "192.0.2.1")).toEqual(["b1 active", "b2 draining"]);
		expect(states(1, "192.0.2.1")).toEqual(["b1 active", "b2 active"]);
		expect(states(1, "198.51.100.1")).toEqual(["b1 draining", "b3 active"]);
	});

	test("R2: a range of addresses is the rule of each of them, and of no other", () => {
		const text = `  one: { address: 203.0.113.1, port: 1, protocol: udp, backends: [b1], sources: [{ from: 198.51.100.10-198.51.100.99, backends: [b2] }] }`;
		const known = snapshotOfConfig(config(text));
		const of = (source: string) => lookup(known, known.services[0]!, source)?.targets[0]?.backend;
		const sources = ["198.51.100.9", "198.51.100.10", "198.51.100.63", "198.51.100.99", "198.51.100.100"];
		expect(sources.map(of)).toEqual(["b1", "b2", "b2", "b2", "b1"]);
	});

	test("a source of the other family has no answer", () => {
		expect(lookup(snapshot, four, "2001:db8::1")).toBeUndefined();
		expect(lookup(snapshot, four, "nonsense")).toBeUndefined();
	});

	test("R12: addresses of one family share the weight", () => {
		const uplinks = snapshotOfConfig(
			config(
				DNS,
				"  b1: { address: [10.1.0.1, 10.2.0.1] }\n  b2: { address: 10.77.3.12 }\n  b3: { address: 10.77.3.13 }",
			),
		);
		const weights = lookup(uplinks, uplinks.services[1]!, "192.0.2.1")?.targets.map((t) => [t.address, t.weight]);
		expect(weights).toEqual([
			["10.1.0.1", 0.5],
			["10.2.0.1", 0.5],
			["10.77.3.12", 2],
			["10.77.3.13", 1],
		]);
	});

	test("every mask of both families agrees with arithmetic", () => {
		for (let length = 0; length <= 32; length++) {
			const mask = length === 0 ? 0n : ((1n << BigInt(length)) - 1n) << BigInt(32 - length);
			const inside = 0xc6336485n & mask;
			const dotted = (n: bigint) => [24n, 16n, 8n, 0n].map((s) => Number((n >> s) & 255n)).join(".");
			const one = snapshotOfConfig(
				config(
					`  s: { address: 203.0.113.1, port: 1, protocol: udp, backends: [b1], sources: [{ from: ${dotted(inside)}/${length}, backends: [b2] }] }`,
				),
			);
			const ask = (n: bigint) => lookup(one, one.services[0]!, dotted(n))?.targets[0]?.backend;
			expect(ask(inside)).toBe("b2");
			expect(ask(inside | (~mask & 0xffffffffn))).toBe("b2");
			if (length > 0) expect(ask(inside ^ (1n << BigInt(32 - length)))).toBe("b1");
		}
	});
});
