/**
 * The reporter: a backend answers its gateways' questions for its load (load/datagram.ts), from the address that was asked.
 *
 * Owns: a socket on each of the backend's own addresses, and the nonces of a window, so that each question is answered once:
 * an answer is larger than its question, and a question that somebody recorded must not make us send to whom he likes.
 * Must never: answer who can't sign, or measure anything; the report is given.
 */
import { createSocket, type Socket } from "node:dgram";
import type { Config } from "../config/index.js";
import { decode, encode, type LoadReport } from "../load/index.js";

/** Nonces remembered; more questions than this within a window are answered no more. */
const MOST_NONCES = 65_536;

export class Reporter {
	#config: Config;
	readonly #report: () => LoadReport | undefined;
	readonly #tell: (problem: string) => void;
	#addresses: readonly string[] = [];
	#sockets = new Map<string, Socket>();
	/** Nonce -> when it came, in the order in which they came. */
	#answered = new Map<bigint, number>();
	#retry: NodeJS.Timeout | undefined;
	#told = new Set<string>();
	#closed = false;

	constructor(options: {
		readonly config: Config;
		/** undefined: there is none yet, and the question stays unanswered. */
		readonly report: () => LoadReport | undefined;
		/** Told once of each different problem. */
		readonly tell: (problem: string) => void;
	}) {
		this.#config = options.config;
		this.#report = options.report;
		this.#tell = options.tell;
	}

	/** Serves these addresses, and none that it served before. */
	listen(config: Config, addresses: readonly string[]): void {
		const { port } = config.load;
		if (port !== this.#config.load.port) this.#closeSockets(() => true);
		this.#config = config;
		this.#addresses = addresses;
		this.#closeSockets((address) => !addresses.includes(address));
		for (const address of addresses) if (!this.#sockets.has(address)) this.#open(address, port);
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#retry);
		this.#closeSockets(() => true);
	}

	#closeSockets(which: (address: string) => boolean): void {
		for (const [address, socket] of [...this.#sockets]) {
			if (!which(address)) continue;
			this.#sockets.delete(address);
			socket.close();
		}
	}

	#open(address: string, port: number): void {
		const family = address.includes(":") ? 6 : 4;
		const socket = createSocket({ type: `udp${family}`, ipv6Only: family === 6 });
		this.#sockets.set(address, socket);
		socket.on("error", (error) => {
			socket.close();
			if (this.#sockets.get(address) !== socket) return;
			this.#sockets.delete(address);
			if (!this.#told.has(error.message)) this.#tell(`gateways cannot ask for the load: ${error.message}`);
			this.#told.add(error.message);
			// The address may come yet (an interface that is not up), and another program may let go of the port.
			clearTimeout(this.#retry);
			if (!this.#closed) this.#retry = setTimeout(() => this.listen(this.#config, this.#addresses), 1000).unref();
		});
		socket.on("message", (datagram, from) => {
			const answer = this.#answer(datagram);
			if (answer !== undefined) socket.send(answer, from.port, from.address, () => {});
		});
		socket.bind({ port, address });
		socket.unref();
	}

	#answer(datagram: Buffer): Buffer | undefined {
		const { cluster } = this.#config;
		const now = Date.now();
		const question = decode(datagram, cluster.keys, now, cluster.windowMs);
		if (typeof question === "string" || question.kind !== "question") return undefined;
		for (const [nonce, came] of this.#answered) {
			// Twice: a question may be of a clock that is ahead by a window.
			if (now - came <= 2 * cluster.windowMs) break;
			this.#answered.delete(nonce);
		}
		if (this.#answered.has(question.nonce) || this.#answered.size >= MOST_NONCES) return undefined;
		const report = this.#report();
		const key = cluster.keys.find((one) => one.id === cluster.signKey);
		if (report === undefined || key === undefined) return undefined;
		this.#answered.set(question.nonce, now);
		return encode({ kind: "answer", nonce: question.nonce, at: now, report }, key);
	}
}
