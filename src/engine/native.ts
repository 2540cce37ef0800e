// native.ts - the typed door to the native addon.
//
// Owns: loading it, and the shape of everything that crosses: tables go down; counters, sessions and packets for people
// come up. Nothing here runs per packet.
// Must never: know what the numbers mean for a cluster; that is for gateway/ and backend/.
//
// Addresses are 16-byte buffers (IPv4 in mapped form), ports are numbers in host order, times carry their unit in their
// name. What the addon refuses is thrown as ShuntError("SHUNT_ENGINE_FAILED") with one sentence; which argument was
// wrong stands in it.

import { ShuntError } from "../errors.js";
import type { TableSet } from "../policy/index.js";
import { addon as loaded, reasonName } from "./addon.js";
import { type Counters, LOCAL_TARGET, Statistics, type StatisticsMemory } from "./statistics.js";

export interface WorkerOptions {
	/** To capture from; or */
	readonly interface?: string;
	/** a pcap file, whose timestamps are then the clock. */
	readonly file?: string;
	/** Bytes captured of each packet; default all. */
	readonly snaplen?: number;
	/** Of the kernel's ring; default 64 MiB. */
	readonly bufferBytes?: number;
	/** How long a worker spins before it sleeps, and SO_BUSY_POLL where the driver can; default 0. */
	readonly busyPollUs?: number;
	/** Group (0..65535) that all workers on one interface share, so that each gets a part of the flows. */
	readonly fanout?: number;
	/** Pin to this processor. */
	readonly cpu?: number;
	/** Also take frames for other stations' MAC addresses; default false. */
	readonly anyStation?: boolean;
	/** A backend: also see what this host sends there, which keeps sessions alive; default false. */
	readonly sent?: boolean;
}

export interface EngineOptions {
	/** Capacity in records; the table is made so large that it is reached at 85 % occupancy. */
	readonly sessions4?: number;
	readonly sessions6?: number;
	/** Datagrams whose fragments are under way at once. */
	readonly fragments?: number;
	readonly workers: readonly WorkerOptions[];
	/** Default sendmmsg. */
	readonly transmit?: "ring" | "sendmmsg" | "pcap";
	/** Past the queueing discipline of the links that are sent on: faster, and unshaped. */
	readonly qdiscBypass?: boolean;
	/** Write every frame into this pcap file instead of sending it; one worker only. */
	readonly outputFile?: string;
	/** Descriptor of a tun device without packet information, which gets delivered packets. It stays the caller's. */
	readonly tun?: number;
	/** A worker has ended by itself: its file is at its end (problem ""), or its interface is gone. */
	readonly onEnd?: (worker: number, problem: string) => void;
}

/** The packet program in XDP. */
export interface KernelEngineOptions {
	readonly interfaces: readonly string[];
	/** native: in the driver. generic: in the kernel's receive path, which any interface can. */
	readonly mode: "native" | "generic";
	/** A folder in a BPF file system: what is there is taken over, and goes on when this process ends. Absent: all ends. */
	readonly pins?: string;
	/** Take up no sessions from there: nobody knows any more what their numbers mean. */
	readonly fresh?: boolean;
	/** A backend: also see what leaves by the interfaces, which keeps sessions alive; default false. */
	readonly sent?: boolean;
	/** Capacity, as of the user-space engine. */
	readonly sessions4?: number;
	readonly sessions6?: number;
	readonly fragments?: number;
	/** A program other than the one that the addon carries. */
	readonly objectFile?: string;
}

/** What the kernel's engine alone knows. */
export interface KernelState {
	readonly links: readonly {
		readonly interface: string;
		readonly mode: "native" | "generic";
		/** false: the interface has gone, or somebody has taken the program off. */
		readonly attached: boolean;
	}[];
	/** Sessions of an earlier process have been taken up. */
	readonly adopted: boolean;
	readonly programId: number;
	/** Why packets that a driver does not take are not counted as lost; "": they are. */
	readonly unwatched: string;
	/** Why what this host sends keeps no session alive though it was asked for; "": it does. */
	readonly unsent: string;
}

export interface SweepResult {
	/** The bucket to go on from; 0: this pass over the table is complete. */
	readonly next: number;
	/** Of this slice: records left, freed because idle too long, freed because the flow stood there twice. */
	readonly live: number;
	readonly expired: number;
	readonly duplicates: number;
}

/** Of the last complete pass of sweeps, by service id or by target id, 65536 entries each. */
export interface SessionCounts {
	/** Records. */
	readonly services: Uint32Array;
	readonly targets: Uint32Array;
	/** By service id: different senders of a service whose sessions are counted by sender (`countSources`), 0 for others. An
	 * estimate (HyperLogLog): its standard error is 1.6 %, and less for small numbers. */
	readonly sources: Uint32Array;
	/** By target id: its different pairs of such a service and a sender, likewise. */
	readonly targetSources: Uint32Array;
	/** By target id: artificial sessions (R10): of services counted by flow their records, of the others targetSources. */
	readonly targetSessions: Uint32Array;
}

/** What one slice of a removal came to. */
export interface RemoveResult {
	/** The bucket to go on from; 0: the whole table has been walked. */
	readonly next: number;
	readonly removed: number;
}

export interface SessionTable {
	/** IPv4's and IPv6's together, on the one scale that sweep() and sessions() use. */
	readonly buckets: number;
	/** Slots for records. */
	readonly records4: number;
	readonly records6: number;
	/** Of both families together: so many sessions are there before the first is evicted. */
	readonly capacity: number;
}

/** Fields that are not there match everything. */
export interface SessionFilter {
	readonly service?: number;
	readonly target?: number;
	/** Any of these (and that one); nothing matches an empty list. */
	readonly targets?: readonly number[];
	readonly source?: Buffer;
	readonly sourcePort?: number;
	readonly idleAtLeastMs?: number;
}

export interface SessionRow {
	readonly source: Buffer;
	readonly sourcePort: number;
	/** A service's id. */
	readonly service: number;
	/** A target's id; 65535: this host (a backend's own record). */
	readonly target: number;
	readonly family: 4 | 6;
	/** More than one packet came. */
	readonly proven: boolean;
	readonly idleMs: number;
}

export interface FlowKey {
	readonly source: Buffer;
	readonly sourcePort: number;
	readonly destination: Buffer;
	readonly destinationPort: number;
	/** 6 or 17. */
	readonly protocol: number;
	readonly family: 4 | 6;
}

export interface Explanation {
	/** The number of the reason by which the flow's next packet would leave, if it is well formed and fits the link. */
	readonly reason: number;
	/** What the destination is here: 1 a service's address, 2 this host's own, or-ed. */
	readonly own: number;
	/** Id; 0: none. */
	readonly service: number;
	/** Id of the target the packet would go to; 0: none. */
	readonly target: number;
	/** What the session table holds for the flow. */
	readonly session?: {
		readonly target: number;
		readonly idleMs: number;
		readonly expired: boolean;
		readonly proven: boolean;
	};
	/** What the tables would choose for it without a session. */
	readonly choice?: {
		readonly redirection: number;
		readonly row: number;
		readonly rows: number;
		/** 0: none. */
		readonly target: number;
		/** Of that target, 0 to FULL_LOAD. */
		readonly load: number;
		/** Where the redirection chooses by load: what was weighed against it, and lost. */
		readonly other?: { readonly row: number; readonly target: number; readonly load: number };
		/** Of the rule that named the source; absent: the service's own redirection. */
		readonly prefix?: Buffer;
		/** Of the mapped form: an IPv4 /24 is 120. */
		readonly prefixLength?: number;
	};
}

export interface FileRunOptions {
	/** Run the kernel's program, by BPF_PROG_TEST_RUN, instead of the one in user space; needs root. */
	readonly kernel?: boolean;
	/** Tables, each from the packet with index `at` on; by rising `at`. */
	readonly steps: readonly { readonly at?: number; readonly tables: TableSet }[];
	/** pcap, Ethernet. The clock is its timestamps, in nanoseconds; wallOffsetNs 0n makes it the wall clock too. */
	readonly input: string;
	/** What is sent on any link: pcap, Ethernet, nanoseconds, with the input's timestamps. */
	readonly output?: string;
	/** What is delivered out of the tunnel: pcap, raw IP. */
	readonly inner?: string;
	readonly sessions4?: number;
	readonly sessions6?: number;
	readonly fragments?: number;
	/** Indices of packets that the host sends, rising: a backend's session table sees them, and that is all. */
	readonly sent?: readonly number[];
	/** Ask `explain` about each packet's flow, just before the packet. */
	readonly explain?: boolean;
}

export interface FileRunResult {
	readonly counters: Counters;
	/** By target id: packets and bytes as sent; only those that are not 0. */
	readonly targets: Map<number, { packets: number; bytes: number }>;
	/** Of each packet, in order: its reason's name; of one that the host sends what it did to its session: "sent: nothing",
	 * "sent: renewed" or "sent: made". */
	readonly reasons: string[];
	/** Of each packet, in order: the id of the target that it was for; 0: none. */
	readonly packetTargets: Uint16Array;
	/** With `explain`: what it said of each packet. No reason where a packet is no flow's next one: malformed, a later
	 * fragment, an ICMP error. */
	readonly explained?: { readonly reasons: (string | undefined)[]; readonly targets: Uint16Array };
	/** What the session table holds at the end; idle as of the last packet. */
	readonly sessions: SessionRow[];
}

export interface InjectOptions {
	readonly interface: string;
	/** Ethernet frames, sent in turn. */
	readonly frames: readonly Buffer[];
	/** At least one of the two bounds. */
	readonly count?: number;
	readonly seconds?: number;
	/** More than 1: UDP or TCP source port and address run through so many flows, with right checksums. */
	readonly flows?: number;
	/** Default: as fast as the interface takes them. */
	readonly pps?: number;
	/** Default sendmmsg. */
	readonly transmit?: "ring" | "sendmmsg" | "pcap";
	/** Default true. */
	readonly qdiscBypass?: boolean;
}

export interface InjectResult {
	/** Taken by the interface. */
	readonly sent: number;
	/** Not taken, for want of room, and not sent again. */
	readonly full: number;
	/** Refused by the kernel: malformed, or the link is down. */
	readonly refused: number;
	readonly seconds: number;
}

export interface CaptureOptions {
	/** One of the two. */
	readonly interface?: string;
	readonly file?: string;
	/** As of pcap-filter(7). */
	readonly filter?: string;
	readonly snaplen?: number;
	readonly promiscuous?: boolean;
}

export interface CapturedPacket {
	/** Since 1970. */
	readonly timestampNs: bigint;
	/** On the wire; data may be shorter. */
	readonly length: number;
	readonly data: Buffer;
}

interface AddonEngine {
	publish(tables: TableSet): string[];
	start(): void;
	stop(): void;
	statistics(): StatisticsMemory;
	sweep(slice: { from: number; buckets: number }): SweepResult;
	sessionCounts(): SessionCounts;
	sessionTable(): SessionTable;
	sessions(filter: SessionFilter & { limit?: number; from?: number }): { rows: SessionRow[]; next: number };
	removeSessions(filter: SessionFilter & { from?: number; buckets?: number }): RemoveResult;
	explain(flow: FlowKey): Explanation;
	retiredTables(): number;
	kernel(): KernelState | undefined;
	pinProgram(path: string): void;
}

interface AddonCapture {
	read(options: { max?: number; timeoutMs?: number }): Promise<{ packets: CapturedPacket[]; ended: boolean }>;
	close(): void;
	linktype(): number;
	dropped(): number;
}

/** What shunt.node exports, of what this file uses. */
interface Addon {
	readonly Engine: new (options: EngineOptions | { kernel: KernelEngineOptions }) => AddonEngine;
	pinnedMode(pins: string, interfaceName: string): "native" | "generic" | undefined;
	readonly CaptureStream: new (options: CaptureOptions) => AddonCapture;
	runFile(options: FileRunOptions): {
		statistics: StatisticsMemory;
		reasons: Buffer;
		packetTargets: Uint16Array;
		explainedReasons?: Buffer;
		explainedTargets?: Uint16Array;
		sessions: SessionRow[];
	};
	inject(options: InjectOptions): Promise<InjectResult>;
}

const addon = () => loaded<Addon>();

function attempt<T>(step: string, act: () => T): T {
	try {
		return act();
	} catch (cause) {
		if (cause instanceof ShuntError) throw cause;
		throw new ShuntError("SHUNT_ENGINE_FAILED", { step, why: (cause as Error).message }, { cause });
	}
}

async function attemptLater<T>(step: string, act: () => Promise<T>): Promise<T> {
	try {
		return await act();
	} catch (cause) {
		if (cause instanceof ShuntError) throw cause;
		throw new ShuntError("SHUNT_ENGINE_FAILED", { step, why: (cause as Error).message }, { cause });
	}
}

/** A packet engine, in user space or, with `kernel`, in XDP. Lifetime: construct, publish, start, stop. All calls but publish
 * at most once. */
export class NativeEngine {
	readonly statistics: Statistics;
	readonly #engine: AddonEngine;

	/** Opens every interface; nothing is forwarded before start(). */
	constructor(options: EngineOptions | { kernel: KernelEngineOptions }) {
		this.#engine = attempt("opening", () => new (addon().Engine)(options));
		this.statistics = new Statistics(this.#engine.statistics());
	}

	/** Puts a whole set of tables in force between two packets. Returns a sentence for each link that can't be sent on;
	 * packets for targets behind it are counted as transmit_failed. */
	publish(tables: TableSet): string[] {
		return attempt("publishing tables", () => this.#engine.publish(tables));
	}

	/** Starts the workers. */
	start(): void {
		attempt("starting", () => this.#engine.start());
	}

	/** Stops the workers and waits for them: at most a batch each. Counters and sessions stay readable. */
	stop(): void {
		this.#engine.stop();
	}

	/** Ages a slice of the session table: `buckets` of them from bucket `from`. */
	sweep(from: number, buckets: number): SweepResult {
		return attempt("aging sessions", () => this.#engine.sweep({ from, buckets }));
	}

	sessionCounts(): SessionCounts {
		return this.#engine.sessionCounts();
	}

	sessionTable(): SessionTable {
		return this.#engine.sessionTable();
	}

	/** At most about `limit` sessions (default 1000) from bucket `from` on; `next` is where to go on, 0 at the end. */
	sessions(filter: SessionFilter & { limit?: number; from?: number } = {}): { rows: SessionRow[]; next: number } {
		return attempt("listing sessions", () => this.#engine.sessions(filter));
	}

	/** Ends every session that matches, of `buckets` (default about a millisecond's) from bucket `from` on: the whole table
	 * may have millions, and the event loop wants its turn. */
	removeSessions(filter: SessionFilter & { from?: number; buckets?: number }): RemoveResult {
		return attempt("removing sessions", () => this.#engine.removeSessions(filter));
	}

	/** What would happen to a flow's next packet, by the packet program's own look-ups; changes nothing. */
	explain(flow: FlowKey): Explanation {
		return attempt("explaining", () => this.#engine.explain(flow));
	}

	/** undefined: this is the user-space engine. */
	kernel(): KernelState | undefined {
		return this.#engine.kernel();
	}

	/** Pins the kernel's program in a BPF file system, for another program that measures it. */
	pinProgram(path: string): void {
		attempt("pinning", () => this.#engine.pinProgram(path));
	}

	/** Sets of tables that a worker may still be reading; 0 soon after a publish. */
	retiredTables(): number {
		return this.#engine.retiredTables();
	}
}

/** In which mode a program is attached to this interface by what is pinned in this folder; undefined: nothing is. */
export function pinnedMode(pins: string, interfaceName: string): "native" | "generic" | undefined {
	return addon().pinnedMode(pins, interfaceName);
}

/** Instead of reasons, in native/user/run_file.h. */
const FIRST_SENT = 250;
const SENT = ["sent: nothing", "sent: renewed", "sent: made"];

/** Runs a pcap file through the packet program, each packet at its own time; every call starts from nothing. */
export function runFile(options: FileRunOptions): FileRunResult {
	const raw = attempt("running a file", () => addon().runFile(options));
	const statistics = new Statistics(raw.statistics);
	const targets = new Map<number, { packets: number; bytes: number }>();
	for (let id = 1; id <= LOCAL_TARGET; id++) {
		const count = statistics.target(id);
		if (count.packets > 0) targets.set(id, count);
	}
	return {
		counters: statistics.counters(),
		targets,
		reasons: [...raw.reasons].map((number) => SENT[number - FIRST_SENT] ?? reasonName(number)),
		packetTargets: raw.packetTargets,
		...(raw.explainedReasons && raw.explainedTargets
			? {
					explained: {
						reasons: [...raw.explainedReasons].map((number) => (number === 255 ? undefined : reasonName(number))),
						targets: raw.explainedTargets,
					},
				}
			: {}),
		sessions: raw.sessions,
	};
}

/** Sends frames on an interface, as fast as it takes them unless a rate is given. */
export function inject(options: InjectOptions): Promise<InjectResult> {
	return attemptLater("injecting", () => addon().inject(options));
}

/** Captured packets for people, by libpcap: live with a filter, or from a file. */
export class CaptureStream {
	readonly #capture: AddonCapture;

	constructor(options: CaptureOptions) {
		this.#capture = attempt("capturing", () => new (addon().CaptureStream)(options));
	}

	/** At most `max` packets (default 64), waiting at most `timeoutMs` (default 100) for the first. `ended`: the file is
	 * at its end. One read at a time. */
	read(options: { max?: number; timeoutMs?: number } = {}): Promise<{ packets: CapturedPacket[]; ended: boolean }> {
		return attemptLater("capturing", () => this.#capture.read(options));
	}

	/** The DLT_ value of its packets: 1 Ethernet, 12 or 101 raw IP, 113 and 276 Linux cooked. */
	get linktype(): number {
		return this.#capture.linktype();
	}

	/** By the kernel, for want of room. */
	get dropped(): number {
		return this.#capture.dropped();
	}

	close(): void {
		this.#capture.close();
	}
}
