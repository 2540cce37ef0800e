/**
 * This server's load, measured every `load.report` (R10, R12).
 *
 *   session table → artificial UDP sessions ┐
 *   sock_diag     → TCP sessions            ├→ total load, smoothed → the report
 *   /proc/stat    → processors              │
 *   NIC counters  → links                   ┘
 *
 * Owns: the period, the previous readings, and the current report.
 * Must never: block the event loop: the socket dump, which takes long, runs on another thread.
 */
import { readFile } from "node:fs/promises";
import { type Config, parseAddress, type Uplink } from "../config/index.js";
import { host } from "../engine/index.js";
import { interfacesByAddress } from "../host/interfaces.js";
import { type CpuReading, cpuLoad, type LoadReport, parseProcStat, type UplinkReport } from "../load/index.js";
import { smoothed, totalLoad } from "../policy/index.js";
import { LinkMeter, type LinkUse } from "./link-meter.js";
import { warnOnce } from "./warn-once.js";

export interface TcpEndpoint {
	readonly address: string;
	readonly port: number;
}

/** What the load of one period is measured from. */
export interface LoadSources {
	readonly load: Config["load"];
	/** Sessions at which this server's load is 1. */
	readonly capacity: number;
	readonly uplinks: readonly Uplink[];
	/** Artificial UDP sessions at the last sweep. */
	readonly udpSessions: number;
	/** Sessions of TCP services that this server forwards, at the last sweep. */
	readonly tcpForwarded: number;
	/** Local addresses of the services' TCP connections that end on this server; the kernel counts these. */
	readonly tcpEndpoints: readonly TcpEndpoint[];
}

export class LoadMeter {
	/** undefined: the first period is not over. */
	report: LoadReport | undefined;
	readonly #server: string;
	readonly #sources: () => LoadSources;
	readonly #warnOnce: (problem: string) => void;
	/** By interface and configured speed. */
	#links = new Map<string, LinkMeter>();
	#cpu: CpuReading | null = null;
	/** Interface by address; kept, because the system does not list an interface without a carrier. */
	#interfaces = new Map<string, string>();
	#total: number | undefined;
	#measuredAt = 0;
	#timer: NodeJS.Timeout | undefined;
	#closed = false;

	/** `sources` is called once a period. `warn` gets each different problem once. */
	constructor(server: string, sources: () => LoadSources, warn: (problem: string) => void) {
		this.#server = server;
		this.#sources = sources;
		this.#warnOnce = warnOnce(warn);
	}

	start(): void {
		const scheduleNext = () => {
			if (this.#closed) return;
			this.#timer = setTimeout(() => this.start(), this.#sources().load.reportMs);
			this.#timer.unref();
		};
		this.#measure()
			.catch((error) => this.#warnOnce(`the load cannot be measured: ${(error as Error).message}`))
			.finally(scheduleNext);
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
	}

	async #measure(): Promise<void> {
		const sources = this.#sources();
		const now = performance.now();
		const [tcpLocal, cpu] = await Promise.all([countTcp(sources.tcpEndpoints), this.#measureCpu()]);
		const uplinks = this.#measureUplinks(sources.uplinks);
		const used = uplinks.flatMap((one) => (one.speedBps === 0 ? [] : [Math.max(one.rxBps, one.txBps) / one.speedBps]));
		const parts = {
			udpSessions: sources.udpSessions,
			tcpSessions: sources.tcpForwarded + tcpLocal,
			cpu,
			link: used.length === 0 ? null : Math.max(...used),
		};
		const instant = totalLoad({ ...parts, capacity: sources.capacity }, sources.load);
		this.#total = smoothed(this.#total, instant, now - this.#measuredAt, sources.load.smoothMs);
		this.#measuredAt = now;
		this.report = { server: this.#server, at: Date.now(), total: this.#total, ...parts, uplinks };
	}

	/** Busy share since the previous call, 0 to 1; null: not known. */
	async #measureCpu(): Promise<number | null> {
		const now = parseProcStat(await readFile("/proc/stat", "utf8"));
		const before = this.#cpu;
		this.#cpu = now;
		return before === null || now === null ? null : (cpuLoad(before, now)?.busy ?? null);
	}

	/** Of those uplinks whose interface is on this host. */
	#measureUplinks(uplinks: readonly Uplink[]): UplinkReport[] {
		for (const [address, name] of interfacesByAddress()) this.#interfaces.set(address, name);
		const reports: UplinkReport[] = [];
		/** Two uplinks of a configuration may be one interface, which is read once. */
		const uses = new Map<string, LinkUse>();
		for (const uplink of uplinks) {
			const name = uplink.interface ?? uplink.addresses.map((address) => this.#interfaces.get(address)).find(Boolean);
			if (name === undefined) continue;
			const key = `${name} ${uplink.speedBps}`;
			let link = this.#links.get(key);
			try {
				link ??= new LinkMeter(name, uplink.speedBps);
				this.#links.set(key, link);
				uses.set(key, uses.get(key) ?? link.read());
				reports.push({ addresses: uplink.addresses, ...uses.get(key)! });
			} catch (error) {
				// The interface may return, with another index.
				this.#links.delete(key);
				reports.push({ addresses: uplink.addresses, ...LINK_GONE, speedBps: uplink.speedBps });
				this.#warnOnce(`the counters of ${name} cannot be read: ${(error as Error).message}`);
			}
		}
		for (const key of this.#links.keys()) if (!uses.has(key)) this.#links.delete(key);
		return reports;
	}
}

const LINK_GONE = { up: false, rxBps: 0, txBps: 0, rxPps: 0, txPps: 0, drops: 0, errors: 0 } as const;

async function countTcp(endpoints: readonly TcpEndpoint[]): Promise<number> {
	if (endpoints.length === 0) return 0;
	const local = endpoints.map(({ address, port }) => ({ address: parseAddress(address)!.bytes, port }));
	return (await host().tcpSessions(local)).reduce((sum, count) => sum + count, 0);
}
