// golden.test.ts - configuration + packets in → packets out + all counters, byte for byte, through every engine.
//
// `npx vitest run test/golden -u` writes expected/; look at what it wrote (`shunt dump -r`, tcpdump -r).

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseConfig, tunnelSources } from "../../src/config/index.js";
import {
	type Compiled,
	compile,
	type HostFacts,
	newTableIds,
	snapshotOfConfig,
	targetsOf,
} from "../../src/database/index.js";
import { type FileRunResult, reasons, runFile } from "../../src/engine/index.js";
import { ROLE } from "../../src/policy/index.js";
import { decodeFrame, FLAG, formatAddress, headerTag, type IpPacket, parseAddress } from "../../src/wire/index.js";
import { pcap } from "../wire/pcap.js";
import { type Case, CONFIG, KEYS, cases as others } from "./cases.js";
import { contradiction } from "./explained.js";
import { policies } from "./policies.js";
import { questions } from "./questions.js";
import { record, writeRecording } from "./recording.js";

const cases = [...others, ...questions, ...policies];

const work = mkdtempSync(join(tmpdir(), "shunt-golden-"));
afterAll(() => {
	rmSync(work, { recursive: true, force: true });
	writeRecording();
});

/** Only a live engine can meet these: a link that is full or refuses, a frame without room before it, no tables. */
const LIVE = ["transmit_full", "transmit_failed", "no_headroom", "table_missing", "probe_unserved"];

/** The same cases, the same expectations. Only root may hand the kernel a program. */
const ENGINES: { name: string; kernel: boolean }[] = [
	{ name: "user space", kernel: false },
	...(process.getuid?.() === 0 ? [{ name: "the kernel", kernel: true }] : []),
];

interface Files {
	input: string;
	output: string;
	inner: string;
}

function input(one: Case): Buffer {
	return pcap(
		one.packets.map(({ frame }) => frame),
		(i) => (one.packets[i]?.at ?? 0) * 1e6,
	);
}

/** Tables by the shipped way: configuration → database → compile, once for each change of the case or of loads. */
function steps(one: Case): { at: number; compiled: Compiled }[] {
	const ids = newTableIds();
	const result: { at: number; compiled: Compiled }[] = [];
	let text = CONFIG;
	let loads: Record<string, number> = {};
	for (const [at, { change, loads: now }] of one.packets.entries()) {
		if (at > 0 && change === undefined && now === undefined) continue;
		loads = now ?? loads;
		if (change !== undefined) {
			expect(text).toContain(change[0]);
			text = text.replace(change[0], change[1]);
		}
		const config = parseConfig(text, "golden.yaml");
		const snapshot = snapshotOfConfig(config);
		const targets = snapshot.services.flatMap((service) =>
			[service.redirection, ...service.rules.map((rule) => rule.redirection)].flatMap((redirection) =>
				targetsOf(snapshot, service, redirection),
			),
		);
		const facts = new Map<string, HostFacts>(
			targets.map(({ address }) => [
				address,
				{
					source: address.includes(":") ? "fd77:2::2" : "10.77.2.2",
					nextHop: one.unresolved?.includes(address) ? null : Buffer.from("020000000a01", "hex"),
					ownMac: Buffer.from("020000000a02", "hex"),
					ifindex: 2,
					mtu: one.mtu ?? 9000,
				},
			]),
		);
		const previous = result.at(-1)?.compiled;
		const compiled = compile({
			epoch: result.length + 1,
			roles: ROLE[one.role],
			cluster: config.cluster,
			snapshot,
			facts,
			ownState: config.backends.find(({ name }) => name === "b1")?.state,
			own: one.role === "backend" ? ["10.77.3.11", "fd77:3::11"] : [],
			members: one.role === "backend" ? tunnelSources(config) : [],
			...(one.stations === undefined ? {} : { stations: one.stations.map(([ifindex, mac]) => ({ ifindex, mac })) }),
			ids,
			previous,
			wallOffsetNs: 0n,
			loads: new Map(targets.map(({ key, backend }) => [key, loads[backend] ?? 0])),
		});
		result.push({ at, compiled });
	}
	return result;
}

function run(one: Case, files: Files, kernel: boolean): FileRunResult {
	const options = {
		kernel,
		explain: true,
		sent: one.packets.flatMap(({ sent }, i) => (sent ? [i] : [])),
		steps: steps(one).map(({ at, compiled }) => ({ at, tables: compiled.tables })),
		...files,
		inner: files.inner,
		...(one.sessions4 === undefined ? {} : { sessions4: one.sessions4 }),
	};
	const result = runFile(options);
	if (!kernel && !one.userSpaceOnly) record(one.name, options, result);
	return result;
}

/** By port; a tick of the table's clock is a little longer than a millisecond. */
function sessionsOf(result: FileRunResult): Case["sessions"] {
	return Object.fromEntries(
		result.sessions.map(({ sourcePort, idleMs, proven }) => [
			sourcePort,
			{ idleMs: Math.round(idleMs / 10) * 10, proven },
		]),
	);
}

/** Byte for byte as in the file, or, with -u, into the file. */
function matches(bytes: Buffer, file: string): void {
	const update = (expect.getState().snapshotState as unknown as { _updateSnapshot: string })._updateSnapshot;
	if (update === "all" || (update === "new" && !existsSync(file))) writeFileSync(file, bytes);
	expect(bytes.equals(readFileSync(file)), `${file} differs; npx vitest run test/golden -u rewrites it`).toBe(true);
}

for (const engine of ENGINES) {
	describe(`golden cases in ${engine.name}`, () => {
		for (const one of cases.filter(({ userSpaceOnly }) => !engine.kernel || !userSpaceOnly)) {
			test(`${one.title} [${one.name}]`, async () => {
				const expected = join(import.meta.dirname, "expected", one.name);
				mkdirSync(expected, { recursive: true });
				const files = { input: join(work, "in.pcap"), output: join(work, "out.pcap"), inner: join(work, "inner.pcap") };
				writeFileSync(files.input, input(one));
				const result = run(one, files, engine.kernel);

				const wanted = one.packets.map(({ reason }, i) => (reason === "*" ? result.reasons[i] : reason));
				expect(result.reasons).toEqual(wanted);
				const counted = Object.values(result.counters.reasons).reduce((sum, { packets }) => sum + packets, 0);
				expect(counted).toBe(one.packets.filter(({ sent }) => !sent).length); // conserved
				expect(result.counters.packetsIn).toBe(counted);
				if (one.sessions !== undefined) expect(sessionsOf(result)).toEqual(one.sessions);
				expect(contradiction(result, (i) => one.packets[i]!.frame)).toBeUndefined();
				matches(readFileSync(files.input), join(expected, "in.pcap"));
				matches(readFileSync(files.output), join(expected, "out.pcap"));
				matches(readFileSync(files.inner), join(expected, "inner.pcap"));
				const { reasons, sent, sentMade } = result.counters;
				const counters = {
					reasons,
					targets: Object.fromEntries(result.targets),
					...(one.packets.some((packet) => packet.sent) ? { sent, sentMade } : {}),
				};
				await expect(`${JSON.stringify(counters, null, "\t")}\n`).toMatchFileSnapshot(join(expected, "counters.json"));
			});
		}
	});
}

test("every reason has a case that proves it", () => {
	const proven = new Set<string>(LIVE);
	for (const one of cases) {
		const text = readFileSync(join(import.meta.dirname, "expected", one.name, "counters.json"), "utf8");
		for (const reason of Object.keys((JSON.parse(text) as { reasons: object }).reasons)) proven.add(reason);
	}
	expect(
		reasons()
			.map(({ name }) => name)
			.filter((name) => !proven.has(name)),
	).toEqual([]);
});

/** Frames of a pcap file with nanoseconds. */
function frames(file: string): Buffer[] {
	const bytes = readFileSync(file);
	const found: Buffer[] = [];
	for (let at = 24; at + 16 <= bytes.length; ) {
		const length = bytes.readUInt32LE(at + 8);
		found.push(bytes.subarray(at + 16, at + 16 + length));
		at += 16 + length;
	}
	return found;
}

/** Of a control datagram or a RST: is its header's tag right, for the flow between its ends? */
function answerRight(ip: IpPacket | undefined): boolean | undefined {
	const control = ip?.udp?.control ?? ip?.tcp?.control;
	if (ip === undefined || control === undefined || !control.header.ok) return undefined;
	const { header } = control.header;
	const ports = ip.udp ?? ip.tcp;
	const flow = {
		family: ip.version,
		source: parseAddress(ip.destination) as Uint8Array,
		destination: parseAddress(control.about?.address ?? ip.source) as Uint8Array,
		sourcePort: ports?.destinationPort ?? 0,
		destinationPort: control.about?.port ?? ports?.sourcePort ?? 0,
		protocol: control.about?.protocol ?? ip.protocol,
	};
	return headerTag(header, flow, KEYS.get(header.keyId) as Buffer) === header.tag;
}

describe("witnesses that owe the packet program nothing", () => {
	const forwarded = cases.filter((one) => one.role === "gateway" && !/^(too-big|refused)/.test(one.name));

	test("R1 R4: the TypeScript codec finds every forwarded header's tag right, and the client's packet behind it", () => {
		let seen = 0;
		for (const one of forwarded) {
			for (const frame of frames(join(import.meta.dirname, "expected", one.name, "out.pcap"))) {
				const decoded = decodeFrame(frame, { keys: KEYS });
				const geneve = decoded.ip?.udp?.geneve;
				if (geneve === undefined && one.name === "fragmented") continue; // packet-too-big
				if (geneve === undefined) {
					expect(answerRight(decoded.ip), one.name).toBe(true);
					seen++;
					continue;
				}
				expect(geneve?.header?.ok, one.name).toBe(true);
				expect(geneve?.tagRight, one.name).toBe(true);
				if (one.name === "fragmented") continue; // below
				const inner = frame.subarray(frame.length - (geneve?.inner?.length ?? 0));
				expect(
					one.packets.some((packet) => packet.frame.includes(inner)),
					one.name,
				).toBe(true);
				seen++;
			}
		}
		expect(seen).toBeGreaterThan(50);
	});

	test("R8: an alternative is neither the redirect's own target nor a server that the failure reports", () => {
		const controls = (name: string, file: string) =>
			frames(join(import.meta.dirname, "expected", name, file)).flatMap((frame) => {
				const { ip } = decodeFrame(frame, { keys: KEYS });
				const control = ip?.udp?.control;
				if (ip === undefined || control === undefined || !control.header.ok) return [];
				return [
					{
						client: `${ip.source} ${ip.udp?.sourcePort}`,
						to: `${ip.destination} ${ip.udp?.destinationPort}`,
						...control,
					},
				];
			});
		const server = ({ address, port }: { address: Uint8Array; port: number }) => `${formatAddress(address)} ${port}`;
		let afterFailures = 0;
		for (const { name } of forwarded) {
			const failed = new Map<string, string>();
			for (const { client, header } of controls(name, "in.pcap"))
				if (header.ok && header.header.type === "failure") failed.set(client, server(header.header));
			for (const { to, header } of controls(name, "out.pcap")) {
				if (!header.ok || header.header.alternative === undefined) continue;
				const alternative = server(header.header.alternative);
				expect(alternative, name).not.toBe(server(header.header));
				expect(alternative, name).not.toBe(failed.get(to));
				if (failed.has(to)) afterFailures++;
			}
		}
		expect(afterFailures).toBeGreaterThan(1);
	});

	test("R8: the alternative of a failure's answer is where the next failure leads", () => {
		const answers = frames(join(import.meta.dirname, "expected", "failure-chain", "out.pcap")).map((frame) => {
			const control = decodeFrame(frame, { keys: KEYS }).ip?.udp?.control;
			if (!control?.header.ok) throw new Error("failure-chain: an answer without a header");
			const { address, flags, alternative, hops } = control.header.header;
			return {
				redirect: (flags & FLAG.redirect) !== 0,
				hops,
				address: formatAddress(address),
				alternative: alternative && formatAddress(alternative.address),
			};
		});
		const [first, second, last] = answers;
		expect(answers.map(({ redirect, hops }) => [redirect, hops])).toEqual([
			[true, 1],
			[true, 2],
			[false, 3],
		]);
		expect(second?.address).toBe(first?.alternative);
		expect([second?.alternative, last?.alternative]).toEqual([undefined, undefined]);
	});

	test("R32: the fragments of a datagram hold its payload, each byte once, under its id and addresses", () => {
		const one = cases.find(({ name }) => name === "fragmented")!;
		const inner = frames(join(import.meta.dirname, "expected", one.name, "out.pcap")).flatMap((frame) => {
			const bytes = decodeFrame(frame, { keys: KEYS }).ip?.udp?.geneve?.inner?.length;
			return bytes === undefined ? [] : [frame.subarray(frame.length - bytes)];
		});
		for (const { frame, reason } of one.packets) {
			if (reason !== "fragmented") continue;
			const packet = frame.subarray(frame.indexOf(Buffer.from([0x45, 0])));
			const whole = packet.subarray(0, packet.readUInt16BE(2));
			for (let at = 20; at < whole.length; ) {
				const fragment = inner.shift()!;
				const end = at + fragment.length - 20;
				expect(fragment.subarray(20).equals(whole.subarray(at, end))).toBe(true);
				expect(fragment.subarray(4, 6).equals(whole.subarray(4, 6))).toBe(true);
				expect(fragment.subarray(12, 20).equals(whole.subarray(12, 20))).toBe(true);
				const first = whole.readUInt16BE(6);
				const more = end < whole.length ? 0x2000 : first & 0x2000;
				expect(fragment.readUInt16BE(6)).toBe((first & 0x1fff) + (at - 20) / 8 + more);
				at = end;
			}
		}
		expect(inner).toEqual([]);
	});

	test("R30: tcpdump reads what was sent as Geneve, and finds no checksum wrong that was right before", () => {
		for (const name of ["asked", "failure", "indicate", "return", "probed"]) {
			const file = join(import.meta.dirname, "expected", name, "out.pcap");
			const printed = execFileSync("tcpdump", ["-nn", "-vv", "-r", file], {
				encoding: "utf8",
				stdio: ["ignore", "pipe", "ignore"],
			});
			// Of what is only handed on, the checksum is the client's.
			const answers = printed.split("\n").filter((line) => / (203\.0\.113\.53|10\.77\.3\.11)\.\d+ > 198/.test(line));
			expect(answers.length, name).toBeGreaterThan(2);
			for (const line of answers) expect(line).toMatch(/udp sum ok|\(correct\)/);
		}
		const delivered = join(import.meta.dirname, "expected", "icmp-backend", "inner.pcap");
		const errors = execFileSync("tcpdump", ["-nn", "-vv", "-r", delivered], {
			encoding: "utf8",
			stdio: ["ignore", "pipe", "ignore"],
		});
		expect(errors).toMatch(/need to frag[\s\S]*packet too big/);
		expect(errors).not.toMatch(/wrong icmp|bad icmp6 cksum/);
		for (const name of ["udp4", "rules", "udp6-tcp6", "families", "too-big", "refused", "fragmented"]) {
			const file = join(import.meta.dirname, "expected", name, "out.pcap");
			const printed = execFileSync("tcpdump", ["-nn", "-vv", "-r", file], {
				encoding: "utf8",
				stdio: ["ignore", "pipe", "ignore"],
			});
			expect(printed).toMatch(/Geneve, Flags \[C\], vni 0x0, options \[class Unknown \(0xff17\) type 0x81\(C\)/);
			expect(printed).not.toMatch(/bad cksum|wrong icmp|bad icmp6|Flags \[R\.?\], cksum 0x\w+ \(incorrect/);
		}
	});
});

describe("packets at random", () => {
	test("a hundred thousand mutated packets: no crash, every one under a reason, every tag right", () => {
		// A small generator of our own (Marsaglia's xorshift32), so that a failure can be run again.
		let state = 0x9e3779b9;
		const random = (below: number) => {
			state ^= state << 13;
			state ^= state >>> 17;
			state ^= state << 5;
			return (state >>> 0) % below;
		};
		const all = cases.flatMap((one) => one.packets.map(({ frame }) => frame));
		for (const role of ["gateway", "backend"] as const) {
			const packets = Array.from({ length: 50_000 }, () => {
				const frame = Buffer.from(all[random(all.length)] as Buffer);
				for (let flips = random(4); flips > 0 && frame.length > 0; flips--) {
					const at = random(Math.min(frame.length, 120));
					frame[at] = (frame[at] as number) ^ (1 << random(8));
				}
				return { frame: random(8) === 0 ? frame.subarray(0, random(frame.length + 1)) : frame, reason: "*" };
			});
			const one: Case = { name: "random", title: "", role, packets };
			const files = {
				input: join(work, "random.pcap"),
				output: join(work, "out.pcap"),
				inner: join(work, "inner.pcap"),
			};
			writeFileSync(files.input, input(one));
			const result = run(one, files, false);
			expect(result.reasons).toHaveLength(packets.length);
			const counted = Object.values(result.counters.reasons).reduce((sum, { packets }) => sum + packets, 0);
			expect(counted).toBe(packets.length);
			const tags = frames(files.output).flatMap((frame) => {
				const { ip } = decodeFrame(frame, { keys: KEYS });
				if (ip?.udp?.control !== undefined) return [answerRight(ip)];
				return ip?.protocol === 17 ? [ip.udp?.geneve?.tagRight] : [];
			});
			expect(tags).not.toContain(false);
			// Where the other decoder can't tell the flow (a quote within a quote, say) it says nothing.
			expect(tags.filter((right) => right !== true).length).toBeLessThan(tags.length / 50 + 1);
		}
	}, 60_000);
});
