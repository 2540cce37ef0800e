// attacks.test.ts - forged packets from hosts off the path: no client is redirected by them, no answer is longer than its question to a
// victim, and no report makes a backend seem dead to others.

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
	capability,
	encodeControl,
	encodeHeader,
	encodeSurplus,
	FLAG,
	type Header,
	parseAddress,
} from "../../src/wire/index.js";
import { ethernet, ipv4, udp } from "../wire/pcap.js";
import { type Cluster, DNS_DEFAULT, ENGINES, labConfig, useCluster } from "./cluster.js";
import { addresses, isRoot, type Lab, until } from "./lab.js";

const DNS = "203.0.113.53";
/** No host has this address. Packets to it go to the client's link, where they are counted. */
const VICTIM = "198.51.100.200";
const bytes = (text: string) => parseAddress(text) as Uint8Array;
const ABOUT = { protocol: 17, port: 53, address: bytes(DNS) };
const CONFIG = labConfig([
	DNS_DEFAULT,
	"    redirect: { clients: true, term: leased, lease: 60s, answer: return }\n$&",
]);

/** As a forger makes it, who has no key: some tag. */
function forged(fields: Partial<Header>): Header {
	return {
		type: "redirect",
		flags: FLAG.redirect | FLAG.leased,
		port: 53,
		lease: 60,
		hops: 0,
		keyId: 1,
		issued: Math.floor(Date.now() / 1000),
		nonce: randomBytes(8).readBigUInt64BE(),
		address: bytes("10.77.13.2"),
		tag: randomBytes(8).readBigUInt64BE(),
		...fields,
	};
}

describe.skipIf(!isRoot).each(ENGINES)("forgers off the path, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;
	const mac = new Map<string, string>();

	useCluster({ engine, config: CONFIG }, (running) => {
		({ lab, cluster } = running);
	});
	beforeAll(async () => {
		for (const host of ["client", "gateway"] as const)
			mac.set(host, (await lab.text(host, ["cat", "/sys/class/net/eth0/address"])).trim().replaceAll(":", ""));
	});

	/** Out of the router's port towards this host, as if they had come from anywhere. */
	const attack = async (host: "client" | "gateway", packets: Buffer[], count: number, pps: number) => {
		const frames = packets.map((packet) => {
			const frame = ethernet(0x0800, packet);
			frame.write(mac.get(host) as string, 0, "hex");
			return frame.toString("hex");
		});
		const options = JSON.stringify({ interface: host, frames, count, pps });
		const said = await lab.text("router", [process.execPath, join(import.meta.dirname, "attacker.mjs"), options]);
		return (JSON.parse(said) as { sent: number }).sent;
	};

	const program = (ask: object) =>
		lab.start("client", [
			process.execPath,
			join(import.meta.dirname, "client-program.mjs"),
			JSON.stringify({
				kind: "dns",
				service: DNS,
				port: 53,
				gapMs: 5,
				redirection: { targets: ["10.77.0.0/16"] },
				...ask,
			}),
		]);
	const linesOf = (text: string) =>
		text
			.trimEnd()
			.split("\n")
			.filter(Boolean)
			.map((line) => JSON.parse(line));

	test("R20 R22: 100,000 forged redirects a second lead no client astray: it counts them, and every exchange goes on", async () => {
		const port = 40_404;
		const client = program({ from: addresses.client.ipv4[2], fromPort: port, count: 600, gapMs: 3 });
		await until("the first answer", () => client.stdout.includes('"i":0'));
		const packets = Array.from({ length: 300 }, (_, i) =>
			ipv4(
				DNS,
				addresses.client.ipv4[2],
				17,
				udp(
					i % 2 ? 3575 : 53,
					port,
					Buffer.from(
						encodeControl(
							encodeHeader(
								forged({ type: i % 5 ? "redirect" : "revoke", flags: i % 5 ? FLAG.redirect | FLAG.leased : 0 }),
							),
							ABOUT,
							undefined,
							88,
						),
					),
				),
			),
		);
		expect(await attack("client", packets, 100_000, 100_000)).toBeGreaterThan(50_000);
		expect(await client.ended, client.stderr).toBe(0);
		const lines = linesOf(client.stdout);
		const exchanges = lines.filter((line) => "i" in line);
		// Its socket's queue is the kernel's, and a flood fills it: a question is then asked again, as resolvers do.
		expect(exchanges.filter(({ who }) => who === null)).toEqual([]);
		expect(lines.filter(({ event }) => event === "redirect")).toHaveLength(1);
		expect(lines.filter(({ event }) => event === "lease").map(({ change }) => change)).toEqual(["granted"]);
		const { counters } = lines.at(-1);
		expect(counters.ignoredNonce + counters.ignoredAnswered).toBeGreaterThan(1000);
	}, 60_000);

	test("a redirect that comes again, a hundred times and late, changes nothing", async () => {
		const port = 40_600;
		const capture = await lab.capture("router", "client", `udp and src port 3575 and dst port ${port}`);
		const client = program({ from: addresses.client.ipv4[2], fromPort: port, count: 300, gapMs: 5 });
		const [redirect] = await capture.atLeast(1);
		await until("the target to be bound", () => client.stdout.includes('"change":"granted"'));
		const again = (redirect as { bytes: Buffer }).bytes.subarray(14);
		expect(await attack("client", [again], 200, 2000)).toBe(200);
		expect(await client.ended, client.stderr).toBe(0);
		await capture.stop();
		const lines = linesOf(client.stdout);
		expect(lines.filter((line) => "i" in line && line.who === null)).toEqual([]);
		expect(lines.filter(({ event }) => event !== undefined).map(({ event }) => event)).toEqual(["redirect", "lease"]);
		expect(lines.at(-1).counters.ignoredAnswered).toBeGreaterThan(150);
	}, 30_000);

	test("R14: a flood of questions under a forged source: what reaches its owner is no more than was sent, packet by packet, and soon nothing", async () => {
		const header = encodeHeader(capability(7n));
		const payload = Buffer.from("odd");
		const packets = [
			ipv4(VICTIM, DNS, 17, udp(4000, 3575, Buffer.from(encodeControl(header, ABOUT, undefined, 88)))),
			ipv4(VICTIM, DNS, 17, udp(4001, 53, Buffer.from(encodeControl(header, ABOUT, undefined, 88)))),
			ipv4(VICTIM, DNS, 17, udp(4002, 53, payload, Buffer.from(encodeSurplus(header, true, 180)))),
		];
		const before = await cluster.reasons("gateway");
		const capture = await lab.capture("router", "gateway", `src host ${DNS} and dst host ${VICTIM}`);
		const count = 6000;
		await attack("gateway", packets, count, 20_000);
		await until(
			"all to be counted",
			async () => ((await cluster.reasons("gateway")).limited ?? 0) > (before.limited ?? 0) + count / 3,
		);
		const answers = await capture.stop();
		expect(answers.length).toBeGreaterThan(10);
		expect(answers.length, "32 at once, and 8 a second").toBeLessThan(60);
		for (const answer of answers) {
			const port = answer.bytes.readUInt16BE(14 + 20 + 2);
			const question = packets.find((packet) => packet.readUInt16BE(20) === port) as Buffer;
			expect(answer.length, `to port ${port}`).toBeLessThanOrEqual(question.length + 14);
		}
	}, 30_000);

	test("R8 R21: a flood of forged failure reports demotes no backend: another client keeps the one it had", async () => {
		const who = async () => {
			const client = program({ from: addresses.client.ipv4[3], fromPort: 40_500, count: 30 });
			expect(await client.ended, client.stderr).toBe(0);
			return linesOf(client.stdout).filter((line) => "i" in line);
		};
		const first = await who();
		const target = first.at(-1).way as string;
		const packets = Array.from({ length: 200 }, (_, i) =>
			ipv4(
				`198.51.100.${20 + (i % 200)}`,
				DNS,
				17,
				udp(
					4000 + i,
					3575,
					Buffer.from(
						encodeControl(
							encodeHeader(
								forged({ type: "failure", flags: FLAG.redirect | FLAG.leased | FLAG.failure, address: bytes(target) }),
							),
							ABOUT,
							undefined,
							88,
						),
					),
				),
			),
		);
		await attack("gateway", packets, 20_000, 20_000);
		const reasons = await cluster.reasons("gateway");
		expect(reasons.answered_failure ?? 0, "without a ticket a report is none").toBe(0);
		const second = await who();
		expect(second.filter(({ who }) => who === null)).toEqual([]);
		expect(second.at(-1).way).toBe(target);
	}, 60_000);
});
