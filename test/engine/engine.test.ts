import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
	type CapturedPacket,
	CaptureStream,
	type Counters,
	inject,
	NativeEngine,
	reasons,
	runFile,
} from "../../src/engine/index.js";
import { ShuntError } from "../../src/errors.js";
import type { TableSet } from "../../src/policy/index.js";
import { pcap } from "../wire/pcap.js";
import { checksum, ifindexOf, isRoot, macOf, makePair, type Pair, removePair, udpFrame, until, v4 } from "./links.js";
import { SERVICE, tables } from "./tables.js";

function conserved(counters: Counters): boolean {
	const sum = Object.values(counters.reasons).reduce((total, reason) => total + reason.packets, 0);
	return sum === counters.packetsIn;
}

const pcapOf = (frames: readonly Buffer[]) => pcap(frames, (i) => i * 1000);

const request = (to: Buffer, from: Buffer, sourcePort = 4000, destinationPort = 53) =>
	udpFrame({
		to,
		from,
		source: "198.51.100.1",
		sourcePort,
		destination: SERVICE,
		destinationPort,
		payload: Buffer.from("who is it?"),
	});

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), "shunt-engine-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("the addon", () => {
	it("R27: exports every reason with its verdict", () => {
		expect(reasons().length).toBeGreaterThan(40);
		expect(reasons()[0]).toMatchObject({ name: "forwarded", verdict: "forward" });
		expect(new Set(reasons().map((reason) => reason.name)).size).toBe(reasons().length);
	});

	it("refuses wrong arguments with one sentence and its place", () => {
		const engine = new NativeEngine({ workers: [{ file: sample() }], outputFile: join(folder, "x") });
		const refusal = (set: unknown) => {
			try {
				engine.publish(set as TableSet);
			} catch (error) {
				return error instanceof ShuntError ? error.message : String(error);
			}
			return "accepted";
		};
		const good = tables();
		expect(refusal({ ...good, services: [{ ...good.services[0], port: 70_000 }] })).toContain(
			"services[0].port must be an integer from 0 to 65535",
		);
		expect(refusal({ ...good, targets: [{ ...good.targets[0], address: Buffer.alloc(4) }] })).toContain(
			"targets[0].address must be a Buffer of 16 bytes",
		);
		expect(refusal({ ...good, redirections: [{ rows: [1], spread: 0 }] })).toContain("must be a Uint16Array");
		expect(refusal({ ...good, targets: [] })).toContain("redirections[0] has a row that names a target");
		expect(refusal(undefined)).toContain("must be an object");
		expect(refusal(good)).toBe("accepted");
	});

	it("says which interface is missing", () => {
		expect(() => new NativeEngine({ workers: [{ interface: "no-such-link" }] })).toThrow(
			/there is no interface named no-such-link/,
		);
	});
});

function sample(): string {
	const file = join(folder, "sample.pcap");
	const mac = Buffer.alloc(6);
	const frames = Array.from({ length: 50 }, (_, i) => request(mac, mac, 4000 + (i % 5)));
	writeFileSync(file, pcapOf([...frames, request(mac, mac, 4000, 54), Buffer.alloc(9)]));
	return file;
}

describe("a run over a file", () => {
	it("R27: counts every packet once, and gives the same twice", async () => {
		const options = { steps: [{ tables: tables() }], input: sample(), output: join(folder, "out.pcap") };
		const first = runFile(options);
		expect(first.counters.packetsIn).toBe(52);
		expect(conserved(first.counters)).toBe(true);
		expect(first.counters.reasons).toMatchObject({
			forwarded_new: { packets: 5 },
			forwarded: { packets: 45 },
			not_service_port: { packets: 1 },
			truncated: { packets: 1, bytes: 9 },
		});
		expect(first.reasons.slice(0, 6)).toEqual([...Array(5).fill("forwarded_new"), "forwarded"]);
		expect([...first.targets.values()].reduce((n, t) => n + t.packets, 0)).toBe(50);
		expect(first.sessions).toHaveLength(5);
		expect(runFile(options)).toEqual(first);

		const stream = new CaptureStream({ file: options.output, filter: "udp port 6081" });
		const { packets } = await stream.read({ max: 100 });
		expect(packets).toHaveLength(50);
		expect(packets[0]?.timestampNs).toBe(1_700_000_000_000_000_000n);
		expect((await stream.read()).ended).toBe(true);
		stream.close();
	});

	it("an engine whose capture is a file ends by itself, and its counters stay readable", async () => {
		let ended: string | undefined;
		const engine = new NativeEngine({
			workers: [{ file: sample() }],
			outputFile: join(folder, "engine.pcap"),
			onEnd: (_, problem) => {
				ended = problem;
			},
		});
		engine.publish(tables());
		engine.start();
		await until("the end of the file", () => ended !== undefined);
		engine.stop();
		expect(ended).toBe("");
		expect(engine.statistics.state(0)).toBe("ended");
		expect(engine.statistics.counters().packetsIn).toBe(52);
		expect(engine.sessions().rows).toHaveLength(5);
		expect(engine.sweep(0, 1 << 30).next).toBe(0);
	});
});

describe.runIf(isRoot)("over real interfaces", () => {
	let client: Pair;
	let server: Pair;
	let link: { ifindex: number; mac: Buffer };
	beforeAll(() => {
		client = makePair("shte-c0", "shte-c1");
		server = makePair("shte-s0", "shte-s1");
		link = { ifindex: ifindexOf(server.near), mac: macOf(server.near) };
	});
	afterAll(() => {
		removePair(client);
		removePair(server);
	});

	const frames = () => [request(macOf(client.far), macOf(client.near))];

	for (const transmit of ["sendmmsg", "ring", "pcap"] as const)
		it(`R27: captured by libpcap and sent by ${transmit}, every packet arrives once, whole and in its tunnel`, async () => {
			const count = 2000;
			const witness = new CaptureStream({ interface: server.far, filter: "udp dst port 6081" });
			const engine = new NativeEngine({ workers: [{ interface: client.far }], transmit });
			expect(engine.publish(tables({}, link))).toEqual([]);
			engine.start();
			const sent = await inject({ interface: client.near, frames: frames(), count, flows: 40, pps: 40_000 });
			expect(sent.sent).toBe(count);
			await until("all packets counted", () => engine.statistics.counters().packetsIn >= count);
			engine.stop();
			const counters = engine.statistics.counters();
			expect(conserved(counters)).toBe(true);
			expect(counters.reasons.forwarded_new?.packets).toBe(40);
			expect(counters.reasons.forwarded?.packets).toBe(count - 40);
			expect(counters.captureDropped).toBe(0);

			const seen = await drain(witness, count);
			expect(seen).toHaveLength(count);
			const inner = frames()[0]!.subarray(14);
			const ports = new Set<number>();
			for (const { data } of seen) {
				const packet = data.subarray(data.length - inner.length);
				ports.add(packet.readUInt16BE(20));
				expect(checksum(packet.subarray(0, 20))).toBe(0);
				const pseudo = Buffer.concat([packet.subarray(12, 20), Buffer.from([0, 17]), packet.subarray(24, 26)]);
				expect(checksum(Buffer.concat([pseudo, packet.subarray(20)]))).toBe(0);
			}
			expect(ports.size).toBe(40);
			expect(engine.statistics.target(1).packets + engine.statistics.target(2).packets).toBe(count);
		});

	it("R27: tcpdump decodes what was sent as Geneve", async () => {
		const tcpdump = spawn("tcpdump", ["-nn", "-c", "1", "-l", "-i", server.far, "udp", "dst", "port", "6081"]);
		let text = "";
		let ready = "";
		tcpdump.stdout.on("data", (chunk) => {
			text += chunk;
		});
		tcpdump.stderr.on("data", (chunk) => {
			ready += chunk;
		});
		await until("tcpdump to listen", () => ready.includes("listening"));
		const engine = new NativeEngine({ workers: [{ interface: client.far }] });
		engine.publish(tables({}, link));
		engine.start();
		await inject({ interface: client.near, frames: frames(), count: 1 });
		await until("tcpdump's line", () => text.includes("53:"));
		engine.stop();
		expect(text).toMatch(/10\.77\.3\.1\.\d+ > 10\.77\.3\.1[12]\.6081: Geneve.*options \[/);
		expect(text).toContain(`198.51.100.1.4000 > ${SERVICE}.53`);
	});

	it("whole tables are swapped under load, and not one packet is lost", async () => {
		const count = 30_000;
		const engine = new NativeEngine({ workers: [{ interface: client.far }] });
		engine.publish(tables({}, link));
		engine.start();
		const injected = inject({ interface: client.near, frames: frames(), count, flows: 100, pps: 30_000 });
		let epoch = 1;
		const publishing = setInterval(() => engine.publish(tables({ epoch: ++epoch }, link)), 10);
		await injected;
		clearInterval(publishing);
		await until("all packets counted", () => engine.statistics.counters().packetsIn >= count);
		await until("old tables freed", () => engine.retiredTables() === 0);
		engine.stop();
		const { reasons: by, captureDropped } = engine.statistics.counters();
		expect(epoch).toBeGreaterThan(20);
		expect(captureDropped).toBe(0);
		expect((by.forwarded?.packets ?? 0) + (by.forwarded_new?.packets ?? 0)).toBe(count);
	});

	it("two workers share the flows of one interface by fanout", async () => {
		const count = 4000;
		const worker = { interface: client.far, fanout: 77 };
		const engine = new NativeEngine({ workers: [worker, worker] });
		engine.publish(tables({}, link));
		engine.start();
		await inject({ interface: client.near, frames: frames(), count, flows: 200, pps: 40_000 });
		await until("all packets counted", () => engine.statistics.counters().packetsIn >= count);
		engine.stop();
		const counters = engine.statistics.counters();
		expect(counters.packetsIn).toBe(count);
		expect(conserved(counters)).toBe(true);
		expect(engine.statistics.counters(0).packetsIn).toBeGreaterThan(0);
		expect(engine.statistics.counters(1).packetsIn).toBeGreaterThan(0);
		expect(engine.sessions({ service: 1 }).rows).toHaveLength(200);
		const one = { source: v4("198.51.100.1"), sourcePort: 4000 };
		const { buckets } = engine.sessionTable();
		expect(engine.removeSessions({ ...one, idleAtLeastMs: 60_000, buckets })).toEqual({ removed: 0, next: 0 });
		let removed = 0;
		let slices = 0;
		for (let from = 0; slices === 0 || from !== 0; slices++) {
			const slice = engine.removeSessions({ ...one, from });
			removed += slice.removed;
			from = slice.next;
		}
		expect([removed, slices]).toEqual([1, Math.ceil(buckets / 65_536)]);
	});

	it("R9: a backend's capture observes egress packets, which are not counted as ingress packets", async () => {
		const own = "10.77.3.11";
		const engine = new NativeEngine({ workers: [{ interface: client.far, sent: true }], sessions4: 1000 });
		const [service] = tables().services;
		engine.publish(
			tables({
				roles: 2,
				own: [v4(own)],
				services: [{ ...(service as NonNullable<typeof service>), idleSentMs: 30_000 }],
				direct: [{ service: 1, address: v4(own), port: 53, family: 4 }],
			}),
		);
		engine.start();
		const macs = { near: macOf(client.near), far: macOf(client.far) };
		const question = (port: number) => ({
			...{ to: macs.far, from: macs.near, source: "198.51.100.1", sourcePort: port },
			...{ destination: own, destinationPort: 53, payload: Buffer.from("a question") },
		});
		const answer = (port: number, length: number) => ({
			...{ to: macs.near, from: macs.far, source: own, sourcePort: 53 },
			...{ destination: "198.51.100.1", destinationPort: port, payload: Buffer.alloc(length) },
		});
		// Not past the queueing discipline: there, no socket sees what is sent.
		const send = (name: string, frames: Buffer[]) =>
			inject({ interface: name, frames, count: frames.length, qdiscBypass: false });
		await send(client.near, [udpFrame(question(4000)), udpFrame(question(4001))]);
		await until("questions", () => engine.statistics.counters().packetsIn === 2);
		// The second one is longer than what is copied of it.
		await send(client.far, [udpFrame(answer(4001, 20)), udpFrame(answer(4002, 1200))]);
		await until("answers", () => engine.statistics.counters().sent === 2);
		engine.stop();
		const { packetsIn, reasons, sentMade } = engine.statistics.counters();
		expect([packetsIn, reasons.direct?.packets, sentMade]).toEqual([2, 2, 1]);
		const rows = engine.sessions().rows.map(({ sourcePort, target, proven }) => [sourcePort, target, proven]);
		expect(rows.sort()).toEqual([4000, 4001, 4002].map((port) => [port, 65_535, false]));
	});

	it("R27: captures tagged frames whole, finishes partial checksums, and follows a change of the MAC address", async () => {
		const witness = new CaptureStream({ interface: server.far, filter: "udp dst port 6081" });
		const engine = new NativeEngine({ workers: [{ interface: client.far }] });
		engine.publish(tables({}, link));
		engine.start();
		const counted = (packets: number, skipped: number) => {
			const { packetsIn, notForUs } = engine.statistics.counters();
			return packetsIn === packets && notForUs === skipped;
		};
		const send = (frames: Buffer[]) => inject({ interface: client.near, frames, count: frames.length });
		const [whole] = frames() as [Buffer];
		// As a sender leaves it to its network card: the sum of the pseudo-header alone.
		const partial = Buffer.from(whole);
		const pseudo = Buffer.concat([whole.subarray(26, 34), Buffer.from([0, 17]), whole.subarray(38, 40)]);
		partial.writeUInt16BE(~checksum(pseudo) & 0xffff, 40);
		const tagged = Buffer.concat([whole.subarray(0, 12), Buffer.from("8100002a", "hex"), whole.subarray(12)]);
		await send([whole, partial, tagged]);
		await until("three packets", () => counted(3, 0));
		for (const { data } of await drain(witness, 3))
			expect(data.subarray(data.length - 38).equals(whole.subarray(14))).toBe(true);
		expect(engine.statistics.counters().bytesIn).toBe(3 * whole.length + 4);

		const before = macOf(client.far);
		const after = Buffer.from("02aabbccddee", "hex");
		const elsewhere = (to: Buffer) => Buffer.concat([to, whole.subarray(6)]);
		await send([elsewhere(after), whole]);
		await until("one packet more", () => counted(4, 1));
		setMac(client.far, after);
		await send([elsewhere(after), whole]);
		await until("one packet more after the change", () => counted(5, 2));
		setMac(client.far, before);
		engine.stop();
		expect(conserved(engine.statistics.counters())).toBe(true);
	});

	it("explains a flow by its session, and by the tables without one", async () => {
		const engine = new NativeEngine({ workers: [{ interface: client.far }] });
		const flow = {
			source: v4("198.51.100.1"),
			sourcePort: 4000,
			destination: v4(SERVICE),
			destinationPort: 53,
			protocol: 17,
			family: 4,
		} as const;
		engine.publish(tables({}, link));
		engine.start();
		const before = engine.explain(flow);
		expect(before).toMatchObject({ service: 1, choice: { target: before.target, rows: 2 } });
		expect(before.session).toBeUndefined();
		await inject({ interface: client.near, frames: frames(), count: 2 });
		await until("the session", () => engine.explain(flow).session?.proven === true);
		expect(engine.explain(flow).target).toBe(before.target);
		engine.stop();
	});

	it("an interface that goes away ends its worker with a sentence", async () => {
		const doomed = makePair("shte-d0", "shte-d1");
		let problem: string | undefined;
		const engine = new NativeEngine({
			workers: [{ interface: doomed.near }],
			onEnd: (_, why) => {
				problem = why;
			},
		});
		engine.publish(tables());
		engine.start();
		removePair(doomed);
		await until("the worker's last words", () => problem !== undefined);
		expect(problem).toContain("interface shte-d0");
		expect(engine.statistics.state(0)).toBe("failed");
		engine.stop();
	});

	it("a way out that is down is counted, and its packets are not lost from the books", async () => {
		const engine = new NativeEngine({ workers: [{ interface: client.far }] });
		engine.publish(tables({}, { ...link, ifindex: 999_999 }));
		engine.start();
		await inject({ interface: client.near, frames: frames(), count: 10 });
		await until("ten packets", () => engine.statistics.counters().packetsIn >= 10);
		engine.stop();
		expect(engine.statistics.counters().reasons).toEqual({ transmit_failed: { packets: 10, bytes: 520 } });
	});
});

function setMac(name: string, mac: Buffer): void {
	const text = [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
	execFileSync("ip", ["link", "set", name, "address", text]);
}

async function drain(stream: CaptureStream, count: number): Promise<CapturedPacket[]> {
	const all: CapturedPacket[] = [];
	for (;;) {
		const { packets } = await stream.read({ max: 4096, timeoutMs: 200 });
		all.push(...packets);
		if (packets.length === 0 || all.length > count) break;
	}
	stream.close();
	return all;
}
