// peer.ts - a gateway and its backends on loopback, for the library's sockets: real datagrams, real connections, real
// tags.
//
// Owns: a gateway's answers by docs/protocol.md, as far as a client sees them. The lab has the real gateway.
// Must never: be more tolerant than a gateway: a wrong ticket is a capability, a short query gets no answer.

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { createServer, type Server } from "node:net";
import {
	type About,
	CONTROL_SIZE,
	decodeControl,
	encodeControl,
	encodeHeader,
	FLAG,
	type Flow,
	type Header,
	headerTag,
	parseAddress,
	signHeader,
} from "../../src/wire/index.js";

const KEY = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");
export const SERVICE = "127.0.0.53";
export const TARGETS = ["127.0.0.0/8"];
const bytes = (text: string) => parseAddress(text) as Uint8Array;

export interface Terms {
	flags: number;
	lease: number;
}
export const LEASED = (lease: number): Terms => ({ flags: FLAG.redirect | FLAG.leased, lease });

export interface PeerOptions {
	/** Default: the server's name and the request. */
	readonly answer?: (name: string, request: Buffer) => string | Buffer;
	/** A server for TCP instead of the one that answers so. */
	readonly createServer?: (name: string) => Server;
}

export class Peer {
	/** Of the service, the same number for UDP and TCP, and at every backend. */
	port = 0;
	controlPort = 0;
	terms: Terms = LEASED(60);
	/** The targets that redirects name, in order of failures. */
	order = ["127.0.0.11", "127.0.0.12"];
	/** Backends that do not answer datagrams, and reset connections. */
	readonly dead = new Set<string>();
	/** Types of the queries that the gateway received, and how many requests it served itself. */
	readonly queries: string[] = [];
	served = 0;
	/** Rewrites an answer before it is sent; undefined: it is not sent. */
	rewrite: (header: Header) => Header | undefined = (header) => header;
	/** The gateway does not answer queries. */
	silent = false;
	readonly #sockets: Socket[] = [];
	readonly #servers: Server[] = [];
	/** The gateway's control socket, for unsolicited answers. */
	control!: Socket;
	#lastClient: RemoteInfo | undefined;

	/** What a server answers to a request. */
	readonly #answer: (name: string, request: Buffer) => string | Buffer;
	readonly #createServer: ((name: string) => Server) | undefined;

	constructor({ answer = (name, request) => `${name} ${request}`, createServer }: PeerOptions = {}) {
		this.#answer = answer;
		this.#createServer = createServer;
	}

	static async start(options: PeerOptions = {}): Promise<Peer> {
		const peer = new Peer(options);
		const first = await peer.#udp(SERVICE, 0, (message, from, socket) => {
			peer.served++;
			socket.send(peer.#answer("gateway", message), from.port, from.address);
		});
		peer.port = first.address().port;
		peer.control = await peer.#udp(SERVICE, 0, (message, from) => peer.#query(message, from));
		peer.controlPort = peer.control.address().port;
		await peer.#tcp(SERVICE, "gateway");
		for (const address of ["127.0.0.11", "127.0.0.12", "127.0.0.13"]) await peer.backend(address);
		return peer;
	}

	async backend(address: string): Promise<void> {
		await this.#udp(address, this.port, (message, from, socket) => {
			if (this.dead.has(address)) return;
			const control = decodeControl(message);
			if (control?.header.ok && control.about && control.header.header.type === "probe") {
				const { header } = control.header;
				if (!this.#right(header, control.about)) return;
				const ack = { ...header, type: "probe-ack" as const, flags: header.flags & ~FLAG.alternative, issued: now() };
				const signed = signHeader(ack, { ...this.#flow(control.about), sourcePort: from.port }, KEY);
				socket.send(encodeControl(encodeHeader(signed), control.about), from.port, from.address);
			} else socket.send(this.#answer(address, message), from.port, from.address);
		});
		await this.#tcp(address, address);
	}

	/** A header of the gateway's, signed. */
	redirect(fields: Partial<Header>, about: About): Header {
		const header = {
			type: "redirect" as const,
			...{ flags: this.terms.flags, lease: this.terms.lease, port: this.port, hops: 0, keyId: 1 },
			...{ issued: now(), nonce: 0n, address: bytes(this.order[0] as string) },
			...fields,
		};
		return signHeader(header, this.#flow(about), KEY);
	}

	/** To the client of the last query. */
	send(header: Header, about: About): void {
		const to = this.#lastClient as RemoteInfo;
		this.control.send(encodeControl(encodeHeader(header), about), to.port, to.address);
	}

	close(): void {
		for (const socket of this.#sockets) socket.close();
		for (const server of this.#servers) {
			server.close();
			(server as { closeAllConnections?: () => void }).closeAllConnections?.();
		}
	}

	#query(message: Buffer, from: RemoteInfo): void {
		const control = decodeControl(message);
		if (this.silent || message.length < CONTROL_SIZE || !control?.header.ok || control.about === undefined) return;
		if (control.about.port !== this.port) return; // no service
		const { header } = control.header;
		this.#lastClient = from;
		this.queries.push(header.type);
		const failed = header.type === "failure" && this.#right(header, control.about);
		const next = failed ? this.order.indexOf(textOf(header.address)) + 1 : 0;
		const target = this.order[next];
		const fields: { -readonly [K in keyof Header]?: Header[K] } = { nonce: header.nonce };
		if (failed) Object.assign(fields, { flags: this.terms.flags | FLAG.failure, hops: header.hops + 1 });
		if (target === undefined) Object.assign(fields, { flags: 0, address: bytes(SERVICE) });
		else fields.address = bytes(target);
		const answer = this.rewrite(this.redirect(fields, control.about));
		if (answer !== undefined)
			this.control.send(
				encodeControl(encodeHeader(answer), control.about, undefined, CONTROL_SIZE),
				from.port,
				from.address,
			);
	}

	#flow(about: About): Flow {
		return {
			family: 4,
			source: bytes("127.0.0.1"),
			destination: about.address,
			sourcePort: 0,
			destinationPort: about.port,
			protocol: about.protocol,
		};
	}

	#right(header: Header, about: About): boolean {
		return headerTag(header, this.#flow(about), KEY) === header.tag;
	}

	#udp(
		address: string,
		port: number,
		take: (message: Buffer, from: RemoteInfo, socket: Socket) => void,
	): Promise<Socket> {
		const socket = createSocket("udp4");
		this.#sockets.push(socket);
		socket.on("message", (message, from) => take(message, from, socket));
		return new Promise((resolve, reject) => {
			socket.once("error", reject);
			socket.bind(port, address, () => resolve(socket));
		});
	}

	#tcp(address: string, name: string): Promise<void> {
		const server =
			this.#createServer?.(name) ??
			createServer((socket) => {
				if (this.dead.has(address)) {
					socket.resetAndDestroy();
					return;
				}
				if (address === SERVICE) this.served++;
				socket.on("error", () => {});
				socket.on("data", (data) => socket.write(this.#answer(name, data)));
				socket.on("end", () => socket.end());
			});
		this.#servers.push(server);
		return new Promise((resolve, reject) => {
			server.once("error", reject);
			server.listen(this.port, address, resolve);
		});
	}

	/** From now on, this backend refuses connections. */
	refuse(address: string): Promise<void> {
		const server = this.#servers.find((one) => (one.address() as { address: string } | null)?.address === address);
		return new Promise((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
	}

	/** From now on, this backend's host refuses datagrams. */
	leave(address: string): Promise<void> {
		const socket = this.#sockets.find((one) => one.address().address === address);
		this.#sockets.splice(this.#sockets.indexOf(socket as Socket), 1);
		return new Promise((resolve) => (socket as Socket).close(() => resolve()));
	}
}

const now = () => Math.floor(Date.now() / 1000);
const textOf = (address: Uint8Array) => address.subarray(12).join(".");
