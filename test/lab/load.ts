// load.ts - steady, counted loads from the lab's client, which go on while a test disturbs the cluster.
//
// Owns: two loads. Questions to unmodified dnsmasq, over several flows, each answer counted at the client; and numbered
// datagrams to one backend, counted by tcpdump behind its engine.
// Must never: run without a bound in count and time.

import { join } from "node:path";
import { expect } from "vitest";
import type { Cluster, MemberHost } from "./cluster.js";
import { type Lab, type LabProcess, until } from "./lab.js";

const program = (name: string) => join(import.meta.dirname, name);

/** Who answered a flow's questions, in the order of their numbers. */
export interface Flow {
	readonly port: number;
	readonly answers: readonly (readonly [number: number, backend: string])[];
}

export interface DnsReport {
	readonly sent: number;
	/** Numbers of the questions without an answer. */
	readonly lost: readonly number[];
	/** When the last of them was sent: milliseconds since 1970. */
	readonly lastLostAt: number | null;
	readonly twice: number;
	readonly wrong: number;
	readonly flows: readonly Flow[];
}

/** Questions to unmodified dnsmasq on the backends, there and back. */
export class DnsLoad {
	private constructor(readonly program: LabProcess) {}

	/** Resolves when each flow has been answered. */
	static async start(
		lab: Lab,
		{ from, server, firstPort, flows, perSecond = 1500, most = 40_000 }: DnsOptions,
	): Promise<DnsLoad> {
		// biome-ignore format: one argument per line would hide the command
		const load = lab.start("client", [
			process.execPath, program("load-dns.mjs"), from, server, ...[firstPort, flows, most, perSecond].map(String),
		]);
		await load.saysOnStdout(/flowing/);
		return new DnsLoad(load);
	}

	/** The number of the next question: it and those after it are sent after this call. */
	async mark(): Promise<number> {
		const before = this.program.stdout.length;
		this.program.child.stdin?.write("mark\n");
		const [, number] = await until("the load's mark", () => /marked (\d+)\n/.exec(this.program.stdout.slice(before)));
		return Number(number);
	}

	/** Ends it `questions` after now. The load must have gone on until here. */
	async end(questions = 1000): Promise<DnsReport> {
		const now = await this.mark();
		await until("the load to go on", async () => (await this.mark()) >= now + questions, 10_000);
		this.program.child.stdin?.write("end\n");
		expect(await this.program.ended, this.program.stderr).toBe(0);
		return JSON.parse(this.program.stdout.trim().split("\n").at(-1) as string) as DnsReport;
	}
}

interface DnsOptions {
	readonly from: string;
	readonly server: string;
	readonly firstPort: number;
	readonly flows: number;
	readonly perSecond?: number;
	/** At most 65536. */
	readonly most?: number;
}

/** Every question was answered, once. */
export function expectWhole({ sent, lost, twice, wrong }: DnsReport): void {
	expect({ sent, lost, twice, wrong }).toEqual({ sent, lost: [], twice: 0, wrong: 0 });
}

/** The backends that answered a flow's questions from number `first` on, each once, in the order of their first answers. */
export function backendsOf(flow: Flow, first = 0, before = Number.POSITIVE_INFINITY): string[] {
	const wanted = flow.answers.filter(([number]) => number >= first && number < before);
	return [...new Set(wanted.map(([, backend]) => backend))];
}

const SINK = `require("node:dgram").createSocket("udp4").bind(Number(process.argv[1]), () => console.log("bound"))`;

/** Runs `disturb` while `count` numbered datagrams go from the client's first address to UDP port 53 of `server`, behind which
 * is `host` alone; returns how many arrived there, and how many different numbers. */
export async function numbered(
	cluster: Cluster,
	host: MemberHost,
	{ server, sourcePort, count, perSecond }: { server: string; sourcePort: number; count: number; perSecond: number },
	disturb: () => Promise<void>,
): Promise<{ arrived: number; numbers: number }> {
	// A socket that receives the answers: else the client's kernel would refuse each by an ICMP error, which travels like the load.
	const sink = cluster.lab.start("client", [process.execPath, "-e", SINK, String(sourcePort)]);
	await sink.saysOnStdout(/bound/);
	const filter = `udp dst port 53 and src port ${sourcePort}`;
	const capture = await cluster.delivered(host, filter, { snaplen: 60 });
	// biome-ignore format: one argument per line would hide the command
	const sender = cluster.lab.start("client", [
		process.execPath, program("witness-raw.mjs"), server, "53", String(sourcePort), String(count), "00".repeat(20),
		String(perSecond),
	]);
	await until("the load to flow", () => capture.packets().length > 500);
	await disturb();
	expect(sender.running, "the load must go on to the end of the disturbance").toBe(true);
	expect(await sender.ended).toBe(0);
	await until("the last datagrams", () => capture.packets().length >= count).catch(() => {});
	const packets = await capture.stop();
	await sink.stop();
	// Raw IP on the tun device, Ethernet on a link.
	const payload = 28 + (cluster.engine === "user" ? 0 : 14);
	const numbers = new Set(packets.map((packet) => packet.bytes.readUInt32BE(payload)));
	return { arrived: packets.length, numbers: numbers.size };
}
