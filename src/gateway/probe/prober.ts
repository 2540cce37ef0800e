/**
 * The prober: asks each service at each backend as a client would, and has the answers judged.
 *
 * Owns: when each place is asked, the process that asks (worker.ts), and its restart.
 * Must never: take a fault of this host's own, or of that process, for a failure of a service.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Config, Probe } from "../../config/index.js";
import { nextProbeMs, type ProbeResult } from "../../health/index.js";
import { commandEnvironment } from "../../host/command.js";
import { interfaceAddresses } from "../../host/interfaces.js";
import { warnOnce } from "../../member/warn-once.js";
import { ask, type Question } from "./ask.js";
import { type Destination, FIRST_PORT, PORTS, ProbeTunnel } from "./tunnel.js";
import type { FromWorker, ToWorker } from "./worker.js";

/** What is asked: a service at a backend. */
export interface ProbePlace {
	/** The subject of its evidence. */
	readonly subject: string;
	readonly backend: string;
	/** The service's name. */
	readonly name: string;
	readonly service: { readonly address: string; readonly port: number; readonly protocol: "udp" | "tcp" };
	/** The backend's, by preference. */
	readonly addresses: readonly string[];
	/** The service's port there. */
	readonly port: number;
	readonly probe: Probe;
}

export interface ProberOptions {
	readonly interfaces: readonly string[];
	/** That this gateway sends the tunnel from. */
	readonly sources: () => readonly string[];
	readonly cluster: () => Config["cluster"];
	readonly onResult: (place: ProbePlace, result: ProbeResult, at: number) => void;
	/** Gets each different problem once. */
	readonly warn: (problem: string) => void;
}

/** Source ports of one place: TCP takes one after the other, so that no connection meets what is left of the one before. */
const PORTS_PER_PLACE = 16;
const RESTART_MS = 2000;
/** A worker that does not answer in this time after a probe's timeout has lost it. */
const GRACE_MS = 2000;

interface Running {
	readonly place: ProbePlace;
	readonly firstPort: number;
	count: number;
	failures: number;
	timer: NodeJS.Timeout | undefined;
}

export class Prober {
	readonly #options: ProberOptions;
	/** By subject. */
	#running = new Map<string, Running>();
	#worker: ChildProcess | undefined;
	#tunnel: ProbeTunnel | undefined;
	/** This gateway's own addresses, that probes are sent from. */
	#own: Partial<Record<4 | 6, string>> = {};
	#ready = false;
	#pending = new Map<number, (result: ProbeResult | undefined) => void>();
	#nextId = 1;
	#nextPort = 0;
	#starting = false;
	#restart: NodeJS.Timeout | undefined;
	#closed = false;
	readonly #warnOnce: (problem: string) => void;

	constructor(options: ProberOptions) {
		this.#options = options;
		this.#warnOnce = warnOnce(options.warn);
	}

	/** Asks at these places, and no longer at others. */
	set(places: readonly ProbePlace[]): void {
		const wanted = new Map(places.map((place) => [place.subject, place]));
		for (const [subject, { place, timer }] of [...this.#running]) {
			if (JSON.stringify(wanted.get(subject)) === JSON.stringify(place)) continue;
			clearTimeout(timer);
			this.#running.delete(subject);
		}
		for (const [subject, place] of wanted) {
			if (this.#running.has(subject)) continue;
			const firstPort = FIRST_PORT + (this.#nextPort % PORTS);
			this.#nextPort += PORTS_PER_PLACE;
			const running: Running = { place, firstPort, count: 0, failures: 0, timer: undefined };
			this.#running.set(subject, running);
			// Not all at the same moment.
			this.#schedule(running, Math.random() * Math.min(place.probe.intervalMs, 1000));
		}
		const tunnelled = places.some(({ probe }) => probe.port === null);
		const idle = this.#worker === undefined && !this.#starting && this.#restart === undefined;
		if (tunnelled && idle) void this.#startWorker();
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#restart);
		for (const { timer } of this.#running.values()) clearTimeout(timer);
		this.#running.clear();
		this.#stopWorker();
	}

	#schedule(running: Running, ms: number): void {
		running.timer = setTimeout(() => void this.#probe(running), ms).unref();
	}

	async #probe(running: Running): Promise<void> {
		const { place } = running;
		const begun = performance.now();
		const result = place.probe.port === null ? await this.#askThroughTunnel(running) : await askDirectly(place);
		if (this.#running.get(place.subject) !== running) return;
		const now = performance.now();
		if (result !== undefined) {
			running.failures = result.passed ? 0 : running.failures + 1;
			this.#options.onResult(place, result, now);
		}
		this.#schedule(running, nextProbeMs(place.probe, running.failures, now - begun, Math.random()));
	}

	async #askThroughTunnel(running: Running): Promise<ProbeResult | undefined> {
		const { probe, service, name } = running.place;
		const from = this.#own[service.address.includes(":") ? 6 : 4];
		if (!this.#ready || this.#worker === undefined) return undefined;
		if (from === undefined) {
			const family = service.address.includes(":") ? "IPv6" : "IPv4";
			this.#warnOnce(`${name} cannot be probed: this gateway has no ${family} address to ask from`);
			return undefined;
		}
		const place = service.protocol === "udp" && probe.type !== "http" ? 0 : running.count++ % PORTS_PER_PLACE;
		const question: Question = {
			probe,
			protocol: service.protocol,
			address: service.address,
			port: service.port,
			from: { address: from, port: running.firstPort + place },
		};
		const id = this.#nextId++;
		return new Promise((resolve) => {
			const lost = setTimeout(() => this.#settle(id, undefined), probe.timeoutMs + GRACE_MS);
			this.#pending.set(id, (result) => {
				clearTimeout(lost);
				resolve(result);
			});
			this.#tell({ kind: "ask", id, question });
		});
	}

	#settle(id: number, result: ProbeResult | undefined): void {
		const settle = this.#pending.get(id);
		this.#pending.delete(id);
		settle?.(result);
	}

	/** Where a probe of this source port goes. */
	#destination(port: number): Destination | undefined {
		for (const { firstPort, place } of this.#running.values()) {
			if (port < firstPort || port >= firstPort + PORTS_PER_PLACE) continue;
			const { service } = place;
			const [address = ""] = place.addresses;
			return { address, port: place.port, service: `${service.address} ${service.port}` };
		}
		return undefined;
	}

	async #startWorker(): Promise<void> {
		this.#starting = true;
		try {
			const { interfaces, sources, cluster, warn } = this.#options;
			const all = await Promise.all(interfaces.map((name) => interfaceAddresses(name)));
			const own = all.flat().map(({ address }) => address);
			const global = own.filter((address) => !/^(fe80:|127\.|::1$)/i.test(address));
			const four = global.find((address) => !address.includes(":"));
			const six = global.find((address) => address.includes(":"));
			this.#own = { ...(four === undefined ? {} : { 4: four }), ...(six === undefined ? {} : { 6: six }) };
			const addresses = Object.values(this.#own);
			if (this.#closed || addresses.length === 0) return;
			this.#tunnel = new ProbeTunnel({
				interfaces,
				addresses,
				sources: sources(),
				cluster,
				destination: (port) => this.#destination(port),
				received: (bytes) => this.#tell({ kind: "packet", bytes }),
				warn,
			});
			this.#worker = spawnWorker();
			const worker = this.#worker;
			worker.on("message", (message: FromWorker) => this.#heard(message));
			worker.on("error", (error) => this.#warnOnce(`probes cannot be sent: ${error.message}`));
			worker.on("exit", () => this.#ended(worker));
			this.#tell({ kind: "setup", addresses });
		} catch (error) {
			this.#warnOnce(`probes cannot be sent: ${(error as Error).message}`);
			this.#stopWorker();
		} finally {
			this.#starting = false;
		}
	}

	#heard(message: FromWorker): void {
		if (message.kind === "ready") this.#ready = true;
		else if (message.kind === "failed") this.#warnOnce(`probes cannot be sent: ${message.why}`);
		else if (message.kind === "result") this.#settle(message.id, message.result);
		else this.#tunnel?.send(message.bytes);
	}

	#ended(worker: ChildProcess): void {
		if (this.#worker !== worker) return;
		this.#stopWorker();
		if (this.#closed) return;
		this.#warnOnce("the process that probes services has ended; it is started again");
		this.#restart = setTimeout(() => {
			this.#restart = undefined;
			void this.#startWorker();
		}, RESTART_MS).unref();
	}

	#stopWorker(): void {
		const worker = this.#worker;
		this.#worker = undefined;
		this.#ready = false;
		this.#tunnel?.close();
		this.#tunnel = undefined;
		for (const id of [...this.#pending.keys()]) this.#settle(id, undefined);
		if (worker?.connected) worker.disconnect(); // it ends by itself
	}

	#tell(message: ToWorker): void {
		if (this.#worker?.connected) this.#worker.send(message, () => {});
	}
}

function spawnWorker(): ChildProcess {
	const program = fileURLToPath(new URL("./worker.js", import.meta.url));
	const child = spawn("unshare", ["--net", "--", process.execPath, program], {
		stdio: ["ignore", "ignore", "ignore", "ipc"],
		serialization: "advanced",
		env: commandEnvironment(),
	});
	child.unref();
	child.channel?.unref();
	return child;
}

/** A companion port at the backend's own address. */
function askDirectly({ probe, addresses, service }: ProbePlace): Promise<ProbeResult | undefined> {
	const protocol = probe.type === "udp" || (probe.type === "dns" && service.protocol === "udp") ? "udp" : "tcp";
	return ask({ probe, protocol, address: addresses[0] ?? "", port: probe.port ?? 0 });
}
