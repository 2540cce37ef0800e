// servers.ts - the backends of a run: their sessions, their loads and their reports.
//
// Owns: sessions by target, which backends are active, and each one's smoothed load. A target is a backend's address on
// one of its links. Must never: choose a target, or know of a gateway.

import { smoothed, totalLoad } from "../policy/index.js";
import type { Link, Options } from "./model.js";
import type { Random } from "./random.js";

/** Sessions of the weakest backend. Large, as in practice: one session is a small part of it. */
const CAPACITY = 1000;

export interface Report {
	readonly total: number;
	readonly links: readonly { readonly up: boolean; readonly speedBps: number; readonly usedBps: number }[];
}

export class Servers {
	readonly names: readonly string[];
	readonly capacity: Float64Array;
	readonly weight: Float64Array;
	/** addresses[backend][link] */
	readonly addresses: readonly (readonly string[])[];
	readonly active: Uint8Array;
	/** 0: it is dead; it has its sessions until they end or move. */
	readonly alive: Uint8Array;
	/** By target id, from 1 on. */
	readonly sessions: Int32Array;
	readonly perBackend: number;
	readonly #total: (number | undefined)[];
	readonly #options: Options;
	/** Bits per second of one session. */
	readonly #sessionBps: number;

	constructor(options: Options, random: Random) {
		const { backends, unequal, weighed } = options;
		this.#options = options;
		this.perBackend = Math.max(1, options.links.length);
		this.names = Array.from({ length: backends }, (_, i) => `b${i + 1}`);
		this.capacity = new Float64Array(backends);
		this.weight = new Float64Array(backends).fill(1);
		for (let i = 0; i < backends; i++) {
			const stronger = backends === 1 ? 1 : unequal ** (i / (backends - 1));
			this.capacity[i] = CAPACITY * stronger;
			if (weighed) this.weight[i] = stronger;
		}
		// Shuffled, so that the capacity does not follow the name.
		for (let i = backends - 1; i > 0; i--) {
			const j = random.below(i + 1);
			for (const column of [this.capacity, this.weight]) [column[i], column[j]] = [column[j]!, column[i]!];
		}
		this.addresses = this.names.map((_, b) =>
			Array.from({ length: this.perBackend }, (_, link) => `10.${1 + link}.${b >> 8}.${b & 255}`),
		);
		this.active = new Uint8Array(backends).fill(1);
		this.alive = new Uint8Array(backends).fill(1);
		this.sessions = new Int32Array(1 + backends * this.perBackend);
		this.#total = Array(backends).fill(undefined);
		this.#sessionBps = (options.bytes * 8) / options.lifeS;
	}

	backendOf(target: number): number {
		return Math.floor((target - 1) / this.perBackend);
	}

	targetOf(backend: number, link: number): number {
		return 1 + backend * this.perBackend + link;
	}

	/** The current load without smoothing, by which balance is judged. */
	load(backend: number, nowS: number): number {
		let udpSessions = 0;
		for (let link = 0; link < this.perBackend; link++) udpSessions += this.sessions[this.targetOf(backend, link)]!;
		const used = this.#options.links.map((one, link) => this.#used(backend, link, one, nowS) / one.speedBps);
		return totalLoad(
			{
				udpSessions,
				tcpSessions: 0,
				capacity: this.capacity[backend]!,
				cpu: null,
				link: used.length === 0 ? null : Math.max(...used),
			},
			this.#options.load,
		);
	}

	/** A backend that returns has forgotten its past load. */
	revive(backend: number): void {
		this.alive[backend] = 1;
		this.#total[backend] = undefined;
	}

	/** Called once a period. */
	report(backend: number, nowS: number): Report {
		const { reportMs, smoothMs } = this.#options.load;
		const total = smoothed(this.#total[backend], this.load(backend, nowS), reportMs, smoothMs);
		this.#total[backend] = total;
		return {
			total,
			links: this.#options.links.map((link, i) => ({
				up: nowS < (link.downFromS ?? Number.POSITIVE_INFINITY),
				speedBps: link.speedBps,
				usedBps: this.#used(backend, i, link, nowS),
			})),
		};
	}

	/** At most the link's speed. */
	#used(backend: number, i: number, link: Link, nowS: number): number {
		const foreign = link.foreign !== undefined && nowS >= link.foreign.fromS ? link.foreign.bps : 0;
		return Math.min(link.speedBps, foreign + this.sessions[this.targetOf(backend, i)]! * this.#sessionBps);
	}
}
