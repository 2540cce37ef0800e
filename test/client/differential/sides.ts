// sides.ts - the modules that a case of the differential suite runs against: Node's own, and the library in three
// states.
//
// Owns: the servers and the four sides. Must never: treat a side differently from another, except for its modules.

import dgram, { type SocketOptions, type SocketType } from "node:dgram";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { join } from "node:path";
import {
	connect,
	createSocket,
	Dialer,
	RedirectedAgent,
	RedirectedSecureAgent,
	RedirectionCache,
	type RedirectionOptions,
} from "../../../src/client/index.js";
import { Peer, SERVICE, TARGETS } from "../peer.js";

export interface Side {
	readonly name: string;
	readonly createSocket: typeof dgram.createSocket;
	readonly connect: typeof net.connect;
	readonly Agent: typeof http.Agent;
	readonly SecureAgent: typeof https.Agent;
}

/** Where the servers of all sides are: the ports of the service. */
export interface Place {
	readonly host: string;
	readonly port: number;
	readonly httpPort: number;
	readonly httpsPort: number;
	readonly certificate: Buffer;
	/** A port at which nothing listens. */
	readonly closedPort: number;
}

export class Sides {
	readonly #peers: Peer[];
	readonly #dialers: Dialer[] = [];
	readonly place: Place;
	readonly all: Side[] = [];

	private constructor(peers: Peer[], certificate: Buffer) {
		this.#peers = peers;
		const [echo, plain, secure] = peers.map(({ port }) => port) as [number, number, number];
		this.place = { host: SERVICE, port: echo, httpPort: plain, httpsPort: secure, certificate, closedPort: 1 };
	}

	static async start(): Promise<Sides> {
		const fixture = (name: string) => readFileSync(join(import.meta.dirname, "../fixtures", name));
		const [key, cert] = [fixture("service.key"), fixture("service.crt")];
		const answer: http.RequestListener = (request, response) => {
			const delay = Number(request.headers["x-delay"] ?? 0);
			setTimeout(() => response.end(`${request.method} ${request.url} ${request.headers.connection}`), delay);
		};
		const peers = await Promise.all([
			Peer.start({ answer: (_, request) => request }),
			Peer.start({ createServer: () => http.createServer(answer) }),
			Peer.start({ createServer: () => https.createServer({ key, cert }, answer) }),
		]);
		const sides = new Sides(peers, cert);
		sides.all.push(
			{
				name: "Node",
				createSocket: dgram.createSocket,
				connect: net.connect,
				Agent: http.Agent,
				SecureAgent: https.Agent,
			},
			await sides.#library("no service", () => ({})),
			await sides.#library("gateway", () => ({ services: [SERVICE], controlPort: 1, questions: [20] })),
			await sides.#library("target", (peer) => ({
				services: [SERVICE],
				targets: TARGETS,
				controlPort: peer.controlPort,
				questions: [5000, 5000],
				probes: [5000, 5000],
				silence: 10_000,
			})),
		);
		return sides;
	}

	close(): void {
		for (const dialer of this.#dialers) dialer.close();
		for (const peer of this.#peers) peer.close();
	}

	/** Each peer has a control port of its own, and so options of its own. */
	async #library(name: string, options: (peer: Peer) => RedirectionOptions): Promise<Side> {
		const [echo, plain, secure] = this.#peers as [Peer, Peer, Peer];
		const redirections = await Promise.all(
			[echo, plain, secure].map(async (peer) => {
				const redirection = { ...options(peer), cache: new RedirectionCache() };
				if (name === "target") await bind(peer, redirection);
				return redirection;
			}),
		);
		const dialers = redirections.map((redirection) => new Dialer(redirection));
		this.#dialers.push(...dialers);
		const [forEcho, forPlain, forSecure] = dialers as [Dialer, Dialer, Dialer];
		return {
			name,
			createSocket: ((options: SocketType | SocketOptions, listener?: never) => {
				if (name === "no service" || (typeof options !== "object" && options !== "udp4" && options !== "udp6"))
					return createSocket(options as SocketType, listener);
				const redirection = redirections[0] as RedirectionOptions;
				return createSocket({ ...(typeof options === "object" ? options : { type: options }), redirection }, listener);
			}) as typeof dgram.createSocket,
			connect: ((...given: unknown[]) => {
				const [first, second] = given;
				if (name === "no service" || given.length === 0) return connect(...(given as Parameters<typeof connect>));
				const listener = given.find((one) => typeof one === "function") as () => void;
				if (typeof first === "object") return connect({ ...(first as net.NetConnectOpts), dialer: forEcho }, listener);
				if (!(Number(first) >= 0)) return connect({ path: first as string, dialer: forEcho }, listener);
				const host = typeof second === "string" ? { host: second } : {};
				return connect({ port: first as number, ...host, dialer: forEcho }, listener);
			}) as typeof net.connect,
			Agent: class extends RedirectedAgent {
				constructor(options: http.AgentOptions = {}) {
					super({ ...options, dialer: forPlain });
				}
			} as typeof http.Agent,
			SecureAgent: class extends RedirectedSecureAgent {
				constructor(options: https.AgentOptions = {}) {
					super({ ...options, dialer: forSecure });
				}
			} as typeof https.Agent,
		};
	}
}

/** Until the cache has a target that has answered, for datagrams and for connections. */
async function bind(peer: Peer, redirection: RedirectionOptions): Promise<void> {
	const socket = createSocket({ type: "udp4", redirection });
	const bound = new Promise((resolve) => socket.once("redirect", resolve));
	socket.send("bind", peer.port, SERVICE);
	await bound;
	await new Promise<void>((resolve) => socket.close(resolve));
	const dialer = new Dialer({ ...redirection, patience: 10_000 });
	(await dialer.dial({ port: peer.port, host: SERVICE })).destroy();
	dialer.close();
}
