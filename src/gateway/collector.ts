/**
 * The collector: a gateway queries every address of every backend for the backend's load, and puts the reports into the
 * redirection database (R13), each under a lease.
 *
 * It polls, because a gateway knows every backend's addresses while a backend need not know the gateways; and because
 * an answer from each address shows, beside the load, which of a backend's uplinks work (R12).
 *
 * An address that has answered before and does not answer a query is queried twice as often, until it answers or is
 * given up: a silence is found within 2.5 periods.
 *
 * Owns: the pending queries, when each address last answered, and the evidence of health in answers and silence.
 * Must never: decide what a load or a silence means; that is policy/balance.ts and health/machine.ts.
 */
import { randomBytes } from "node:crypto";
import type { Backend, Config } from "../config/index.js";
import { parseAddress } from "../config/index.js";
import { type Json, type Lease, LOAD, type Store } from "../database/index.js";
import { type Evidence, isSuspect, missAfterMs } from "../health/index.js";
import {
	decode,
	encode,
	type LoadAnswer,
	type LoadRefusal,
	type LoadReport,
	type UnboundPort,
	unverifiedRefusal,
} from "../load/index.js";
import { warnOnce } from "../member/warn-once.js";
import { QuerySockets } from "./query-sockets.js";
import { timeOfDay } from "./time-of-day.js";

interface Query {
	readonly server: string;
	readonly address: string;
	readonly port: number;
	readonly sentAt: number;
	/** It has counted as unanswered or refused. */
	failed: boolean;
}

/** What was last heard of one address. */
interface LastAnswer {
	readonly nonce: bigint;
	readonly server: string;
	/** By the backend's clock: milliseconds since 1970. */
	at: number;
	/** Date.now(). */
	readonly wallMs: number;
	/** Queries in a row, since then, that were not answered in time, and that the host refused. */
	misses: number;
	refusals: number;
}

/** A backend that a router calls unreachable is given this time to answer a query. */
const DOUBT_MS = 500;
/** Misses after which the route, and with it the socket's source address, may have changed. */
const REOPEN_AFTER = 5;

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
	/** Called after a report has been put into the store. `offsetMs`: the backend's clock less this one's. */
	readonly onReport?: (report: LoadReport, offsetMs: number) => void;
	/** A backend refuses a query. `offsetMs` is known if its clock is the reason. */
	readonly onRefusal?: (backend: string, why: LoadRefusal["why"], offsetMs: number | undefined) => void;
	readonly onEvidence?: (evidence: Evidence) => void;
	/** A backend says which of its services have no socket there. */
	readonly onUnbound?: (server: string, unbound: readonly UnboundPort[], at: number) => void;
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
	readonly #warnOnce: (problem: string) => void;
	readonly #onReport: NonNullable<CollectorOptions["onReport"]>;
	readonly #onRefusal: NonNullable<CollectorOptions["onRefusal"]>;
	readonly #onEvidence: (evidence: Evidence) => void;
	readonly #onUnbound: NonNullable<CollectorOptions["onUnbound"]>;
	readonly #now: () => number;
	readonly #sockets: QuerySockets;
	/** By address. */
	#last = new Map<string, LastAnswer>();
	/** By backend: when it last refused a query at any of its addresses. */
	#refusedAt = new Map<string, number>();
	#ticks = 0;
	/** By nonce. */
	#pending = new Map<bigint, Query>();
	#leases = new Map<string, Lease>();
	/** By address: that a query after a router's error is to be answered, or was. */
	#doubts = new Map<string, { readonly timer: NodeJS.Timeout; settled: boolean }>();
	#timer: NodeJS.Timeout | undefined;
	#closed = false;

	constructor(options: CollectorOptions) {
		this.#config = options.config;
		this.#store = options.store;
		this.#warnOnce = warnOnce(options.warn);
		this.#onReport = options.onReport ?? (() => {});
		this.#onRefusal = options.onRefusal ?? (() => {});
		this.#onEvidence = options.onEvidence ?? (() => {});
		this.#onUnbound = options.onUnbound ?? (() => {});
		this.#now = options.now ?? (() => performance.now());
		this.#sockets = new QuerySockets({
			onMessage: (datagram, address, port) =>
				void this.#receive(datagram, address, port).catch((error) => this.#warnOnce(String(error))),
			onRefused: (address) => this.#refused(address),
			warn: (problem) => this.#warnOnce(problem),
		});
	}

	/** Queries now and every `load.report`; addresses whose last query was not answered, twice as often. */
	start(): void {
		if (this.#closed) return;
		const { load, backends } = this.#config;
		const now = this.#now();
		this.#countMisses(now);
		const all = this.#ticks++ % 2 === 0;
		for (const backend of backends.filter((one) => one.state !== "inactive"))
			for (const address of backend.addresses) if (all || this.#isSuspect(address)) this.#query(backend, address, now);
		this.#timer = setTimeout(() => this.start(), load.reportMs / 2);
	}

	/** Another configuration: backends that are no longer in it are forgotten. */
	configure(config: Config): void {
		// Backends answer at another port once they have reloaded, too: until then their silence is none.
		if (config.load.port !== this.#config.load.port) this.#last.clear();
		this.#config = config;
		const addresses = new Set(config.backends.flatMap((backend) => backend.addresses));
		for (const name of this.heard.keys())
			if (!config.backends.some((one) => one.name === name)) this.heard.delete(name);
		for (const address of this.queriedSince.keys()) if (!addresses.has(address)) this.queriedSince.delete(address);
		for (const address of this.#last.keys()) if (!addresses.has(address)) this.#last.delete(address);
		this.#sockets.retain(addresses);
	}

	async close(): Promise<void> {
		this.#closed = true;
		clearTimeout(this.#timer);
		for (const { timer } of this.#doubts.values()) clearTimeout(timer);
		this.#sockets.close();
	}

	/** A router says that no packet gets to this address. That may be forged, so the backend is asked: only if it neither
	 * answers nor refuses is the error believed. Once in DOUBT_MS, however many errors arrive. */
	doubt(address: string, why: string): void {
		const backend = this.#config.backends.find((one) => one.addresses.includes(address));
		if (this.#closed || backend === undefined || !this.#last.has(address) || this.#doubts.has(address)) return;
		const since = timeOfDay();
		const believe = () => {
			const settled = this.#doubts.get(address)?.settled ?? true;
			this.#doubts.delete(address);
			if (settled || this.#closed) return;
			const detail = `${why}, since ${since}, and a query is not answered`;
			this.#onEvidence({ subject: address, kind: "unreachable", passed: false, at: this.#now(), detail });
		};
		// An answer that waits to be read while this process was busy is read first.
		const timer = setTimeout(() => setImmediate(believe), DOUBT_MS).unref();
		this.#doubts.set(address, { timer, settled: false });
		this.#query(backend, address, this.#now());
	}

	/** Its host speaks. */
	#settle(address: string): void {
		const doubt = this.#doubts.get(address);
		if (doubt !== undefined) doubt.settled = true;
	}

	#query(backend: Backend, address: string, now: number): void {
		const { load, cluster } = this.#config;
		const key = cluster.keys.find((one) => one.id === cluster.signKey);
		if (key === undefined) return;
		const nonce = randomBytes(8).readBigUInt64BE();
		const { port } = load;
		if (!this.queriedSince.has(address)) this.queriedSince.set(address, now);
		this.#pending.set(nonce, { server: backend.name, address, port, sentAt: now, failed: false });
		this.#sockets.send(encode({ kind: "question", nonce, at: Date.now() }, key), port, address);
	}

	#isSuspect(address: string): boolean {
		return isSuspect(this.#last.get(address)?.misses ?? 0);
	}

	#countMisses(now: number): void {
		const missMs = missAfterMs(this.#config.load.reportMs);
		const oldest = Math.max(missMs, this.#config.load.staleMs);
		for (const [nonce, query] of this.#pending) {
			const age = now - query.sentAt;
			if (!query.failed && age >= missMs) this.#missed(query, now);
			if (age > oldest) this.#pending.delete(nonce);
		}
	}

	#missed(query: Query, now: number): void {
		query.failed = true;
		const last = this.#last.get(query.address);
		// Hosts limit the rate of ICMP errors: silence at one address is none if the host refuses at another.
		const refusedAt = this.#refusedAt.get(query.server) ?? Number.NEGATIVE_INFINITY;
		const { reportMs } = this.#config.load;
		if (last === undefined || now - refusedAt < 3 * reportMs + missAfterMs(reportMs)) return;
		last.misses++;
		if (last.misses % REOPEN_AFTER === 0) this.#sockets.reopen(query.address);
		const detail = `no load report since ${timeOfDay(last.wallMs)}`;
		this.#onEvidence({ subject: query.address, kind: "load-report", passed: false, at: now, detail });
	}

	/** A refusal shows within a round trip that the daemon is gone. One is confirmed by a second query at once. */
	#refused(address: string): void {
		if (this.#closed) return;
		const last = this.#last.get(address);
		const backend = this.#config.backends.find((one) => one.addresses.includes(address));
		if (last === undefined || backend === undefined) return;
		const now = this.#now();
		this.#settle(address);
		this.#refusedAt.set(backend.name, now);
		// The answer may still arrive: an ICMP error is not authenticated.
		for (const query of this.#pending.values()) if (query.address === address) query.failed = true;
		last.misses = 0;
		last.refusals++;
		const detail = `its daemon does not run: port ${this.#config.load.port} unreachable, last report ${timeOfDay(last.wallMs)}`;
		this.#onEvidence({ subject: address, kind: "packet-error", passed: false, at: now, detail });
		if (last.refusals === 1) this.#query(backend, address, now);
	}

	async #receive(datagram: Buffer, address: string, port: number): Promise<void> {
		const { cluster, load } = this.#config;
		const answer = decode(datagram, cluster.keys, Date.now(), cluster.windowMs);
		const from = parseAddress(address)?.text ?? address;
		const refusal = refusalIn(answer, datagram);
		if (refusal !== undefined) return this.#queryRefused(from, port, refusal);
		if (typeof answer === "string" || answer.kind !== "answer") {
			const problem = typeof answer === "string" ? answer : answer.kind;
			// Any host can send to this port; only a backend's mistake is reported.
			if (this.#config.backends.some((one) => one.addresses.includes(from)))
				this.#warnOnce(`the load report from ${from} is rejected: ${REJECTED[problem]}`);
			return;
		}
		if (answer.report.leaving) return this.#leaves(from, answer.nonce, answer.report);
		if (this.#isUpdate(from, answer)) return this.#updated(from, answer);
		const query = this.#pending.get(answer.nonce);
		if (query?.address !== from || query.port !== port || query.server !== answer.report.server) return;
		this.#pending.delete(answer.nonce);
		const now = this.#now();
		if (now - query.sentAt > load.staleMs) return;
		this.#settle(from);
		const { nonce, report } = answer;
		this.#last.set(from, { nonce, server: query.server, at: answer.at, wallMs: Date.now(), misses: 0, refusals: 0 });
		const survives = report.survives ?? true;
		this.#onEvidence({ subject: from, kind: "load-report", passed: true, at: now, survives, detail: "" });
		const heard = this.heard.get(query.server) ?? { receivedAt: now, addresses: new Map() };
		heard.receivedAt = now;
		heard.addresses.set(from, now);
		this.heard.set(query.server, heard);
		if (report.unbound !== undefined) this.#onUnbound(query.server, report.unbound, now);
		const offsetMs = answer.at - (Date.now() - (now - query.sentAt) / 2);
		await this.#put(answer.report, load.staleMs);
		this.#onReport(answer.report, offsetMs);
	}

	/** The backend runs, and tells why it does not answer: neither a silence nor an answer. */
	#queryRefused(from: string, port: number, { nonce, why, at }: LoadRefusal): void {
		const query = this.#pending.get(nonce);
		if (query?.address !== from || query.port !== port) return;
		this.#pending.delete(nonce);
		this.#settle(from);
		this.#onRefusal(query.server, why, why === "window" ? at - Date.now() : undefined);
	}

	/** A backend repeats its last answer when it has news. */
	#isUpdate(address: string, { nonce, at, report }: LoadAnswer): boolean {
		const last = this.#last.get(address);
		return last?.nonce === nonce && last.server === report.server && at > last.at;
	}

	#updated(address: string, { at, report }: LoadAnswer): void {
		const last = this.#last.get(address);
		if (last !== undefined) last.at = at;
		if (report.unbound !== undefined) this.#onUnbound(report.server, report.unbound, this.#now());
		this.#onReport(report, at - Date.now());
	}

	/** A backend that ends repeats its last answer, with the word that it leaves. */
	#leaves(address: string, nonce: bigint, { server }: LoadReport): void {
		const last = this.#last.get(address);
		const pending = this.#pending.get(nonce);
		if (last?.server !== server || (last.nonce !== nonce && pending?.address !== address)) return;
		this.#pending.delete(nonce);
		const detail = `its daemon was stopped at ${timeOfDay()}`;
		this.#onEvidence({ subject: address, kind: "farewell", passed: false, at: this.#now(), detail });
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
}

/** A backend's refusal. That of another key cannot be verified: its nonce, which is of a query that is pending, has to
 * do. An answer whose time is outside the window says what such a refusal would. */
function refusalIn(message: ReturnType<typeof decode>, datagram: Buffer): LoadRefusal | undefined {
	if (typeof message === "string") {
		const refusal = unverifiedRefusal(datagram);
		return refusal?.why === "window" ? undefined : refusal;
	}
	if (message.kind === "outside") return { ...message, kind: "refusal", why: "window" };
	return message.kind === "refusal" ? message : undefined;
}

const REJECTED = {
	short: "it is too short",
	long: "it is too long",
	magic: "it is of another protocol",
	version: "it is of another version",
	kind: "it is of an unknown kind",
	key: "it is signed with a key that is not configured here",
	tag: "its tag is wrong",
	body: "its body is not a report",
	question: "it is a query",
	refusal: "it is a refusal",
	outside: "its time differs from this host's clock by more than cluster.window",
} as const;
