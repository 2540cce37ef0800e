/**
 * The way of probes' packets: encapsulated like a client's to one backend, and back as direct server return brings them,
 * to this gateway's own address.
 *
 * The kernel of a gateway takes an answer from a service address for a martian, or drops it by its firewall: answers are
 * captured before that.
 *
 * Owns: the sockets that send, the captures, and which source port is for which backend.
 * Must never: send a packet whose source port is not that of a probe.
 */
import { createSocket, type Socket } from "node:dgram";
import { type Config, parseAddress } from "../../config/index.js";
import { CaptureStream } from "../../engine/index.js";
import { decodeFrame, encodeGeneve, encodeHeader, FLAG, signHeader, tagFlow } from "../../wire/index.js";

/** Source ports of probes. No service of the gateway's own host talks with a service address from outside. */
export const FIRST_PORT = 20_000;
export const PORTS = 20_000;

export interface Destination {
	/** Of the backend: where header and packet go. */
	readonly address: string;
	readonly port: number;
	/** What answers come from: "203.0.113.53 53". */
	readonly service: string;
}

export interface TunnelOptions {
	readonly interfaces: readonly string[];
	/** This gateway's own, that probes are sent from. */
	readonly addresses: readonly string[];
	/** That this gateway sends the tunnel from; of a family without one, the route decides. */
	readonly sources: readonly string[];
	readonly cluster: () => Config["cluster"];
	/** By source port. */
	readonly destination: (port: number) => Destination | undefined;
	/** An answer: an IP packet. */
	readonly received: (packet: Uint8Array) => void;
	readonly warn: (problem: string) => void;
}

export class ProbeTunnel {
	readonly #options: TunnelOptions;
	readonly #sockets: Record<4 | 6, Socket>;
	readonly #captures: CaptureStream[];
	#closed = false;

	constructor(options: TunnelOptions) {
		this.#options = options;
		this.#sockets = { 4: this.#open(4), 6: this.#open(6) };
		const to = options.addresses.map((address) => `dst host ${address}`).join(" or ");
		const filter = `(tcp or udp) and dst portrange ${FIRST_PORT}-${FIRST_PORT + PORTS - 1} and (${to})`;
		this.#captures = options.interfaces.map((name) => new CaptureStream({ interface: name, filter }));
		for (const capture of this.#captures) void this.#capture(capture);
	}

	send(packet: Uint8Array): void {
		const cluster = this.#options.cluster();
		const { ip } = decodeFrame(packet, { link: "ip" });
		const flow = ip === undefined ? undefined : tagFlow(ip, packet);
		const to = flow === undefined ? undefined : this.#options.destination(flow.sourcePort);
		const key = cluster.keys.find(({ id }) => id === cluster.signKey);
		const target = to === undefined ? undefined : parseAddress(to.address);
		if (flow === undefined || to === undefined || key === undefined || target === undefined) return;
		const header = {
			type: "forward",
			flags: target.family === 6 ? FLAG.ipv6 : 0,
			port: to.port,
			lease: 0,
			hops: 0,
			keyId: key.id,
			issued: Math.floor(Date.now() / 1000) >>> 0,
			nonce: 0n,
			address: target.bytes,
		} as const;
		const signed = encodeHeader(signHeader(header, flow, Buffer.from(key.secret, "hex")));
		const datagram = Buffer.concat([encodeGeneve(signed, flow.family), packet]);
		this.#sockets[target.family].send(datagram, cluster.tunnelPort, to.address, () => {});
	}

	close(): void {
		this.#closed = true;
		for (const socket of Object.values(this.#sockets)) socket.close();
	}

	/** Bound to a configured address; where this host does not have it, to none. */
	#open(family: 4 | 6, bound = true): Socket {
		const socket = createSocket({ type: `udp${family}`, ipv6Only: family === 6 }).unref();
		const address = this.#options.sources.find((one) => (one.includes(":") ? 6 : 4) === family);
		socket.on("error", () => {
			if (!bound || address === undefined || this.#closed || this.#sockets[family] !== socket) return;
			this.#sockets[family] = this.#open(family, false);
			socket.close();
		});
		if (bound && address !== undefined) socket.bind({ address });
		return socket;
	}

	async #capture(capture: CaptureStream): Promise<void> {
		try {
			while (!this.#closed) {
				const { packets, ended } = await capture.read();
				for (const { data } of packets) this.#received(data, capture.linktype);
				if (ended) break;
			}
		} catch (error) {
			if (!this.#closed) this.#options.warn(`answers to probes cannot be captured: ${(error as Error).message}`);
		}
		capture.close();
	}

	#received(frame: Buffer, linktype: number): void {
		const ethernet = linktype === 1;
		const { ip, vlans = [] } = decodeFrame(frame, { link: ethernet ? "ethernet" : "ip" });
		const ports = ip?.udp ?? ip?.tcp;
		if (ip === undefined || ports === undefined) return;
		const at = ethernet ? 14 + 4 * vlans.length : 0;
		const packet = frame.subarray(at, at + ip.length);
		const to = this.#options.destination(ports.destinationPort);
		if (to?.service === `${ip.source} ${ports.sourcePort}`) this.#options.received(packet);
	}
}
