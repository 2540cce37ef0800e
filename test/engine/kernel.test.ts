// kernel.test.ts - the kernel's engine on a real link: attached, refused, grown, replaced, pinned.
//
//   client ── shtk-c ═ shtk-g ── engine (XDP) ── shtk-d ═ shtk-s ── server
//
// Owns: a folder in a BPF file system of its own.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CaptureStream, inject, type KernelEngineOptions, NativeEngine, pinnedMode } from "../../src/engine/index.js";
import type { TableSet } from "../../src/policy/index.js";
import { ifindexOf, isRoot, macOf, makePair, removePair, udpFrame, until, v4 } from "./links.js";
import { SERVICE, tables } from "./tables.js";

const client = { near: "shtk-c", far: "shtk-g" };
const server = { near: "shtk-s", far: "shtk-d" };
const PASS = join(import.meta.dirname, "../../build/bpf/pass.bpf.o");

const ip = (...args: string[]) => execFileSync("ip", args, { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
const pass = (link: string, mode = "xdp") =>
	ip("link", "set", "dev", link, mode, "object", PASS, "section", "xdp.frags");
const off = (link: string, mode = "xdp") => ip("link", "set", "dev", link, mode, "off");

const request = (sourcePort: number) =>
	udpFrame({
		to: macOf(client.far),
		from: macOf(client.near),
		source: "198.51.100.1",
		sourcePort,
		destination: SERVICE,
		destinationPort: 53,
		payload: Buffer.from("who is it?"),
	});

describe.skipIf(!isRoot)("the kernel's engine", () => {
	let folder: string;
	let bpffs: string;
	let way: { ifindex: number; mac: Buffer };
	let pins = 0;
	const engines: NativeEngine[] = [];

	beforeAll(() => {
		folder = mkdtempSync(join(tmpdir(), "shunt-kernel-"));
		bpffs = join(folder, "bpf");
		execFileSync("mkdir", [bpffs]);
		execFileSync("mount", ["-t", "bpf", "bpf", bpffs]);
		makePair(client.near, client.far);
		makePair(server.near, server.far);
		pass(server.near); // so that a veth takes the frames that XDP sends
		pass(client.near);
		way = { ifindex: ifindexOf(server.far), mac: macOf(server.far) };
	});
	beforeEach(() => {
		for (const engine of engines.splice(0)) engine.stop();
		pins++;
	});
	afterAll(() => {
		for (const engine of engines) engine.stop();
		removePair(client);
		removePair(server);
		execFileSync("umount", [bpffs]);
		rmSync(folder, { recursive: true });
	});

	function open(options: Partial<KernelEngineOptions> = {}): NativeEngine {
		const engine = new NativeEngine({
			kernel: { interfaces: [client.far], mode: "native", sessions4: 4096, sessions6: 1024, ...options },
		});
		engines.push(engine);
		return engine;
	}
	const here = () => join(bpffs, `t${pins}`);
	const send = (count: number, flows = 1) =>
		inject({ interface: client.near, frames: [request(4000)], count, flows, transmit: "sendmmsg" });
	const counted = (engine: NativeEngine) =>
		Object.values(engine.statistics.counters().reasons).reduce((sum, { packets }) => sum + packets, 0);

	test.each(["native", "generic"] as const)(
		"R1 R27: %s XDP forwards every packet, whole and in its tunnel",
		async (mode) => {
			const engine = open({ mode });
			const arrived = new CaptureStream({ interface: server.near, filter: "udp port 6081" });
			engine.publish(tables({}, way));
			engine.start();
			expect(engine.kernel()).toMatchObject({
				links: [{ interface: client.far, mode, attached: true }],
				unwatched: "",
			});
			await send(500, 100);
			await until(
				"500 packets forwarded",
				() => engine.statistics.target(1).packets + engine.statistics.target(2).packets >= 500,
			);
			let seen = 0;
			while (seen < 500) {
				const { packets } = await arrived.read({ timeoutMs: 2000 });
				if (packets.length === 0) break;
				for (const packet of packets) expect(packet.data.subarray(-10).toString()).toBe("who is it?");
				seen += packets.length;
			}
			arrived.close();
			expect(seen).toBe(500);
			const { reasons, lost } = engine.statistics.counters();
			expect(reasons.forwarded_new?.packets).toBe(100);
			expect(reasons.forwarded?.packets).toBe(400);
			expect(lost).toBe(0);
			expect(engine.sessions({ limit: 1000 }).rows).toHaveLength(100);
			expect(engine.removeSessions({ targets: [] }).removed).toBe(0);
			expect(engine.removeSessions({ targets: [1, 2] })).toEqual({ removed: 100, next: 0 });
		},
	);

	test("frames that a driver does not take are counted as lost", async () => {
		const engine = open();
		engine.publish(tables({}, way));
		engine.start();
		off(server.near);
		try {
			await send(20);
			await until("20 lost", () => engine.statistics.counters().lost >= 20);
			expect(engine.statistics.counters().lost).toBe(20);
		} finally {
			pass(server.near);
		}
	});

	test("a hook that another program holds is left to it, and the error names it", () => {
		pass(client.far);
		try {
			for (const mode of ["native", "generic"] as const) {
				const engine = open({ mode });
				engine.publish(tables({}, way));
				expect(() => engine.start()).toThrow(/the XDP hook of shtk-g is held by program shunt_pass \(id \d+\)/);
			}
			expect(ip("link", "show", client.far)).toMatch(/prog\/xdp id \d+ name shunt_pass/);
		} finally {
			off(client.far);
		}
	});

	test("R33: a driver's refusal is told in the driver's own words, and nothing stays attached", () => {
		ip("link", "set", "dev", "lo", "up");
		const engine = open({ interfaces: ["lo"] });
		engine.publish(tables({}, way));
		expect(() => engine.start()).toThrow(/lo: its driver accepts no native XDP program: \w.*native mode/);
		expect(ip("link", "show", "lo")).not.toMatch(/xdp/);
	});

	test("tables that outgrow their maps take a new program, and not one packet is lost", async () => {
		const engine = open();
		engine.publish(tables({}, way));
		engine.start();
		const before = engine.kernel()?.programId;
		const sending = inject({
			interface: client.near,
			frames: [request(4000)],
			count: 20_000,
			flows: 1000,
			pps: 20_000,
		});
		await until("some packets", () => counted(engine) > 2000);
		const many = (base: TableSet): TableSet => ({
			...base,
			epoch: 2,
			services: [
				...base.services,
				...Array.from({ length: 2000 }, (_, i) => ({
					...(base.services[0] as TableSet["services"][number]),
					id: i + 2,
					address: v4(`203.0.${114 + (i >> 8)}.${i & 255}`),
				})),
			],
		});
		engine.publish(many(tables({}, way)));
		expect(engine.kernel()?.programId).not.toBe(before);
		const { sent } = await sending;
		await until("all packets counted", () => counted(engine) >= sent);
		const { reasons, lost } = engine.statistics.counters();
		expect(counted(engine)).toBe(sent);
		expect((reasons.forwarded?.packets ?? 0) + (reasons.forwarded_new?.packets ?? 0)).toBe(sent);
		expect(reasons.forwarded_new?.packets).toBe(1000); // no session was begun anew
		expect(lost).toBe(0);
	});

	/** A backend of one service, and many more so that its tables outgrow their maps. */
	const backend = (epoch: number, more = 0): TableSet => {
		const base = tables({ epoch, roles: 2, own: [v4("10.77.3.11")] }, way);
		const service = { ...(base.services[0] as TableSet["services"][number]), idleSentMs: 30_000 };
		const others = Array.from({ length: more }, (_, i) => ({
			...service,
			id: i + 2,
			address: v4(`203.0.${114 + (i >> 8)}.${i & 255}`),
		}));
		const direct = [{ service: 1, address: v4("10.77.3.11"), port: 53, family: 4 as const }];
		return { ...base, services: [service, ...others], direct };
	};
	const filters = (name: string) =>
		execFileSync("tc", ["filter", "show", "dev", name, "egress"], { encoding: "utf8" }).match(/shunt_sent.* id \d+/g);
	/** An answer leaves; not past the queueing discipline, where the filter is. */
	const answer = (port: number) =>
		inject({
			interface: client.far,
			frames: [
				udpFrame({
					...{ to: macOf(client.near), from: macOf(client.far), source: "10.77.3.11", sourcePort: 53 },
					...{ destination: "198.51.100.1", destinationPort: port, payload: Buffer.from("an answer") },
				}),
			],
			count: 1,
			qdiscBypass: false,
		});

	test("R9: the filter at a backend's way out sees what it sends, over tables that outgrow their maps too", async () => {
		const engine = open({ sent: true });
		engine.publish(backend(1));
		engine.start();
		expect(engine.kernel()?.unsent).toBe("");
		await answer(4000);
		await until("a session made", () => engine.statistics.counters().sentMade === 1);
		const before = filters(client.far);
		engine.publish(backend(2, 2000));
		const after = filters(client.far);
		expect([before?.length, after?.length]).toEqual([1, 1]);
		expect(after).not.toEqual(before);
		await answer(4000);
		await answer(4001);
		await until("three answers", () => engine.statistics.counters().sent === 3);
		expect(
			engine
				.sessions()
				.rows.map(({ sourcePort }) => sourcePort)
				.sort(),
		).toEqual([4000, 4001]);
		expect(engine.statistics.counters().packetsIn).toBe(0);
		engine.stop();
		expect(filters(client.far)).toBeNull();
		expect(execFileSync("tc", ["qdisc", "show", "dev", client.far], { encoding: "utf8" })).not.toContain("clsact");
	});

	test("no filter is left on an interface that the next engine has no more, or for a gateway", async () => {
		off(server.near);
		const first = open({ pins: here(), sent: true, interfaces: [client.far, server.near] });
		first.publish(backend(1));
		first.start();
		expect([client.far, server.near].map((name) => filters(name)?.length)).toEqual([1, 1]);
		const second = open({ pins: here(), sent: true, interfaces: [client.far] });
		second.publish(backend(2));
		second.start();
		expect([client.far, server.near].map((name) => filters(name)?.length)).toEqual([1, undefined]);
		const gateway = open({ pins: here() });
		gateway.publish(tables({ epoch: 3 }, way));
		gateway.start();
		expect(filters(client.far)).toBeNull();
		first.stop();
		gateway.stop();
		pass(server.near);
	});

	test("what is pinned goes on without its process, and the next engine takes over sessions, counters and the link", async () => {
		const script = `
			const { NativeEngine } = await import(${JSON.stringify(join(import.meta.dirname, "../../dist/engine/index.js"))});
			const set = JSON.parse(process.argv[1], (key, value) => value?.type === "Buffer" ? Buffer.from(value.data)
				: value?.rows ? { ...value, rows: Uint16Array.from(value.rows) } : typeof value === "string" && /^\\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value);
			const engine = new NativeEngine({ kernel: { interfaces: [${JSON.stringify(client.far)}], mode: "native", sessions4: 4096, sessions6: 1024, pins: ${JSON.stringify(here())} } });
			engine.publish(set);
			engine.start();
			process.kill(process.pid, "SIGKILL");
		`;
		const set = JSON.stringify(tables({}, way), (_, value) =>
			typeof value === "bigint" ? `${value}n` : value instanceof Uint16Array ? [...value] : value,
		);
		expect(() => execFileSync(process.execPath, ["--input-type=module", "-e", script, set])).toThrow(); // it was killed
		expect(pinnedMode(here(), client.far)).toBe("native");
		await send(300, 100); // no process is attached, only the kernel

		const engine = open({ pins: here() });
		expect(engine.kernel()?.adopted).toBe(true);
		expect(engine.statistics.counters().reasons).toMatchObject({
			forwarded_new: { packets: 100 },
			forwarded: { packets: 200 },
		});
		engine.publish(tables({ epoch: 2 }, way));
		engine.start();
		await send(200, 100);
		await until("200 more", () => (engine.statistics.counters().reasons.forwarded?.packets ?? 0) >= 400);
		expect(engine.statistics.counters().reasons.forwarded_new?.packets).toBe(100);
		engine.stop();
		expect(existsSync(here())).toBe(false);
		expect(ip("link", "show", client.far)).not.toMatch(/xdp/);
	});

	test("a table of another size takes the sessions of the one before", async () => {
		const first = open({ pins: here() });
		first.publish(tables({}, way));
		first.start();
		await send(900, 900);
		await until("900 sessions", () => first.sessions({ limit: 2000 }).rows.length === 900);
		const second = open({ pins: here(), sessions4: 65_536 });
		second.publish(tables({ epoch: 2 }, way));
		second.start();
		expect(second.sessionTable().records4).toBeGreaterThan(first.sessionTable().records4);
		expect(second.sessions({ limit: 2000 }).rows).toHaveLength(900);
		await send(900, 900);
		await until(
			"900 packets of known sessions",
			() => (second.statistics.counters().reasons.forwarded?.packets ?? 0) >= 900,
		);
		expect(second.statistics.counters().reasons.forwarded_new).toBeUndefined();
		second.stop();
		expect(readdirSync(bpffs).filter((name) => name === `t${pins}`)).toEqual([]);
	});
});
