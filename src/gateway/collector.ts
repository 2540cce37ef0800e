/**
 * The collector: a gateway queries every address of every backend for the backend's load, and puts the reports into the
 * redirection database (R13), each under a lease.
 *
 * It polls, because a gateway knows every backend's addresses while a backend need not know the gateways; and because
 * an answer from each address shows, beside the load, which of a backend's uplinks work (R12).
 *
 * Owns: its sockets, the pending queries, and when each address last answered.
 * Must never: decide what a load or a silence means; that is policy/balance.ts.
 */
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import type { Backend, Config } from "../config/index.js";
import { parseAddress } from "../config/index.js";
import { type Json, type Lease, LOAD, type Store } from "../database/index.js";
import { decode, encode, type LoadReport } from "../load/index.js";

interface Query {
	readonly server: string;
	readonly address: string;
	readonly port: number;
	readonly sentAt: number;
}

/** Answers of one backend. Times are milliseconds of the monotonic clock. */
export interface Heard {
	/** When its last report was received. */
	receivedAt: number;
	/** When each of its addresses last answered. */
	readonly addresses: Map<string, number>;
}

export interface CollectorOptions {
	readonly config: Config;
	readonly store: Store;
	/** Gets each different problem once. */
	readonly warn: (problem: string) => void;
	/** Called after a report has been put into the store. */
	readonly onReport?: (report: LoadReport) => void;
	/** Milliseconds of a monotonic clock. */
	readonly now?: () => number;
}

export class Collector {
	/** By backend; only those that have answered since they were configured. */
	readonly heard = new Map<string, Heard>();
	/** By address: when its first query was sent. */
	readonly queriedSince = new Map<string, number>();
	#config: Config;
	readonly #store: Store;
	readonly #warn: (problem: string) => void;
	readonly #onReport: (report: LoadReport) => void;
	readonly #now: () => number;
	#sockets = new Map<4 | 6, Socket>();
	/** By nonce. */
	#pending = new Map<bigint, Query>();
	#leases = new Map<string, Lease>();
	#timer: NodeJS.Timeout | undefined;
	#warned = new Set<string>();
	#closed = false;

	constructor(options: CollectorOptions) {
		this.#config = options.config;
		this.#store = options.store;
		this.#warn = options.warn;
		this.#onReport = options.onReport ?? (() => {});
		this.#now = options.now ?? (() => performance.now());
	}

	/** Queries now and every `load.report`. */
	start(): void {
		if (this.#closed) return;
		const { load, backends, cluster } = this.#config;
		const now = this.#now();
		// The answer to a query older than this would be stale.
		for (const [nonce, { sentAt }] of this.#pending) if (now - sentAt > load.staleMs) this.#pending.delete(nonce);
		const key = cluster.keys.find((one) => one.id === cluster.signKey);
		if (key !== undefined)
			for (const backend of backends.filter((one) => one.state !== "inactive"))
				for (const address of backend.addresses) this.#query(backend, address, key, now);
		this.#timer = setTimeout(() => this.start(), load.reportMs);
	}

	/** Another configuration: backends that are no longer in it are forgotten. */
	configure(config: Config): void {
		this.#config = config;
		const addresses = new Set(config.backends.flatMap((backend) => backend.addresses));
		for (const name of this.heard.keys())
			if (!config.backends.some((one) => one.name === name)) this.heard.delete(name);
		for (const address of this.queriedSince.keys()) if (!addresses.has(address)) this.queriedSince.delete(address);
	}

	async close(): Promise<void> {
		this.#closed = true;
		clearTimeout(this.#timer);
		for (const socket of this.#sockets.values()) socket.close();
		this.#sockets.clear();
	}

	#query(backend: Backend, address: string, key: Config["cluster"]["keys"][number], now: number): void {
		const nonce = randomBytes(8).readBigUInt64BE();
		const { port } = this.#config.load;
		if (!this.queriedSince.has(address)) this.queriedSince.set(address, now);
		this.#pending.set(nonce, { server: backend.name, address, port, sentAt: now });
		const datagram = encode({ kind: "question", nonce, at: Date.now() }, key);
		// An unreachable address is one that does not answer, which policy handles.
		this.#socket(address.includes(":") ? 6 : 4).send(datagram, port, address, () => {});
	}

	#socket(family: 4 | 6): Socket {
		const existing = this.#sockets.get(family);
		if (existing !== undefined) return existing;
		const socket = createSocket({ type: `udp${family}` });
		socket.on("message", (datagram, from) => {
			this.#receive(datagram, from.address, from.port).catch((error) => this.#warnOnce(String(error)));
		});
		socket.on("error", (error) => {
			this.#sockets.delete(family);
			socket.close();
			this.#warnOnce(`load queries cannot be sent over IPv${family}: ${error.message}`);
		});
		socket.unref();
		this.#sockets.set(family, socket);
		return socket;
	}

	async #receive(datagram: Buffer, address: string, port: number): Promise<void> {
		const { cluster, load } = this.#config;
		const answer = decode(datagram, cluster.keys, Date.now(), cluster.windowMs);
		const from = parseAddress(address)?.text ?? address;
		if (typeof answer === "string" || answer.kind !== "answer") {
			const problem = typeof answer === "string" ? answer : answer.kind;
			// Any host can send to this port; only a backend's mistake is reported.
			if (this.#config.backends.some((one) => one.addresses.includes(from)))
				this.#warnOnce(`the load report from ${from} is rejected: ${REJECTED[problem]}`);
			return;
		}
		const query = this.#pending.get(answer.nonce);
		if (query?.address !== from || query.port !== port || query.server !== answer.report.server) return;
		this.#pending.delete(answer.nonce);
		const now = this.#now();
		const heard = this.heard.get(query.server) ?? { receivedAt: now, addresses: new Map() };
		heard.receivedAt = now;
		heard.addresses.set(from, now);
		this.heard.set(query.server, heard);
		await this.#put(answer.report, load.staleMs);
		this.#onReport(answer.report);
	}

	/** Each report renews its lease. The lease outlasts what makes a report stale for policy, which decides how far to
	 * trust it. */
	async #put(report: LoadReport, staleMs: number): Promise<void> {
		let lease = this.#leases.get(report.server);
		try {
			await lease?.renew();
		} catch {
			lease = undefined; // it has expired
		}
		if (lease === undefined || lease.ttlMs !== 2 * staleMs) {
			lease = await this.#store.grant(2 * staleMs);
			this.#leases.set(report.server, lease);
		}
		await this.#store.put(LOAD + report.server, report as unknown as Json, { lease });
	}

	#warnOnce(problem: string): void {
		if (this.#warned.has(problem)) return;
		this.#warned.add(problem);
		this.#warn(problem);
	}
}

const REJECTED = {
	short: "it is too short",
	long: "it is too long",
	magic: "it is of another protocol",
	version: "it is of another version",
	kind: "it is of an unknown kind",
	key: "it is signed with a key that is not configured here",
	tag: "its tag is wrong",
	window: "its time differs from this host's clock by more than cluster.window",
	body: "its body is not a report",
	question: "it is a query",
} as const;
