/**
 * The reporter: a backend answers its gateways' load queries (load/datagram.ts), from the address that was queried.
 *
 * Owns: a socket on each of the backend's own addresses, the farewell at a clean end, and the nonces of a window, so
 * that each query is answered once: an answer is larger than its query, and a replayed query must not make this host
 * send to a forged source.
 * A query that it cannot take (the clock, the key) it refuses by a datagram of the same length, at a limited rate.
 *
 * Must never: give a report without a valid tag, or measure anything; the report is given to it.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import type { Config } from "../config/index.js";
import { clockText, decode, encode, type LoadReport, questionNonce } from "../load/index.js";
import type { Drift } from "../member/drift.js";
import { warnOnce } from "../member/warn-once.js";

/** Nonces remembered; further queries within the window are not answered. */
const MAX_NONCES = 65_536;
const RETRY_MS = 1000;
/** Queries remembered for the farewell: one for each gateway's socket. */
const MAX_LAST_QUERIES = 1024;
/** Refusals in one second; the rest is not answered. */
const MAX_REFUSALS = 32;
/** Gateways whose clocks are remembered as wrong, and for how long after their last query. */
const MAX_CLOCKS = 64;
const CLOCK_KEPT_MS = 30_000;

export interface ReporterOptions {
	readonly config: Config;
	/** undefined: there is none yet, and the query is not answered. */
	readonly report: () => LoadReport | undefined;
	/** Gets each different problem once. */
	readonly warn: (problem: string) => void;
	/** drift() differs. */
	readonly onDrift?: () => void;
}

interface AnsweredQuery {
	readonly nonce: bigint;
	readonly from: RemoteInfo;
	readonly socket: Socket;
}

export class Reporter {
	#config: Config;
	readonly #report: () => LoadReport | undefined;
	readonly #warnOnce: (problem: string) => void;
	#addresses: readonly string[] = [];
	/** By address. */
	#sockets = new Map<string, Socket>();
	/** Arrival time (Date.now()) by nonce, in order of arrival. */
	#answered = new Map<bigint, number>();
	/** By gateway and own address: its last query that was answered, in order of arrival. */
	#lastQueries = new Map<string, AnsweredQuery>();
	#retry: NodeJS.Timeout | undefined;
	/** By gateway's address: its clock less this one's, and when that was found. */
	#clocks = new Map<string, { readonly offsetMs: number; readonly at: number }>();
	#refusals = { second: 0, count: 0 };
	readonly #onDrift: () => void;
	#closed = false;

	constructor(options: ReporterOptions) {
		this.#onDrift = options.onDrift ?? (() => {});
		this.#config = options.config;
		this.#report = options.report;
		this.#warnOnce = warnOnce(options.warn);
	}

	/** Answers at these addresses, and no longer at others. An address that cannot be bound is tried again every second.
	 * */
	listen(config: Config, addresses: readonly string[]): void {
		const { port } = config.load;
		if (port !== this.#config.load.port) this.#closeSockets(() => true);
		this.#config = config;
		this.#addresses = addresses;
		this.#closeSockets((address) => !addresses.includes(address));
		for (const address of addresses) if (!this.#sockets.has(address)) this.#open(address, port);
	}

	/** Tells each gateway that this backend ends: once more the answer to its last query, with `leaving`. Resolves when
	 * they are sent, to how many sockets. */
	async leave(): Promise<number> {
		const sent = await this.#repeat({ leaving: true });
		this.#lastQueries.clear();
		return sent;
	}

	/** Tells each gateway what has changed, before it asks. */
	async update(): Promise<void> {
		await this.#repeat({});
	}

	/** Once more the answer to each gateway's last query, with the report of now. */
	async #repeat(changes: Partial<LoadReport>): Promise<number> {
		const { cluster } = this.#config;
		const report = this.#report();
		const key = cluster.keys.find((one) => one.id === cluster.signKey);
		if (report === undefined || key === undefined) return 0;
		const open = new Set(this.#sockets.values());
		const answered = [...this.#lastQueries.values()].filter(({ socket }) => open.has(socket));
		await Promise.all(
			answered.map(({ nonce, from, socket }) => {
				const datagram = encode({ kind: "answer", nonce, at: Date.now(), report: { ...report, ...changes } }, key);
				return new Promise<void>((sent) => socket.send(datagram, from.port, from.address, () => sent()));
			}),
		);
		return answered.length;
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#retry);
		this.#closeSockets(() => true);
	}

	#remember(key: string, query: AnsweredQuery): void {
		this.#lastQueries.delete(key);
		this.#lastQueries.set(key, query);
		const [oldest] = this.#lastQueries.keys();
		if (this.#lastQueries.size > MAX_LAST_QUERIES) this.#lastQueries.delete(oldest!);
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
			this.#warnOnce(`load queries cannot be answered: ${error.message}`);
			// The interface may come up later, and another program may release the port.
			clearTimeout(this.#retry);
			if (!this.#closed) this.#retry = setTimeout(() => this.listen(this.#config, this.#addresses), RETRY_MS).unref();
		});
		socket.on("message", (datagram, from) => {
			const answered = this.#answer(datagram, from.address);
			if (answered === undefined) {
				const refusal = this.#refusal(datagram, from.address);
				if (refusal !== undefined) socket.send(refusal, from.port, from.address, () => {});
				return;
			}
			this.#remember(`${from.address} ${from.port} ${address}`, { nonce: answered.nonce, from, socket });
			socket.send(answered.datagram, from.port, from.address, () => {});
		});
		socket.bind({ port, address });
		socket.unref();
	}

	/** Gateways whose clock differs from this one's by more than the window: their packets are dropped here. */
	drift(): Drift[] {
		const { windowMs } = this.#config.cluster;
		const now = Date.now();
		return [...this.#clocks].flatMap(([address, { offsetMs, at }]): Drift[] => {
			if (now - at > CLOCK_KEPT_MS) return [];
			const member = `the gateway at ${address}`;
			return [{ member, what: "clock", text: `${member}: its ${clockText(offsetMs, windowMs)}`, unusable: true }];
		});
	}

	/** Tells the sender why its query is not answered. */
	#refusal(datagram: Buffer, from: string): Buffer | undefined {
		const { cluster } = this.#config;
		const nonce = questionNonce(datagram);
		if (nonce === undefined) return undefined;
		const now = Date.now();
		const query = decode(datagram, cluster.keys, now, cluster.windowMs);
		const outside = typeof query !== "string" && query.kind === "outside" ? query : undefined;
		if (outside !== undefined) this.#noteClock(from, outside.at - now);
		const why = outside !== undefined ? "window" : query === "key" || query === "tag" ? query : undefined;
		const id = query === "key" ? cluster.signKey : datagram.readUInt8(6);
		const key = cluster.keys.find((one) => one.id === id);
		if (why === undefined || key === undefined || !this.#mayRefuse(now)) return undefined;
		return encode({ kind: "refusal", nonce, at: now, why }, key);
	}

	#noteClock(address: string, offsetMs: number): void {
		this.#clocks.delete(address);
		this.#clocks.set(address, { offsetMs, at: Date.now() });
		const [oldest] = this.#clocks.keys();
		if (this.#clocks.size > MAX_CLOCKS) this.#clocks.delete(oldest!);
		this.#onDrift();
	}

	#mayRefuse(now: number): boolean {
		const second = Math.floor(now / 1000);
		if (second !== this.#refusals.second) this.#refusals = { second, count: 0 };
		return this.#refusals.count++ < MAX_REFUSALS;
	}

	#answer(datagram: Buffer, from: string): { nonce: bigint; datagram: Buffer } | undefined {
		const { cluster } = this.#config;
		const now = Date.now();
		const query = decode(datagram, cluster.keys, now, cluster.windowMs);
		if (typeof query === "string" || query.kind !== "question") return undefined;
		if (this.#clocks.delete(from)) this.#onDrift();
		for (const [nonce, receivedAt] of this.#answered) {
			// Twice: the sender's clock may be ahead by a window.
			if (now - receivedAt <= 2 * cluster.windowMs) break;
			this.#answered.delete(nonce);
		}
		if (this.#answered.has(query.nonce) || this.#answered.size >= MAX_NONCES) return undefined;
		const report = this.#report();
		const key = cluster.keys.find((one) => one.id === cluster.signKey);
		if (report === undefined || key === undefined) return undefined;
		this.#answered.set(query.nonce, now);
		const { nonce } = query;
		return { nonce, datagram: encode({ kind: "answer", nonce, at: now, report }, key) };
	}
}
