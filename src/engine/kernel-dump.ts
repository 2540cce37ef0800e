// kernel-dump.ts - typed binding of the kernel's capture: packets before and after the packet program in XDP.
//
// Owns: the shape of what crosses, and names instead of numbers. What AF_PACKET captures is native.ts's CaptureStream.
// Must never: be open without a reader; while it is, every packet is copied for it.

import { ShuntError } from "../errors.js";
import { addon as loaded, reasonName, reasons, type Verdict } from "./addon.js";

export const XDP_ACTIONS = ["XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"] as const;
export type XdpAction = (typeof XDP_ACTIONS)[number];

/** Bytes of a packet that can be kept, at most. */
export const DUMP_BYTES_MOST = 2048;

export interface XdpProgram {
	readonly id: number;
	/** As the kernel keeps it, at most 15 characters. */
	readonly name: string;
	/** It is Shunt's packet program, or stands in for it. */
	readonly ours: boolean;
}

/** Fields that are not there match everything. Addresses are in mapped form, and so are numbers of bits: 120 is an IPv4 /24. */
export interface FlowFilter {
	/** Of the IP header; of an ICMP error, that of the packet which it quotes. */
	readonly protocol?: number;
	readonly source?: Buffer;
	readonly sourceBits?: number;
	readonly sourcePort?: number;
	readonly destination?: Buffer;
	readonly destinationBits?: number;
	readonly destinationPort?: number;
}

export interface KernelDumpOptions extends FlowFilter {
	/** One of the two: packets that come in by this interface, or all of one program. */
	readonly interface?: string;
	readonly programId?: number;
	/** Reasons by name; absent: all. */
	readonly reasons?: readonly string[];
	/** Packets a second, at most, and so many at once; absent: no cap. */
	readonly rate?: number;
	/** Bytes kept of each packet as it came, and as it left; at most DUMP_BYTES_MOST, which is the default. */
	readonly before?: number;
	readonly after?: number;
	/** Of the ring between kernel and reader, a power of two; default 1 MiB. */
	readonly ringBytes?: number;
	/** Absent: by probes, or, where the kernel refuses them, by a stand-in. */
	readonly way?: "probes" | "stand-in";
}

export interface DumpedFlow {
	readonly source: Buffer;
	readonly sourcePort: number;
	readonly destination: Buffer;
	readonly destinationPort: number;
	readonly protocol: number;
	readonly family: 4 | 6;
}

export interface DumpedBytes {
	/** On the wire; data may be shorter. */
	readonly length: number;
	readonly data: Buffer;
}

export interface DumpedPacket {
	/** Since 1970, as it left the packet program. */
	readonly timestampNs: bigint;
	readonly reason: string;
	readonly verdict: Verdict;
	readonly action: XdpAction;
	/** Ids; 0: none. Target 65535 is this host. */
	readonly target: number;
	readonly service: number;
	/** Numbers of the links; egress 0: it ended here. */
	readonly ingress: number;
	readonly egress: number;
	/** Receive queue. */
	readonly queue: number;
	/** As the client sent it, out of its tunnel on a backend; null: it is no IP packet. */
	readonly flow: DumpedFlow | null;
	readonly before: DumpedBytes;
	/** null: it ended here. */
	readonly after: DumpedBytes | null;
}

/** matched = packets read + suppressed + lost, and those that are still to be read. */
export interface DumpCounts {
	/** That came in while the capture ran. */
	readonly seen: number;
	readonly matched: number;
	/** By the cap. */
	readonly suppressed: number;
	/** The ring was full. */
	readonly lost: number;
}

export interface DumpRead {
	readonly packets: DumpedPacket[];
	/** Since the beginning. */
	readonly counts: DumpCounts;
	/** The one that is watched; it changes when a daemon puts another in its place. */
	readonly programId: number;
	/** This kernel refuses probes, so an instrumented copy of the program is attached instead of it. */
	readonly standIn: boolean;
	/** Why no more will come. */
	readonly ended?: string;
}

type RawPacket = Omit<DumpedPacket, "reason" | "verdict" | "action"> & { reason: number; action: number };

interface Addon {
	readonly KernelDump: new (
		options: Omit<KernelDumpOptions, "reasons"> & { reasons?: number[] },
	) => {
		read(options: { max?: number; timeoutMs?: number }): Promise<Omit<DumpRead, "packets"> & { packets: RawPacket[] }>;
		close(): void;
	};
	xdpProgram(at: { interface: string }): XdpProgram | null;
}

const addon = () => loaded<Addon>();

function failed(cause: unknown): ShuntError {
	if (cause instanceof ShuntError) return cause;
	return new ShuntError("SHUNT_ENGINE_FAILED", { step: "capturing", why: (cause as Error).message }, { cause });
}

/** What holds an interface's XDP hook; null: nothing does, or there is no such interface. */
export function xdpProgram(interfaceName: string): XdpProgram | null {
	return addon().xdpProgram({ interface: interfaceName });
}

/** Lifetime: construct (from then on packets are kept), read until it has ended, close (nothing is left in the kernel). */
export class KernelDump {
	readonly #dump: InstanceType<Addon["KernelDump"]>;

	constructor(options: KernelDumpOptions) {
		const { reasons: names, ...rest } = options;
		try {
			this.#dump = new (addon().KernelDump)(names === undefined ? rest : { ...rest, reasons: names.map(reasonNumber) });
		} catch (cause) {
			throw failed(cause);
		}
	}

	/** About `max` packets (default 64), waiting at most `timeoutMs` (default 100) for the first. One read at a time. */
	async read(options: { max?: number; timeoutMs?: number } = {}): Promise<DumpRead> {
		try {
			const { packets, ...rest } = await this.#dump.read(options);
			return { ...rest, packets: packets.map(named) };
		} catch (cause) {
			throw failed(cause);
		}
	}

	/** A read that is under way ends first. */
	close(): void {
		this.#dump.close();
	}
}

function reasonNumber(name: string): number {
	const number = reasons().findIndex((reason) => reason.name === name);
	if (number < 0) throw new Error(`there is no reason ${name}`);
	return number;
}

function named(packet: RawPacket): DumpedPacket {
	return {
		...packet,
		reason: reasonName(packet.reason),
		verdict: reasons()[packet.reason]?.verdict ?? "drop",
		action: XDP_ACTIONS[packet.action] ?? "XDP_ABORTED",
	};
}
