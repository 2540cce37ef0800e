import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
	addressText,
	parseAddress,
	parseConfig,
	parseDuration,
	parsePrefix,
	readConfig,
	withoutSecrets,
} from "../../src/config/index.js";

const examples = join(import.meta.dirname, "../../examples");

describe("reading a configuration", () => {
	test("a service with two addresses and two protocols is four services", () => {
		const { services } = readConfig(join(examples, "dns.yaml"));
		expect(services.map((service) => service.key)).toEqual([
			"udp/203.0.113.53/53",
			"tcp/203.0.113.53/53",
			"udp/2001:db8:53::53/53",
			"tcp/2001:db8:53::53/53",
		]);
		expect(services.map((service) => service.family)).toEqual([4, 4, 6, 6]);
	});

	test("R2: rules go to the services of their family, longest prefix first", () => {
		const { services } = readConfig(join(examples, "dns.yaml"));
		expect(services[0]?.rules.map((rule) => rule.from)).toEqual(["198.51.100.7/32", "198.51.100.0/24"]);
		expect(services[2]?.rules.map((rule) => rule.from)).toEqual(["2001:db8:100::/48"]);
	});

	test("R3: a backend's port may differ from the service's", () => {
		const choices = readConfig(join(examples, "dns.yaml")).services[0]?.redirection.choices;
		expect(choices).toEqual([
			{ backend: "ns1", port: 53, weight: 1 },
			{ backend: "ns2", port: 5353, weight: 2 },
		]);
	});

	test("R4: a rule's terms override the service's, field by field", () => {
		const service = readConfig(join(examples, "game.yaml")).services[0];
		const answer = "forward-and-indicate";
		expect(service?.redirection.terms).toEqual({ clients: true, term: "leased", leaseS: 60, answer });
		expect(service?.rules[0]?.redirection.terms).toEqual({ clients: true, term: "permanent", leaseS: 0, answer });
	});

	test("R4: the answer to a capability is the rule's, else the service's; forward where clients do not redirect themselves", () => {
		const text = `
version: 1
cluster: { seed: s, keys: [{ id: 1, secret: "00112233445566778899AABBCCDDEEFF" }] }
backends: { b: { address: 10.0.0.1 } }
services:
  s:
    address: 203.0.113.1
    port: 1
    protocol: udp
    backends: [b]
    uninvited: drop
    redirect: { clients: true, answer: return }
    sources:
      - { from: 198.51.100.4, redirect: { term: permanent } }
      - { from: 198.51.100.3, redirect: { answer: indicate } }
      - { from: 198.51.100.2, redirect: { answer: forward } }
      - { from: 198.51.100.1, redirect: { clients: false } }
  t: { address: 203.0.113.2, port: 1, protocol: udp, backends: [b] }`;
		const [s, t] = parseConfig(text, "inline.yaml").services;
		expect(s?.redirection.terms.answer).toBe("return");
		const rules = s?.rules.map((rule) => [rule.from, rule.redirection.terms.answer]);
		expect(rules?.sort()).toEqual([
			["198.51.100.1/32", "forward"],
			["198.51.100.2/32", "forward"],
			["198.51.100.3/32", "indicate"],
			["198.51.100.4/32", "return"],
		]);
		expect(t?.redirection.terms.answer).toBe("forward");
		expect([s?.invitedOnly, t?.invitedOnly]).toEqual([true, false]);
	});

	test("R9: idle periods follow the protocol, and the state of a TCP session; those given hold for both protocols", () => {
		const services = (idle: string) =>
			parseConfig(
				`
version: 1
cluster: { seed: s, keys: [{ id: 1, secret: "00112233445566778899AABBCCDDEEFF" }] }
backends: { b: { address: 10.0.0.1 } }
services:
  s: { address: 203.0.113.1, port: 1, protocol: [udp, tcp], backends: [b]${idle} }`,
				"inline.yaml",
			).services.map(({ idleMs, idleTransitoryMs, idleSentMs }) => [idleMs, idleTransitoryMs, idleSentMs]);
		const [two, four] = [124 * 60_000, 240_000];
		expect(services("")).toEqual([
			[30_000, 30_000, 30_000],
			[two, four, two],
		]);
		expect(services(", idle: 10s")).toEqual([
			[10_000, 10_000, 10_000],
			[10_000, 10_000, 10_000],
		]);
		expect(services(", idle: 1h, idleTransitory: 1m, idleSent: 2s")).toEqual([
			[3_600_000, 3_600_000, 2000],
			[3_600_000, 60_000, 2000],
		]);
	});

	test("defaults are filled in", () => {
		const config = readConfig(join(examples, "dns.yaml"));
		expect(config.cluster).toMatchObject({ signKey: 1, windowMs: 30_000, tunnelPort: 6081, maxHops: 5 });
		expect(config.cluster).toMatchObject({ controlPort: 3575, indications: { source: 8, burst: 32, all: 10_000 } });
		expect(config.sessions).toEqual({ capacity: 1_048_576, capacityIpv6: 262_144, checkMs: 1000 });
		expect(config.engine).toEqual({ mode: "auto", workers: 1, busyPollUs: 0, qdiscBypass: false, stations: [] });
		expect(config.backends[0]).toMatchObject({ state: "active", interfaces: [] });
	});

	test("the last key signs, and withoutSecrets leaves no secret", () => {
		const config = readConfig(join(examples, "game.yaml"));
		expect(config.cluster.signKey).toBe(2);
		expect(JSON.stringify(withoutSecrets(config))).not.toMatch(/0123456789abcdef|change me/);
	});

	test("the model is frozen", () => {
		const config = readConfig(join(examples, "dns.yaml"));
		expect(() => Object.assign(config.services[0]!.redirection.choices[0]!, { weight: 9 })).toThrow(TypeError);
	});

	test("R1: an IPv4 service may have IPv6 backends only", () => {
		const text = `
version: 1
cluster: { seed: s, keys: [{ id: 1, secret: "00112233445566778899AABBCCDDEEFF" }] }
backends: { b: { address: "fd77:3:0::11" } }
services: { s: { address: 203.0.113.1, port: 1, protocol: udp, backends: [b], via: ipv6 } }`;
		const config = parseConfig(text, "inline.yaml");
		expect(config.services[0]).toMatchObject({ family: 4, via: 6 });
		expect(config.backends[0]?.addresses).toEqual(["fd77:3::11"]);
		expect(config.cluster.keys[0]?.secret).toBe("00112233445566778899aabbccddeeff");
	});

	test("an alias has the value of its anchor, and the anchor is the place of its problems", () => {
		const text = `
version: 1
cluster: { seed: s, keys: [{ id: 1, secret: "00112233445566778899AABBCCDDEEFF" }] }
backends: { b: { address: 10.0.0.1 } }
services:
  one: { address: 203.0.113.1, port: 1, protocol: udp, backends: &all [b, c] }
  two: { address: 203.0.113.2, port: 1, protocol: udp, backends: *all }`;
		expect(() => parseConfig(text, "inline.yaml")).toThrow(
			/inline\.yaml:6:75: services\.one\.backends\[1\]: "c" is not a backend/,
		);
		expect(() => parseConfig(text, "inline.yaml")).toThrow(
			/inline\.yaml:6:75: services\.two\.backends\[1\]: "c" is not a backend/,
		);
	});

	test("a missing file is reported in one sentence", () => {
		expect(() => readConfig("/nowhere/shunt.yaml")).toThrow(
			"The configuration /nowhere/shunt.yaml cannot be read: there is no such file.",
		);
	});
});

test("a key file that others can read is refused with its mode and the remedy; its owner's alone is read", () => {
	const folder = mkdtempSync(join(tmpdir(), "shunt-key-"));
	const key = join(folder, "key-1");
	const secret = "00112233445566778899aabbccddeeff";
	writeFileSync(key, `${secret}\n`);
	const text = readFileSync(join(examples, "dns.yaml"), "utf8").replace(
		/keys:.*\n( +-.*\n)*/,
		'keys: [{ id: 1, secretFile: "key-1" }]\n',
	);
	const read = () => parseConfig(text, join(folder, "dns.yaml"));
	for (const mode of [0o644, 0o640, 0o604, 0o620]) {
		chmodSync(key, mode);
		const octal = mode.toString(8).padStart(4, "0");
		expect(read, octal).toThrow(
			`cluster.keys[0].secretFile: key-1 has mode ${octal}, by which others can read or change it; a key is its owner's alone; chmod 600 ${key}`,
		);
	}
	for (const mode of [0o600, 0o400]) {
		chmodSync(key, mode);
		expect(read().cluster.keys).toEqual([{ id: 1, secret }]);
	}
	rmSync(folder, { recursive: true });
});

test("a duration needs a unit", () => {
	expect(["50us", "500ms", "30s", "1.5m", "1h"].map(parseDuration)).toEqual([0.05, 500, 30_000, 90_000, 3_600_000]);
	expect(["", "5", "-1s", "1 s", "1d", "1e3s"].map(parseDuration)).toEqual(Array(6).fill(undefined));
});

describe("addresses", () => {
	test("IPv4 addresses and their prefix lengths are kept in mapped form", () => {
		const prefix = parsePrefix("198.51.100.7/24");
		expect(prefix).toMatchObject({ text: "198.51.100.0/24", length: 24, mappedLength: 120, hostBits: true });
		expect(prefix?.bytes.toString("hex")).toBe("00000000000000000000ffffc6336400");
		expect(addressText(prefix!.bytes)).toBe("198.51.100.0");
	});
	test("each address has one spelling", () => {
		expect(parseAddress("2001:DB8:0:0::0:1")?.text).toBe("2001:db8::1");
		expect(parsePrefix("::/0")).toMatchObject({ text: "::/0", mappedLength: 0, hostBits: false });
		expect(parsePrefix("0.0.0.0/0")).toMatchObject({ text: "0.0.0.0/0", mappedLength: 96, hostBits: false });
	});
	test("ambiguous spellings are refused", () => {
		for (const text of ["10.1", "0x7f.0.0.1", "010.0.0.1", "1.2.3.4.5", "fe80::1%eth0", "::g", "", "10.0.0.0/8"]) {
			expect(parseAddress(text), text).toBeUndefined();
		}
		for (const text of ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/08", "::/129"]) {
			expect(parsePrefix(text), text).toBeUndefined();
		}
	});
});
