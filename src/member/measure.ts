/**
 * What this server carries, measured anew each period, and its load (R10, R12).
 *
 *   session table → artificial UDP sessions ┐
 *   sock_diag     → TCP sessions            ├→ total load, smoothed → the report
 *   /proc/stat    → processors              │
 *   NIC counters  → links                   ┘
 *
 * Owns: the period, the readings of the last one, and the report of this one.
 * Must never: hold up the event loop: what takes long (sockets) is asked of a thread.
 */
import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { type Config, parseAddress, type Uplink } from "../config/index.js";
import { host } from "../engine/index.js";
import { type CpuReading, cpuLoad, type LoadReport, parseProcStat, type UplinkReport } from "../load/index.js";
import { smoothed, totalLoad } from "../policy/index.js";
import { type LinkUse, LinkWatch } from "./link-watch.js";

export interface TcpEndpoint {
	readonly address: string;
	readonly port: number;
}

/** What is asked anew each period. */
export interface Carries {
	readonly load: Config["load"];
	/** Sessions that make this server full. */
	readonly capacity: number;
	readonly uplinks: readonly Uplink[];
	/** Artificial UDP sessions, as of the last sweep. */
	readonly udpSessions: number;
	/** Sessions of TCP services that only pass by here, as of the last sweep. */
	readonly tcpPassing: number;
	/** Where the services' TCP connections end on this server: the kernel is asked for these. */
	readonly tcpEndpoints: readonly TcpEndpoint[];
}

export class Measure {
	/** undefined: the first period is not over yet. */
	report: LoadReport | undefined;
	readonly #server: string;
	readonly #carries: () => Carries;
	readonly #tell: (problem: string) => void;
	#links = new Map<string, LinkWatch>();
	#cpu: CpuReading | null = null;
	/** Remembered, because an interface without a carrier is not listed with its addresses. */
	#carriers = new Map<string, string>();
	#total: number | undefined;
	#measuredAt = 0;
	#timer: NodeJS.Timeout | undefined;
	#told = new Set<string>();
	#closed = false;

	constructor(server: string, carries: () => Carries, tell: (problem: string) => void) {
		this.#server = server;
		this.#carries = carries;
		this.#tell = tell;
	}

	start(): void {
		const again = () => {
			if (this.#closed) return;
			this.#timer = setTimeout(() => this.start(), this.#carries().load.reportMs);
			this.#timer.unref();
		};
		this.#measure()
			.catch((error) => this.#complain(`the load cannot be measured: ${(error as Error).message}`))
			.finally(again);
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
	}

	async #measure(): Promise<void> {
		const carries = this.#carries();
		const now = performance.now();
		const [tcpEnding, cpu] = await Promise.all([tcpCount(carries.tcpEndpoints), this.#busy()]);
		const uplinks = this.#uplinks(carries.uplinks);
		const used = uplinks.flatMap((one) => (one.speedBps === 0 ? [] : [Math.max(one.rxBps, one.txBps) / one.speedBps]));
		const parts = {
			udpSessions: carries.udpSessions,
			tcpSessions: carries.tcpPassing + tcpEnding,
			cpu,
			link: used.length === 0 ? null : Math.max(...used),
		};
		const instant = totalLoad({ ...parts, capacity: carries.capacity }, carries.load);
		this.#total = smoothed(this.#total, instant, now - this.#measuredAt, carries.load.smoothMs);
		this.#measuredAt = now;
		this.report = { server: this.#server, at: Date.now(), total: this.#total, ...parts, uplinks };
	}

	async #busy(): Promise<number | null> {
		const now = parseProcStat(await readFile("/proc/stat", "utf8"));
		const before = this.#cpu;
		this.#cpu = now;
		return before === null || now === null ? null : (cpuLoad(before, now)?.busy ?? null);
	}

	/** Those whose interface is here. */
	#uplinks(uplinks: readonly Uplink[]): UplinkReport[] {
		for (const [address, name] of carriersOf()) this.#carriers.set(address, name);
		const reports: UplinkReport[] = [];
		/** Two uplinks of a configuration may be one interface, which is read once. */
		const uses = new Map<string, LinkUse>();
		for (const uplink of uplinks) {
			const name = uplink.interface ?? uplink.addresses.map((address) => this.#carriers.get(address)).find(Boolean);
			if (name === undefined) continue;
			const key = `${name} ${uplink.speedBps}`;
			let link = this.#links.get(key);
			try {
				link ??= new LinkWatch(name, uplink.speedBps);
				this.#links.set(key, link);
				uses.set(key, uses.get(key) ?? link.read());
				reports.push({ addresses: uplink.addresses, ...uses.get(key)! });
			} catch (error) {
				// It may come again, under another index.
				this.#links.delete(key);
				reports.push({ addresses: uplink.addresses, ...GONE, speedBps: uplink.speedBps });
				this.#complain(`the counters of ${name} cannot be read: ${(error as Error).message}`);
			}
		}
		for (const key of this.#links.keys()) if (!uses.has(key)) this.#links.delete(key);
		return reports;
	}

	#complain(problem: string): void {
		if (this.#told.has(problem)) return;
		this.#told.add(problem);
		this.#tell(problem);
	}
}

const GONE = { up: false, rxBps: 0, txBps: 0, rxPps: 0, txPps: 0, drops: 0, errors: 0 } as const;

async function tcpCount(endpoints: readonly TcpEndpoint[]): Promise<number> {
	if (endpoints.length === 0) return 0;
	const asked = endpoints.map(({ address, port }) => ({ address: parseAddress(address)!.bytes, port }));
	return (await host().tcpSessions(asked)).reduce((sum, count) => sum + count, 0);
}

/** Which interface carries an address of this host. */
function carriersOf(): Map<string, string> {
	const all = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
		addresses.map(({ address }): [string, string] => [parseAddress(address)?.text ?? address, name]),
	);
	return new Map(all);
}
