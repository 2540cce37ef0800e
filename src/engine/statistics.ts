// statistics.ts - counters in memory that the packet path writes: reading them costs no call into native code.
//
// Owns: the sums. native/datapath/statistics.h has the order, the addon tells where each counter stands; one block for each
// worker, or in the kernel for each processor.

import { addon, reasons } from "./addon.js";

/** A snapshot of counters, one worker's or the sum of all. Conserved: packetsIn = sum over reasons of packets. */
export interface Counters {
	packetsIn: number;
	bytesIn: number;
	/** By the kernel, for want of room: never seen by a worker. */
	captureDropped: number;
	batches: number;
	/** Times a worker had nothing to do and slept. */
	waits: number;
	/** Times the interface was found down. */
	linkDown: number;
	/** Frames for other stations, passed over; not part of packetsIn. */
	notForUs: number;
	/** Forwarded packets that a link's driver then did not take (only the kernel's engine learns of it so late). */
	lost: number;
	/** A backend's own packets, none of packetsIn: those that kept a session alive, and those of them that made one. */
	sent: number;
	sentMade: number;
	/** Redirects that a backend sent to its clients, in a reply or beside it; and those that it could not send. */
	told: number;
	untold: number;
	/** By reason's name; only those that are not 0. Bytes are as they came. */
	reasons: Record<string, { packets: number; bytes: number }>;
}

export type WorkerState = "created" | "running" | "ended" | "failed";
const WORKER_STATES: readonly WorkerState[] = ["created", "running", "ended", "failed"];

/** Offsets in a worker's block, in words of 64 bits. Packets and bytes stand side by side. */
interface Layout {
	readonly packetsIn: number;
	readonly bytesIn: number;
	readonly state: number;
	readonly captureDropped: number;
	readonly batches: number;
	readonly waits: number;
	readonly linkDown: number;
	readonly notForUs: number;
	readonly lostPackets: number;
	readonly sentPackets: number;
	readonly sentMade: number;
	readonly told: number;
	readonly untold: number;
	/** Pairs, by the reason's number. */
	readonly reasons: number;
	/** The pair of SH_TARGET_LOCAL. */
	readonly local: number;
	/** Pairs, by the target's id. */
	readonly targets: number;
}

/** A target's id that stands for this host (tables.h, SH_TARGET_LOCAL). */
export const LOCAL_TARGET = 65_535;

/** Packets that a worker counts at once: so many are in one of its counters and not yet in the other. */
const BATCH = 256;
/** Of counters that differ while no packet comes, before they are reported as different. */
const READINGS = 5;

function left({ reasons }: Pick<Counters, "reasons">): number {
	return Object.values(reasons).reduce((sum, { packets }) => sum + packets, 0);
}

/** What the addon hands over: the memory, and the words of each block. */
export interface StatisticsMemory {
	readonly memory: ArrayBuffer;
	readonly stride: number;
	readonly workers: number;
}

export class Statistics {
	readonly #words: BigUint64Array;
	readonly #layout: Layout;
	readonly #stride: number;
	/** Blocks: workers, or in the kernel processors. */
	readonly workers: number;

	constructor({ memory, stride, workers }: StatisticsMemory) {
		this.#words = new BigUint64Array(memory);
		this.#layout = addon<{ readonly statisticsLayout: Layout }>().statisticsLayout;
		this.#stride = stride;
		this.workers = workers;
	}

	/** Of one worker, or of all together. */
	counters(worker?: number): Counters {
		const at = this.#layout;
		const result: Counters = {
			packetsIn: this.#sum(at.packetsIn, worker),
			bytesIn: this.#sum(at.bytesIn, worker),
			captureDropped: this.#sum(at.captureDropped, worker),
			batches: this.#sum(at.batches, worker),
			waits: this.#sum(at.waits, worker),
			linkDown: this.#sum(at.linkDown, worker),
			notForUs: this.#sum(at.notForUs, worker),
			lost: this.#sum(at.lostPackets, worker),
			sent: this.#sum(at.sentPackets, worker),
			sentMade: this.#sum(at.sentMade, worker),
			told: this.#sum(at.told, worker),
			untold: this.#sum(at.untold, worker),
			reasons: {},
		};
		reasons().forEach(({ name }, number) => {
			const packets = this.#sum(at.reasons + 2 * number, worker);
			if (packets > 0) result.reasons[name] = { packets, bytes: this.#sum(at.reasons + 2 * number + 1, worker) };
		});
		return result;
	}

	/** All counters, and whether each packet that came has left under a reason. The memory is written while it is read: what
	 * differs is read again, and while packets come, the reasons are compared with those that came before and after. */
	accounted(read: () => Counters = () => this.counters()): {
		readonly counters: Counters;
		readonly conserved: boolean;
	} {
		const slack = this.workers * BATCH;
		let before = read();
		for (let reading = 0; ; reading++) {
			const counters = read();
			const still = before.packetsIn === counters.packetsIn && left(before) === left(counters);
			const conserved = still
				? left(counters) === counters.packetsIn
				: left(before) <= counters.packetsIn + slack && before.packetsIn <= left(counters) + slack;
			if (conserved || reading === READINGS) return { counters, conserved };
			before = counters;
		}
	}

	/** Packets forwarded to a target, and bytes as sent. */
	target(id: number): { packets: number; bytes: number } {
		const at = id === LOCAL_TARGET ? this.#layout.local : this.#layout.targets + 2 * id;
		// An engine that was made for few targets has no counters for others.
		if (id !== LOCAL_TARGET && at + 1 >= this.#stride) return { packets: 0, bytes: 0 };
		return { packets: this.#sum(at), bytes: this.#sum(at + 1) };
	}

	state(worker: number): WorkerState {
		return WORKER_STATES[this.#sum(this.#layout.state, worker)] ?? "failed";
	}

	#sum(offset: number, worker?: number): number {
		let sum = 0n;
		const first = worker ?? 0;
		const last = worker ?? this.workers - 1;
		for (let i = first; i <= last; i++) sum += this.#words[i * this.#stride + offset] ?? 0n;
		return Number(sum);
	}
}
