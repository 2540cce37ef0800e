// drift.test.ts - what a gateway says of a backend that has drifted apart, and what a backend's reporter answers.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { Reporter } from "../../src/backend/reporter.js";
import { type Config, identityOf, parseConfig } from "../../src/config/index.js";
import { StaticStore } from "../../src/database/index.js";
import { Collector } from "../../src/gateway/collector.js";
import { DriftMonitor } from "../../src/gateway/drift.js";
import { decode, encode, type LoadReport } from "../../src/load/index.js";
import { DriftEvents } from "../../src/member/drift.js";
import type { MemberEvent } from "../../src/member/role.js";
import { until } from "../lab/lab.js";

const KEY1 = '{ id: 1, secret: "00112233445566778899aabbccddeeff" }';
const KEY2 = '{ id: 2, secret: "ffeeddccbbaa99887766554433221100" }';
const OTHER1 = '{ id: 1, secret: "0000000000000000000000000000dead" }';

const configOf = (keys: string, port = 3576, more = "") =>
	parseConfig(
		`
version: 1
cluster: { name: c, seed: s, keys: [${keys}]${more} }
load: { port: ${port}, report: 100ms }
gateways: { g1: { interface: eth0 } }
backends: { b2: { address: 10.0.0.2 } }
services:
  dns: { address: 203.0.113.53, port: 53, protocol: udp, backends: [b2] }
`,
		"c.yaml",
	);

const identity = (config: Config, version = "0.1.0") => ({ ...identityOf(config), version });

describe("what a gateway says", () => {
	const here = configOf(`${KEY1}, ${KEY2}`);
	const said = (monitor: DriftMonitor) => monitor.of(here, "0.1.0").map(({ text, unusable }) => ({ text, unusable }));
	const answered = (offsetMs: number, other = here, version?: string) => {
		const monitor = new DriftMonitor();
		monitor.answered("b2", offsetMs, identity(other, version));
		return said(monitor);
	};

	test("R37: nothing of a backend that agrees, that reports no identity (an older version), or that was never heard", () => {
		expect(answered(0)).toEqual([]);
		expect(answered(-14_900)).toEqual([]);
		const monitor = new DriftMonitor();
		expect(said(monitor)).toEqual([]);
		monitor.answered("b2", 0, undefined);
		expect(said(monitor)).toEqual([]);
	});

	test("R37: keys, clock, configuration and version, each in a sentence", () => {
		const text = (found: { text: string }[]) => found.map((one) => one.text);
		expect(text(answered(0, configOf(KEY2)))).toEqual(["b2 has key 2 only, this gateway has keys 1, 2"]);
		expect(text(answered(0, configOf(`${KEY1}, ${KEY2}, { id: 3, secret: "${"3".repeat(32)}" }`)))).toEqual([
			"b2 has keys 1, 2, 3, this gateway has keys 1, 2",
		]);
		expect(text(answered(0, configOf(`${OTHER1}, ${KEY2}`)))).toEqual(["b2's key 1 is another one than here"]);
		expect(text(answered(16_000))).toEqual([
			"b2's clock is 16 s ahead (window 30 s; synchronize it: chronyc tracking)",
		]);
		const other = configOf(`${KEY1}, ${KEY2}`, 3576, ", tunnelPort: 6082");
		const [digest, own] = [identityOf(other).config, identityOf(here).config];
		expect(text(answered(0, other))).toEqual([`b2 reads another configuration (digest ${digest}, here ${own})`]);
		expect(text(answered(0, other, "0.2.0")), "digests of another version are not compared").toEqual([
			"b2 runs version 0.2.0, here is 0.1.0",
		]);
	});

	test("R31 R37: a clock beyond the window and a key that the backend lacks make it unusable until it answers again", () => {
		const monitor = new DriftMonitor();
		monitor.answered("b2", 0, identity(here));
		monitor.refused("b2", "window", 41_200);
		expect(said(monitor)).toEqual([
			{ text: "b2's clock is 41 s ahead (window 30 s; synchronize it: chronyc tracking)", unusable: true },
		]);
		monitor.refused("b2", "key", undefined);
		expect(said(monitor)).toEqual([{ text: "b2 does not have key 2, with which this gateway signs", unusable: true }]);
		monitor.refused("b2", "tag", undefined);
		expect(said(monitor)).toEqual([{ text: "b2's key 2 is another one than here", unusable: true }]);
		monitor.answered("b2", 0, identity(here));
		expect(said(monitor)).toEqual([]);
	});

	test("R37: each drift begins and ends with one event", () => {
		const events: MemberEvent[] = [];
		const drift = new DriftEvents((event) => events.push(event));
		const clock = (s: number) =>
			({ member: "b2", what: "clock", text: `b2's clock is ${s} s ahead`, unusable: true }) as const;
		drift.update("b2", []);
		drift.update("b2", [clock(41)]);
		drift.update("b3", []);
		drift.update("b2", [clock(42)]);
		drift.update("b2", []);
		expect(events).toEqual([
			{ event: "drift", begins: true, member: "b2", what: "clock", text: "b2's clock is 41 s ahead" },
			{ event: "drift", begins: false, member: "b2", what: "clock", text: "b2 agrees again" },
		]);
	});
});

describe("a gateway and a backend that differ", () => {
	const ends: (() => unknown)[] = [];
	afterEach(async () => {
		for (const end of ends.splice(0)) await end();
	});

	const REPORT: LoadReport = {
		server: "b2",
		at: 1,
		total: 0,
		udpSessions: 0,
		tcpSessions: 0,
		cpu: null,
		link: null,
		uplinks: [],
	};
	const freePort = async () => {
		const socket = createSocket("udp4").bind(0, "127.0.0.1");
		await once(socket, "listening");
		const { port } = socket.address();
		await new Promise<void>((resolve) => socket.close(() => resolve()));
		return port;
	};
	const onLoopback = (config: Config): Config => ({
		...config,
		backends: config.backends.map((one) => ({ ...one, addresses: ["127.0.0.1"] })),
	});
	const backend = (config: Config) => {
		const reporter = new Reporter({ config, report: () => REPORT, warn: () => {} });
		ends.push(() => reporter.close());
		reporter.listen(config, ["127.0.0.1"]);
		return reporter;
	};
	/** What a gateway is told by the backend at this port. */
	const refusals = async (config: Config) => {
		const told: { backend: string; why: string; offsetMs: number | undefined }[] = [];
		const store = await StaticStore.open(config);
		const collector = new Collector({
			config,
			store,
			warn: () => {},
			onRefusal: (name, why, offsetMs) => told.push({ backend: name, why, offsetMs }),
			onReport: ({ server }, offsetMs) => told.push({ backend: server, why: "none", offsetMs }),
		});
		ends.push(() => collector.close());
		collector.start();
		return until("the backend's word", () => told[0], 10_000);
	};

	test.each([
		["key", KEY1, KEY2],
		["tag", KEY1, OTHER1],
		["key", `${KEY2}, ${KEY1}`, KEY2],
	])("R37: a query whose key the backend does not take is refused: %s", async (why, gateway, there) => {
		const port = await freePort();
		backend(onLoopback(configOf(there, port)));
		expect(await refusals(onLoopback(configOf(gateway, port)))).toEqual({ backend: "b2", why, offsetMs: undefined });
	});

	test("R37: clocks that agree are compared by each report", async () => {
		const port = await freePort();
		backend(onLoopback(configOf(KEY1, port)));
		const { why, offsetMs } = await refusals(onLoopback(configOf(KEY1, port)));
		expect(why).toBe("none");
		expect(Math.abs(offsetMs ?? Number.NaN)).toBeLessThan(5000);
	});

	test("R37: a query with a good tag from outside the window is refused with the time, noted at the backend, and forgotten with the next good one", async () => {
		const port = await freePort();
		const config = onLoopback(configOf(KEY1, port));
		const reporter = backend(config);
		const [key] = config.cluster.keys;
		const socket = createSocket("udp4").bind(0, "127.0.0.1");
		ends.push(() => socket.close());
		await once(socket, "listening");
		const ask = async (at: number, nonce: bigint) => {
			const answer = once(socket, "message");
			const question = encode({ kind: "question", nonce, at }, key!);
			const again = setInterval(() => socket.send(question, port, "127.0.0.1"), 200);
			socket.send(question, port, "127.0.0.1");
			const [datagram] = await answer;
			clearInterval(again);
			return decode(datagram as Buffer, config.cluster.keys, Date.now(), 30_000);
		};
		expect(await ask(Date.now() - 41_400, 5n)).toMatchObject({ kind: "refusal", why: "window", nonce: 5n });
		expect(reporter.drift()).toEqual([
			{
				member: "the gateway at 127.0.0.1",
				what: "clock",
				text: "the gateway at 127.0.0.1: its clock is 41 s behind (window 30 s; synchronize it: chronyc tracking)",
				unusable: true,
			},
		]);
		expect(await ask(Date.now(), 6n)).toMatchObject({ kind: "answer", nonce: 6n });
		expect(reporter.drift()).toEqual([]);
	});

	test("R37: refusals are limited in rate, and no datagram but a question gets one", async () => {
		const port = await freePort();
		const config = onLoopback(configOf(KEY1, port));
		backend(config);
		const socket = createSocket("udp4").bind(0, "127.0.0.1");
		ends.push(() => socket.close());
		await once(socket, "listening");
		let received = 0;
		socket.on("message", () => received++);
		const foreign = configOf(KEY2).cluster.keys[0]!;
		const refusal = encode({ kind: "refusal", nonce: 1n, at: Date.now(), why: "key" }, foreign);
		for (let i = 0; i < 20; i++) socket.send(refusal, port, "127.0.0.1");
		const begun = Date.now();
		for (let i = 0; i < 500; i++) {
			const question = encode({ kind: "question", nonce: BigInt(i), at: Date.now() }, foreign);
			socket.send(question, port, "127.0.0.1");
		}
		await until("refusals", () => received > 0, 10_000);
		await new Promise((resolve) => setTimeout(resolve, 200));
		const seconds = Math.floor((Date.now() - begun) / 1000) + 2;
		expect(received).toBeLessThanOrEqual(32 * seconds);
	});
});
