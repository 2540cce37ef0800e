/**
 * The collector: a gateway asks every address of every backend for the backend's load, and puts the answers into the
 * redirection database (R13), each under a lease.
 *
 * It asks, rather than wait to be told, because a gateway knows every backend's addresses and no backend need know the
 * gateways'; and because who asks each address sees, beside the load, whether a backend's uplinks carry (R12).
 *
 * Owns: its sockets, the questions that are out, and when each address was last heard.
 * Must never: decide what a load or a silence means; that is policy/balance.ts.
 */
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import type { Backend, Config } from "../config/index.js";
import { parseAddress } from "../config/index.js";
import { type Json, type Lease, LOAD, type Store } from "../database/index.js";
import { decode, encode, type LoadReport } from "../load/index.js";

interface Question {
	readonly server: string;
	readonly address: string;
	readonly port: number;
	readonly askedAt: number;
}

/** Of one backend. Times are of the monotonic clock, in milliseconds. */
export interface Heard {
	/** When its last report came. */
	receivedAt: number;
	/** When each of its addresses answered last. */
	readonly addresses: Map<string, number>;
}

export class Collector {
	/** By backend; only those that have been heard since they were configured. */
	readonly heard = new Map<string, Heard>();
	/** Since when each address has been asked. */
	readonly asked = new Map<string, number>();
	#config: Config;
	readonly #store: Store;
	readonly #tell: (problem: string) => void;
	readonly #onReport: (report: LoadReport) => void;
	readonly #now: () => number;
	#sockets = new Map<4 | 6, Socket>();
	#questions = new Map<bigint, Question>();
	#leases = new Map<string, Lease>();
	#timer: NodeJS.Timeout | undefined;
	#told = new Set<string>();
	#closed = false;

	constructor(options: {
		readonly config: Config;
		readonly store: Store;
		/** Told once of each different problem. */
		readonly tell: (problem: string) => void;
		/** After a report has been put into the store. */
		readonly onReport?: (report: LoadReport) => void;
		readonly now?: () => number;
	}) {
		this.#config = options.config;
		this.#store = options.store;
		this.#tell = options.tell;
		this.#onReport = options.onReport ?? (() => {});
		this.#now = options.now ?? (() => performance.now());
	}

	start(): void {
		this.#ask();
	}

	/** Another configuration: backends that have left are forgotten. */
	configure(config: Config): void {
		this.#config = config;
		const addresses = new Set(config.backends.flatMap((backend) => backend.addresses));
		for (const name of this.heard.keys())
			if (!config.backends.some((one) => one.name === name)) this.heard.delete(name);
		for (const address of this.asked.keys()) if (!addresses.has(address)) this.asked.delete(address);
	}

	async close(): Promise<void> {
		this.#closed = true;
		clearTimeout(this.#timer);
		for (const socket of this.#sockets.values()) socket.close();
		this.#sockets.clear();
	}

	#ask(): void {
		if (this.#closed) return;
		const { load, backends, cluster } = this.#config;
		const now = this.#now();
		// A question older than what makes a report stale would bring no news.
		for (const [nonce, { askedAt }] of this.#questions) if (now - askedAt > load.staleMs) this.#questions.delete(nonce);
		const key = cluster.keys.find((one) => one.id === cluster.signKey);
		if (key !== undefined)
			for (const backend of backends.filter((one) => one.state !== "inactive"))
				for (const address of backend.addresses) this.#askOne(backend, address, key, now);
		this.#timer = setTimeout(() => this.#ask(), load.reportMs);
	}

	#askOne(backend: Backend, address: string, key: Config["cluster"]["keys"][number], now: number): void {
		const nonce = randomBytes(8).readBigUInt64BE();
		const { port } = this.#config.load;
		if (!this.asked.has(address)) this.asked.set(address, now);
		this.#questions.set(nonce, { server: backend.name, address, port, askedAt: now });
		const question = encode({ kind: "question", nonce, at: Date.now() }, key);
		// No way to an address is silence, and silence has its meaning already.
		this.#socket(address.includes(":") ? 6 : 4).send(question, port, address, () => {});
	}

	#socket(family: 4 | 6): Socket {
		const known = this.#sockets.get(family);
		if (known !== undefined) return known;
		const socket = createSocket({ type: `udp${family}` });
		socket.on("message", (datagram, from) => {
			this.#take(datagram, from.address, from.port).catch((error) => this.#complain(String(error)));
		});
		socket.on("error", (error) => {
			this.#sockets.delete(family);
			socket.close();
			this.#complain(`loads cannot be asked for over IPv${family}: ${error.message}`);
		});
		socket.unref();
		this.#sockets.set(family, socket);
		return socket;
	}

	async #take(datagram: Buffer, address: string, port: number): Promise<void> {
		const { cluster, load } = this.#config;
		const answer = decode(datagram, cluster.keys, Date.now(), cluster.windowMs);
		const from = parseAddress(address)?.text ?? address;
		if (typeof answer === "string" || answer.kind !== "answer") {
			const why = typeof answer === "string" ? answer : answer.kind;
			// Anybody can send us anything; what comes from a backend of ours is worth a word.
			if (this.#config.backends.some((one) => one.addresses.includes(from)))
				this.#complain(`${from} answered the question for its load with what is no answer: ${REFUSED[why]}`);
			return;
		}
		const question = this.#questions.get(answer.nonce);
		if (question?.address !== from || question.port !== port || question.server !== answer.report.server) return;
		this.#questions.delete(answer.nonce);
		const now = this.#now();
		const heard = this.heard.get(question.server) ?? { receivedAt: now, addresses: new Map() };
		heard.receivedAt = now;
		heard.addresses.set(from, now);
		this.heard.set(question.server, heard);
		await this.#put(answer.report, load.staleMs);
		this.#onReport(answer.report);
	}

	/** Under a lease that each report renews; what a lease's time means to choices is policy's, so it is a generous one. */
	async #put(report: LoadReport, staleMs: number): Promise<void> {
		let lease = this.#leases.get(report.server);
		try {
			await lease?.renew();
		} catch {
			lease = undefined; // it has ended
		}
		if (lease === undefined || lease.ttlMs !== 2 * staleMs) {
			lease = await this.#store.grant(2 * staleMs);
			this.#leases.set(report.server, lease);
		}
		await this.#store.put(LOAD + report.server, report as unknown as Json, { lease });
	}

	#complain(problem: string): void {
		if (this.#told.has(problem)) return;
		this.#told.add(problem);
		this.#tell(problem);
	}
}

const REFUSED = {
	short: "it is too short",
	long: "it is too long",
	magic: "it is of another protocol",
	version: "it is of another version",
	kind: "it is of an unknown kind",
	key: "it is signed under a key that is not configured here",
	tag: "its tag is wrong",
	window: "its time is too far from this host's",
	body: "its body is no report",
	question: "it is a question",
} as const;
