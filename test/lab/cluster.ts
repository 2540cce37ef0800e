// cluster.ts - Shunt's own daemons in a lab: a gateway and its backends, started by the CLI as a user would.
//
// Owns: the daemons it starts, their configuration file, and the questions to their control sockets.
// Must never: look into a daemon's memory. What a test asserts is seen on a wire, in an answer, or by the CLI.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { ApiClient, type Status } from "../../src/api/index.js";
import { decodeFrame, type Frame } from "../../src/wire/index.js";
import type { Capture, CapturedPacket, Host, LabProcess } from "./lab.js";
import { addresses, Lab, root, until } from "./lab.js";

export const CLI = join(root, "dist/cli/main.js");
export const LAB_CONFIG = join(root, "examples/lab.yaml");
/** examples/lab.yaml's: the lab's key is public. */
export const LAB_KEYS = new Map([[1, Buffer.from("4c61624b65794f66536861756e740001", "hex")]]);

/** The line of examples/lab.yaml with the DNS service's backends for sources that no rule names. */
export const DNS_DEFAULT = / {4}backends: \[b1, b2, b3\] # .*/;

/** examples/lab.yaml with these replacements, each of which must apply. */
export function labConfig(...changes: readonly (readonly [from: string | RegExp, to: string])[]): string {
	return changes.reduce(
		(text, [from, to]) => {
			const changed = text.replace(from, to);
			if (changed === text) throw new Error(`${LAB_CONFIG} does not contain ${from}`);
			return changed;
		},
		readFileSync(LAB_CONFIG, "utf8"),
	);
}

/** g2 is there with `secondGateway` only, and is started by a test. */
export type MemberHost = "gateway" | "g2" | "b1" | "b2" | "b3";

/** Both packet paths: a requirement counts when it works on each of them. `native` is XDP in the driver. */
export const ENGINES = ["user", "native"] as const;
export type Engine = (typeof ENGINES)[number] | "generic" | "auto";

export class Cluster {
	readonly daemons = new Map<MemberHost, LabProcess>();
	readonly config: string;

	private constructor(
		readonly lab: Lab,
		text: string,
		readonly engine: Engine,
	) {
		this.config = join(lab.directory, "shunt.yaml");
		this.write(
			text.includes("\nengine:") ? text : text.replace("\nservices:\n", `\nengine: { mode: ${engine} }\nservices:\n`),
		);
	}

	/** Daemons on these hosts, all ready. The configuration is the lab's example unless given. */
	static async start(lab: Lab, options: Pick<ClusterOptions, "config" | "members" | "engine"> = {}): Promise<Cluster> {
		const cluster = new Cluster(lab, options.config ?? readFileSync(LAB_CONFIG, "utf8"), options.engine ?? "auto");
		const members = options.members ?? ["b1", "b2", "b3", "gateway"];
		await Promise.all(members.map((host) => cluster.startOne(host)));
		return cluster;
	}

	/** Resolves when its engine takes packets; a gateway is ready a little later, once its backends were heard. */
	async startOne(host: MemberHost, environment: Record<string, string> = {}): Promise<LabProcess> {
		const role = host === "gateway" || host === "g2" ? "gateway" : "backend";
		// biome-ignore format: one option per line would hide the command
		const daemon = this.lab.start(host, [
			process.execPath, CLI, role, "--config", this.config, "--name", host === "gateway" ? "g1" : host,
			"--socket", this.socket(host), "--json",
		], environment);
		this.daemons.set(host, daemon);
		await daemon.saysOnStdout(/"event":"started"/, 60_000);
		return daemon;
	}

	/** What a host's link carries, seen at the router's end: XDP takes packets before tcpdump at the host's own end. */
	link(host: MemberHost, filter: string): Promise<Capture> {
		return this.lab.capture("router", host, filter);
	}

	/** What a backend's engine hands to its own kernel. */
	delivered(host: MemberHost, filter: string, options: { snaplen?: number } = {}): Promise<Capture> {
		return this.lab.capture(host, this.engine === "user" ? "shunt0" : "eth0", filter, options);
	}

	write(text: string): void {
		writeFileSync(this.config, text);
	}

	/** Changes the configuration by a replacement that must apply, and has every daemon of these hosts reload it. */
	async change(from: string | RegExp, to: string, hosts: readonly MemberHost[] = ["gateway"]): Promise<void> {
		const before = readFileSync(this.config, "utf8");
		const after = before.replace(from, to);
		if (after === before) throw new Error(`the configuration has no ${from}`);
		this.write(after);
		for (const host of hosts) await this.api(host).reload();
	}

	socket(host: MemberHost): string {
		return join(this.lab.directory, `${host}.sock`);
	}

	api(host: MemberHost): ApiClient {
		return new ApiClient(this.socket(host));
	}

	/** Packets by reason. */
	async reasons(host: MemberHost): Promise<Record<string, number>> {
		const status = await this.status(host);
		return Object.fromEntries(status.reasons.map(({ reason, packets }) => [reason, packets]));
	}

	status(host: MemberHost): Promise<Status> {
		return this.api(host).status();
	}

	/** Resolves when the gateway takes no backend and no service for unhealthy: after a test in which one has failed. */
	async healthy(): Promise<void> {
		await until("every target to be healthy", async () => {
			const { loads, services } = await this.status("gateway");
			const all = [...loads, ...services.flatMap(({ targets }) => targets)];
			return all.every(({ health }) => health !== "unhealthy");
		});
	}

	/** Ends the daemons, having seen that each has accounted for all its packets. */
	async stop(): Promise<void> {
		for (const [host, daemon] of this.daemons) {
			if (!daemon.running) continue;
			await until(`${host} to have accounted for every packet`, async () => (await this.status(host)).conserved);
			await daemon.stop();
		}
	}
}

export interface ClusterOptions {
	engine?: Engine;
	/** Default: examples/lab.yaml. */
	config?: string;
	/** Default: the gateway and all backends. */
	members?: readonly MemberHost[];
	/** dnsmasq, nginx and iperf3 on every backend; default true. */
	services?: boolean;
	/** The lab has g2 as well; default false. */
	secondGateway?: boolean;
	/** Runs in the lab before the cluster starts. */
	prepare?: (lab: Lab) => Promise<void>;
}

/** Starts a lab and a cluster in it before the tests of the describe() around, and stops both after them. `ready` receives them
 * before any later beforeAll() runs; later afterAll() functions run before the stop. */
export function useCluster(options: ClusterOptions, ready: (running: { lab: Lab; cluster: Cluster }) => void): void {
	const { services = true, secondGateway = false, prepare, ...start } = options;
	let lab: Lab | undefined;
	let cluster: Cluster | undefined;

	beforeAll(async () => {
		lab = await Lab.up({ services, secondGateway });
		await prepare?.(lab);
		cluster = await Cluster.start(lab, start);
		ready({ lab, cluster });
	});
	afterAll(async () => {
		await cluster?.stop();
		await lab?.down();
	});
}

/** A frame as src/wire reads it, its tag verified with the lab's key. */
export function decode(packet: CapturedPacket): Frame {
	return decodeFrame(packet.bytes, { keys: LAB_KEYS });
}

/** Asks a lab's DNS service who it is: the name of the backend that answered. */
export async function whoAnswers(
	lab: Lab,
	from: string,
	server: string,
	options: readonly string[] = [],
): Promise<string> {
	// biome-ignore format: one option per line would hide the command
	const answer = await lab.text("client", [
		"dig", "+short", "+time=2", "+tries=1", "-b", from, ...options, `@${server}`, "whoami.lab", "TXT",
	]);
	return answer.replaceAll('"', "");
}

/** What there is of Shunt on a host, outside its daemon: nothing, before the first one and after a clean end. */
export async function traces(lab: Lab, host: MemberHost): Promise<string[]> {
	const link = await lab.text(host, ["readlink", "/proc/self/ns/net"]);
	const namespace = /\[(\d+)\]/.exec(link)?.[1] as string;
	const files = ["/run/shunt", "/run/shunt/bpf"].flatMap((folder) =>
		(existsSync(folder) ? readdirSync(folder) : []).filter((name) => name.includes(namespace)),
	);
	const program = /prog\/xdp\S* id \d+ name shunt_xdp/.exec(await lab.text(host, ["ip", "link", "show", "eth0"]));
	const addresses = await lab.text(host, ["ip", "-brief", "address"]);
	const settings = ["arp_ignore", "arp_announce", "rp_filter"].map((one) => `net.ipv4.conf.eth0.${one}`);
	return [
		...files,
		...(program ?? []),
		...(addresses.match(/203\.0\.113\S*|2001:db8:53:\S*|shunt0/g) ?? []),
		...((await lab.text(host, ["nft", "list", "tables"])).match(/shunt\S*/g) ?? []),
		...(await lab.text(host, ["sysctl", ...settings] as never)).split("\n").filter((line) => !line.endsWith("= 0")),
	];
}

/** Sends b1 a genuine packet of its tunnel from the client, and from the gateway one with a bit of the tag turned and one that is
 * no tunnel's; resolves when b1 has dropped each under its reason, to what b1's kernel has got of them. */
export async function forge(cluster: Cluster, client: string, service: string): Promise<CapturedPacket[]> {
	const { lab } = cluster;
	const capture = await cluster.link("b1", "udp port 6081");
	await whoAnswers(lab, client, service);
	const [real] = await capture.atLeast(1);
	await capture.stop();
	if (!real || !decode(real).ip?.udp?.geneve?.tagRight) throw new Error("what the gateway sent has no right tag");
	const genuine = Buffer.from(real.bytes).subarray(14 + 20 + 8);
	const forged = Buffer.from(genuine);
	forged[8 + 4 + 31] = (forged[8 + 4 + 31] ?? 0) ^ 1;
	const delivered = await cluster.delivered("b1", `dst host ${service}`);
	for (const [from, payload, reason] of [
		["client", genuine, "tunnel_source"],
		["gateway", forged, "header_tag"],
		["gateway", Buffer.alloc(64, 0x41), "tunnel_bad"],
	] as const) {
		const before = (await cluster.reasons("b1"))[reason] ?? 0;
		const send = `
			const socket = require("node:dgram").createSocket("udp4");
			socket.send(Buffer.from("${payload.toString("hex")}", "hex"), 6081, "${addresses.b1.ipv4}", () => socket.close());`;
		await lab.run(from, [process.execPath, "-e", send]);
		await until(`b1 to count ${reason}`, async () => ((await cluster.reasons("b1"))[reason] ?? 0) === before + 1);
	}
	return delivered.stop();
}

export type { Host };
