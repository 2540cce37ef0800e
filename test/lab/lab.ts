// lab.ts - a lab of network namespaces for one test file: hosts, commands and programs in them, captures of their links.
//
// Owns: one lab of scripts/lab, under a name of its own, and every process it starts there; down() ends them by pid.
// Must never: sleep and hope. Whatever has to happen first is waited for, with a deadline that names it.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

export type Host = "router" | "client" | "gateway" | "g2" | "b1" | "b2" | "b3";

/** Lab tests need root: `describe.skipIf(!isRoot)`. scripts/test always has it. */
export const isRoot = process.getuid?.() === 0;

export const root = join(import.meta.dirname, "../..");

/** The lab's addresses, as scripts/lab draws them. */
export const addresses = {
	client: {
		ipv4: ["198.51.100.7", "198.51.100.8", "198.51.100.9", "198.51.100.10"] as const,
		ipv6: ["2001:db8:100::7", "2001:db8:100::8", "2001:db8:100::9", "2001:db8:100::10"] as const,
	},
	gateway: { ipv4: "10.77.2.2", ipv6: "fd77:2::2" },
	g2: { ipv4: "10.77.3.2", ipv6: "fd77:3::2" },
	b1: { ipv4: "10.77.11.2", ipv6: "fd77:11::2" },
	b2: { ipv4: "10.77.12.2", ipv6: "fd77:12::2" },
	b3: { ipv4: "10.77.13.2", ipv6: "fd77:13::2" },
} as const;

/** Calls `probe` until it gives something other than undefined, null and false. Throws when the deadline has passed. */
export async function until<T>(
	what: string,
	probe: () => T | Promise<T>,
	deadlineMs = 5_000,
): Promise<Exclude<T, undefined | null | false>> {
	const end = performance.now() + deadlineMs;
	let last: unknown;
	for (;;) {
		try {
			const value = await probe();
			if (value !== undefined && value !== null && value !== false) return value as never;
		} catch (error) {
			last = error;
		}
		if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`, { cause: last });
		await delay(10);
	}
}

export interface CommandResult {
	status: number;
	stdout: string;
	stderr: string;
}

export interface CommandOptions {
	/** Default 10 s. */
	timeoutMs?: number;
	/** A status other than 0 is a result, not an error. */
	mayFail?: boolean;
	env?: Record<string, string>;
}

export interface LabOptions {
	/** MTU of the links to the gateway and the backends; default 9000. */
	serverMtu?: number;
	/** dnsmasq, nginx and iperf3 on every backend. */
	services?: boolean;
	/** g2 is there as well; default false. */
	secondGateway?: boolean;
}

export class Lab {
	static #made = 0;
	readonly #running: LabProcess[] = [];

	private constructor(
		/** What its namespaces' names begin with. */
		readonly prefix: string,
		/** For files of this lab's test: removed by down(). */
		readonly directory: string,
		readonly hosts: readonly Host[],
	) {}

	static async up(options: LabOptions = {}): Promise<Lab> {
		if (Lab.#made === 0) await removeOrphans();
		Lab.#made++;
		const prefix = `t${process.pid}-${Lab.#made}`;
		const gateways: Host[] = options.secondGateway ? ["gateway", "g2"] : ["gateway"];
		const hosts: Host[] = ["router", "client", ...gateways, "b1", "b2", "b3"];
		const lab = new Lab(prefix, mkdtempSync(join(tmpdir(), `shunt-lab-${prefix}-`)), hosts);
		try {
			await lab.#script(["up", "--server-mtu", String(options.serverMtu ?? 9000)]);
			if (options.services) await lab.#script(["services", "up"]);
		} catch (error) {
			await lab.down();
			throw error;
		}
		return lab;
	}

	/** Ends everything that was started here, then removes the lab. */
	async down(): Promise<void> {
		await Promise.all(this.#running.map((program) => program.stop()));
		await this.#script(["down"]);
		rmSync(this.directory, { recursive: true, force: true });
	}

	namespace(host: Host): string {
		return `${this.prefix}-${host}`;
	}

	/** Runs a command in a host to its end. */
	run(host: Host, command: readonly [string, ...string[]], options: CommandOptions = {}): Promise<CommandResult> {
		return runCommand(["ip", "netns", "exec", this.namespace(host), ...command], options);
	}

	/** What a command in a host writes to its standard output, without the last newline. */
	async text(host: Host, command: readonly [string, ...string[]], options: CommandOptions = {}): Promise<string> {
		return (await this.run(host, command, options)).stdout.trimEnd();
	}

	/** Starts a program in a host. `process.pid` is the program's own: `ip netns exec` becomes it. */
	start(host: Host, command: readonly [string, ...string[]], env: Record<string, string> = {}): LabProcess {
		const child = spawn("ip", ["netns", "exec", this.namespace(host), ...command], {
			env: { ...process.env, ...env },
			stdio: ["pipe", "pipe", "pipe"],
		});
		const program = new LabProcess(`${command[0]} on ${host}`, child);
		this.#running.push(program);
		return program;
	}

	/** dnsmasq, nginx and iperf3 on every backend where they do not run, or do no more. */
	async startServices(): Promise<void> {
		await this.#script(["services", "up"]);
	}

	/** A capture that is known to be running when the promise is kept. `filter` is tcpdump's. */
	async capture(host: Host, link: string, filter = "", options: { snaplen?: number } = {}): Promise<Capture> {
		const file = join(this.directory, `${host}-${link}-${this.#running.length}.pcap`);
		// biome-ignore format: one option per line would hide the command
		const program = this.start(host, [
			"tcpdump", "--interface", link, "--no-promiscuous-mode", "--immediate-mode", "--packet-buffered",
			"--snapshot-length", String(options.snaplen ?? 65535), "--relinquish-privileges=root", "-w", file,
			...(filter === "" ? [] : [filter]),
		]);
		await program.saysOnStderr(/listening on/);
		return new Capture(file, program);
	}

	async #script(command: string[]): Promise<CommandResult> {
		const env = { SHUNT_LAB: this.prefix, SHUNT_LAB_HOSTS: this.hosts.join(" ") };
		return runCommand([join(root, "scripts/lab"), ...command], { timeoutMs: 30_000, env });
	}
}

/** A program in a host, with all it has said so far. */
export class LabProcess {
	stdout = "";
	stderr = "";
	/** Kept when it has ended: its exit status, or the signal's name. */
	readonly ended: Promise<number | NodeJS.Signals>;
	#result: number | NodeJS.Signals | undefined;

	constructor(
		readonly name: string,
		readonly child: ChildProcess,
	) {
		child.stdout?.setEncoding("utf8").on("data", (text: string) => {
			this.stdout += text;
		});
		child.stderr?.setEncoding("utf8").on("data", (text: string) => {
			this.stderr += text;
		});
		this.ended = new Promise((resolve) => {
			child.once("error", (error) => {
				this.stderr += error.message;
				this.#result = 127;
				resolve(127);
			});
			child.once("close", (status, signal) => {
				this.#result ??= signal ?? status ?? -1;
				resolve(this.#result);
			});
		});
	}

	get pid(): number {
		if (this.child.pid === undefined) throw new Error(`${this.name} did not start: ${this.stderr}`);
		return this.child.pid;
	}

	get running(): boolean {
		return this.#result === undefined;
	}

	saysOnStdout(pattern: RegExp, deadlineMs = 10_000): Promise<RegExpMatchArray> {
		return this.#says(pattern, () => this.stdout, deadlineMs);
	}

	saysOnStderr(pattern: RegExp, deadlineMs = 10_000): Promise<RegExpMatchArray> {
		return this.#says(pattern, () => this.stderr, deadlineMs);
	}

	/** Sends the signal and waits for the end; SIGKILL if it does not come. */
	async stop(signal: NodeJS.Signals = "SIGTERM", deadlineMs = 5_000): Promise<number | NodeJS.Signals> {
		if (!this.running) return this.ended;
		this.child.kill(signal);
		const late = setTimeout(() => this.child.kill("SIGKILL"), deadlineMs);
		const result = await this.ended;
		clearTimeout(late);
		return result;
	}

	async #says(pattern: RegExp, said: () => string, deadlineMs: number): Promise<RegExpMatchArray> {
		try {
			return await until(
				`${this.name} to say ${pattern}`,
				() => said().match(pattern) ?? (this.running ? undefined : "ended"),
				deadlineMs,
			).then((match) => {
				if (match === "ended") throw new Error(`${this.name} ended (${this.#result}) before it said ${pattern}`);
				return match as RegExpMatchArray;
			});
		} catch (error) {
			const words = `${(error as Error).message}\nstdout: ${this.stdout}\nstderr: ${this.stderr}`;
			throw new Error(words, { cause: error });
		}
	}
}

export interface CapturedPacket {
	/** Seconds since 1970. */
	time: number;
	/** From the Ethernet header on. */
	bytes: Buffer;
	/** On the wire; more than bytes.length if the capture was cut short. */
	length: number;
}

/** What a link of the lab carried, as the unmodified tcpdump wrote it down. */
export class Capture {
	constructor(
		readonly file: string,
		readonly program: LabProcess,
	) {}

	/** The packets written down so far. */
	packets(): CapturedPacket[] {
		return existsSync(this.file) ? readPcap(readFileSync(this.file)) : [];
	}

	/** Waits until there are as many packets, or more. */
	async atLeast(count: number, deadlineMs = 5_000): Promise<CapturedPacket[]> {
		return until(
			`${count} packets in ${this.program.name}`,
			() => {
				const packets = this.packets();
				return packets.length >= count && packets;
			},
			deadlineMs,
		);
	}

	/** Ends the capture, everything written. */
	async stop(): Promise<CapturedPacket[]> {
		await this.program.stop("SIGINT");
		return this.packets();
	}

	/** Once it has stopped: how many packets came and tcpdump had no room for. */
	get dropped(): number {
		return Number(/(\d+) packets? dropped by kernel/.exec(this.program.stderr)?.[1] ?? 0);
	}

	/** How tcpdump prints it. */
	async print(...options: string[]): Promise<string> {
		return (await runCommand(["tcpdump", "-n", "-r", this.file, ...options], {})).stdout;
	}
}

/** Whole records of a pcap file in this machine's byte order; one that is still being written is left out. */
export function readPcap(file: Buffer): CapturedPacket[] {
	const packets: CapturedPacket[] = [];
	if (file.length < 24) return packets;
	if (file.readUInt32LE(0) !== 0xa1b2c3d4) throw new Error("not a pcap file with microseconds, little endian");
	for (let at = 24; at + 16 <= file.length; ) {
		const kept = file.readUInt32LE(at + 8);
		const next = at + 16 + kept;
		if (next > file.length) break;
		packets.push({
			time: file.readUInt32LE(at) + file.readUInt32LE(at + 4) / 1e6,
			bytes: file.subarray(at + 16, next),
			length: file.readUInt32LE(at + 12),
		});
		at = next;
	}
	return packets;
}

function runCommand(command: readonly string[], options: CommandOptions): Promise<CommandResult> {
	const [program, ...args] = command as [string, ...string[]];
	const { timeoutMs = 10_000, mayFail = false, env = {} } = options;
	return new Promise((resolve, reject) => {
		execFile(
			program,
			args,
			{ timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: 64 << 20, env: { ...process.env, ...env } },
			(error, stdout, stderr) => {
				if (error?.killed) {
					reject(new Error(`${command.join(" ")}: no end after ${timeoutMs} ms\n${stdout}${stderr}`));
				} else if (error !== null && typeof error.code !== "number") {
					reject(error);
				} else if (error !== null && !mayFail) {
					reject(new Error(`${command.join(" ")}: exit status ${error.code}\n${stdout}${stderr}`));
				} else {
					resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
				}
			},
		);
	});
}

/** Labs of test runs that were killed: their names hold the pid of a process that is no more. */
async function removeOrphans(): Promise<void> {
	const names = existsSync("/run/shunt-lab") ? readdirSync("/run/shunt-lab") : [];
	for (const name of names) {
		const pid = /^t(\d+)-\d+$/.exec(name)?.[1];
		if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
		await runCommand([join(root, "scripts/lab"), "down"], { timeoutMs: 30_000, env: { SHUNT_LAB: name } });
	}
}
