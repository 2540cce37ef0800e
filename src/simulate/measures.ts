// measures.ts - what a run is judged by: docs/balancing.md has each figure's meaning.
//
// Owns: the series, a value for each second, and the figures made of them.
// Must never: change anything that it looks at.

import type { Clients } from "./clients.js";
import { type Evenness, type Options, type Result, type Series, STEP_MS } from "./model.js";
import type { Receiver } from "./receiver.js";
import type { Servers } from "./servers.js";

const STEPS_PER_SECOND = 1000 / STEP_MS;
/** Clients asked about a change: one in so many, where there are more than these. */
const ASKED = 20_000;
const FLOWS_COMPARED = 64;

export class Measures {
	/** Live clients that send all their packets through a gateway. */
	unleased = 0;
	readonly #options: Options;
	readonly #servers: Servers;
	readonly #gateways: readonly Receiver[];
	readonly #clients: Clients;
	readonly #series: Series;
	readonly #settled: number;
	readonly #seconds: number;
	readonly #newByTarget: Float64Array;
	#came = 0;
	#gatewayPackets = 0;
	#secondsPackets = 0;
	#packets = { all: 0, gateway: 0 };
	#changes = 0;
	#left = 0;
	#necessary = 0;
	#elsewhere = 0;
	#asked = 0;
	#renewals = 0;
	#moved = 0;
	#published = 0;
	#rowsMoved = 0;
	#agreed = 0;
	#compared = 0;
	#silent: readonly number[] = [];
	#silentFrom = 0;
	#flow = 1;

	constructor(options: Options, servers: Servers, gateways: readonly Receiver[], clients: Clients) {
		this.#options = options;
		this.#servers = servers;
		this.#gateways = gateways;
		this.#clients = clients;
		this.#seconds = Math.floor(options.timeS);
		this.#settled = Math.min(this.#seconds - 1, Math.floor(options.settleS));
		const column = () => new Float32Array(this.#seconds).fill(Number.NaN);
		this.#newByTarget = new Float64Array(servers.sessions.length);
		this.#series = {
			loads: servers.names.map(column),
			mean: column(),
			maxOverMean: column(),
			gatewayShare: column(),
			newByTarget: Array.from({ length: servers.sessions.length }, column),
		};
	}

	came(target: number): void {
		this.#came++;
		this.#newByTarget[target]!++;
	}

	atGateway(packets: number): void {
		this.#gatewayPackets += packets;
	}

	renewed(moved: boolean): void {
		this.#renewals++;
		if (moved) this.#moved++;
	}

	silent(backends: readonly number[]): void {
		this.#silent = [...backends];
		// What was under way is still heard, and then believed for a while.
		this.#silentFrom = Math.ceil(this.#options.staleAtS);
	}

	/** Whom each of the clients asked would be sent to, if no session remembered it. */
	choices(): Uint16Array {
		const { used, gateway, first, second, target } = this.#clients;
		const every = Math.max(1, Math.floor(used / ASKED));
		const chosen = new Uint16Array(Math.ceil(used / every));
		for (let i = 0; i < chosen.length; i++) {
			const place = i * every;
			if (target[place] !== 0) chosen[i] = this.#gateways[gateway[place]!]!.choose(first[place]!, second[place]!);
		}
		return chosen;
	}

	changed(before: Uint16Array, left: number): void {
		const after = this.choices();
		this.#changes++;
		for (const [i, had] of before.entries()) {
			if (had === 0 || this.#servers.backendOf(had) === left) continue;
			this.#asked++;
			if (this.#servers.backendOf(had) !== this.#servers.backendOf(after[i]!)) this.#elsewhere++;
		}
	}

	necessary(moved: number): void {
		this.#left++;
		this.#necessary += moved;
	}

	/** At the end of each step. */
	step(now: number): void {
		const through = this.#gatewayPackets + (this.unleased * this.#options.packets) / STEPS_PER_SECOND;
		const all = Math.max(through, (this.#clients.live * this.#options.packets) / STEPS_PER_SECOND);
		this.#secondsPackets += all;
		this.#gatewayPackets = 0;
		this.#through += through;
		if ((now + 1) % STEPS_PER_SECOND === 0) this.#second((now + 1) / STEPS_PER_SECOND - 1);
	}
	#through = 0;

	#second(at: number): void {
		const { loads, mean, maxOverMean, gatewayShare, newByTarget } = this.#series;
		let sum = 0;
		let count = 0;
		let most = 0;
		for (let b = 0; b < loads.length; b++) {
			if (this.#servers.active[b] === 0) continue;
			const load = this.#servers.load(b, at + 1);
			loads[b]![at] = load;
			sum += load;
			count++;
			most = Math.max(most, load);
		}
		mean[at] = count === 0 ? Number.NaN : sum / count;
		maxOverMean[at] = sum === 0 ? Number.NaN : most / (sum / count);
		gatewayShare[at] = this.#secondsPackets === 0 ? Number.NaN : this.#through / this.#secondsPackets;
		for (let t = 1; t < newByTarget.length; t++) newByTarget[t]![at] = this.#newByTarget[t]!;
		this.#newByTarget.fill(0);
		if (at === this.#settled - 1) {
			this.#published = this.#sum(({ published }) => published);
			this.#rowsMoved = this.#sum(({ rowsMoved }) => rowsMoved);
		}
		if (at >= this.#settled) {
			this.#packets.all += this.#secondsPackets;
			this.#packets.gateway += this.#through;
			this.#compare();
		}
		this.#secondsPackets = 0;
		this.#through = 0;
	}

	#compare(): void {
		const [one, ...others] = this.#gateways;
		for (let i = 0; i < FLOWS_COMPARED && others.length > 0; i++) {
			// A generator of its own: how much is compared must not change the run.
			this.#flow = Math.imul(this.#flow, 1_664_525) + 1_013_904_223;
			const first = this.#flow >>> 0;
			const second = Math.imul(first ^ 0x5bd1e995, 0x9e3779b1) >>> 0;
			const other = others[i % others.length]!;
			this.#compared++;
			if (one!.choose(first, second) === other.choose(first, second)) this.#agreed++;
		}
	}

	#sum(of: (gateway: Receiver) => number): number {
		return this.#gateways.reduce((sum, gateway) => sum + of(gateway), 0);
	}

	result(): Result {
		const minutes = (this.#seconds - this.#settled) / 60;
		const perMinute = (now: number, before: number) => (now - before) / minutes / this.#gateways.length;
		const rows = Math.max(1, this.#gateways[0]!.rows.length);
		const measured = this.#series.mean.subarray(this.#settled);
		const swing = swings(this.#series, this.#settled);
		const sessions =
			this.#clients.live /
			Math.max(
				1,
				this.#servers.active.reduce((sum, one) => sum + one, 0),
			);
		return {
			options: this.#options,
			clients: this.#came,
			live: this.#clients.live,
			load: average(measured),
			balance: this.#balance(),
			oscillation: {
				...swing,
				noise: sessions === 0 ? 0 : 1 / Math.sqrt(sessions),
				publishedPerMinute: perMinute(
					this.#sum(({ published }) => published),
					this.#published,
				),
				rowsMovedPerMinute:
					perMinute(
						this.#sum(({ rowsMoved }) => rowsMoved),
						this.#rowsMoved,
					) / rows,
			},
			disruption: {
				changes: this.#changes,
				necessary: this.#left === 0 ? 0 : this.#necessary / this.#left,
				elsewhere: this.#asked === 0 ? 0 : this.#elsewhere / this.#asked,
				movedAtRenewal: this.#renewals === 0 ? 0 : this.#moved / this.#renewals,
				renewals: this.#renewals,
			},
			gatewayShare: this.#packets.all === 0 ? 0 : this.#packets.gateway / this.#packets.all,
			agreement: this.#compared === 0 ? 1 : this.#agreed / this.#compared,
			links: this.#links(),
			stale: this.#stale(),
			series: this.#series,
		};
	}

	#balance(): Result["balance"] {
		const { loads, maxOverMean } = this.#series;
		let deviation = 0;
		let seconds = 0;
		for (let at = this.#settled; at < this.#seconds; at++) {
			const one = evenness(loads.map((column) => column[at]!));
			if (Number.isNaN(one.deviation)) continue;
			deviation += one.deviation;
			seconds++;
		}
		const measured = maxOverMean.subarray(this.#settled);
		return {
			now: { max: average(measured), deviation: seconds === 0 ? Number.NaN : deviation / seconds },
			worst: measured.reduce((most, one) => Math.max(most, Number.isNaN(one) ? 0 : one), 0),
			// Over the mean of that second, so that a backend that came late is compared with what there was then.
			lasting: evenness(
				loads.map((column) => average(column.subarray(this.#settled).map((load, i) => load / this.#mean(i)))),
			),
		};
	}

	#mean(i: number): number {
		return this.#series.mean[this.#settled + i]!;
	}

	#links(): Result["links"] {
		const { links, bytes, clients, timeS, backends } = this.#options;
		if (links.length < 2) return [];
		const perLink = links.map((_, link) => {
			let sum = 0;
			for (let b = 0; b < backends; b++)
				for (const one of this.#series.newByTarget[this.#servers.targetOf(b, link)]!.subarray(this.#settled))
					sum += one;
			return sum;
		});
		const all = perLink.reduce((sum, one) => sum + one, 0);
		const rooms = links.map((link) =>
			link.downFromS === undefined ? Math.max(0, link.speedBps - (link.foreign?.bps ?? 0)) / link.cost : 0,
		);
		const room = rooms.reduce((sum, one) => sum + one, 0);
		const oursBps = (8 * bytes * clients) / timeS / backends;
		return links.map((link, i) => ({
			share: perLink[i]! / Math.max(1, all),
			headroom: rooms[i]! / room,
			use: ((link.foreign?.bps ?? 0) + (oursBps * perLink[i]!) / Math.max(1, all)) / link.speedBps,
		}));
	}

	#stale(): Result["stale"] {
		const from = this.#silentFrom;
		if (this.#silent.length === 0 || from >= this.#seconds) return null;
		const of = (b: number) => {
			let sum = 0;
			for (let link = 0; link < this.#servers.perBackend; link++)
				for (const one of this.#series.newByTarget[this.#servers.targetOf(b, link)]!.subarray(from)) sum += one;
			return sum;
		};
		const each = this.#servers.names.map((_, b) => of(b));
		const mean = each.reduce((sum, one) => sum + one, 0) / each.length;
		const theirs = this.#silent.map((b) => each[b]! / mean);
		return { share: average(theirs), most: Math.max(...theirs) };
	}
}

/** Without those that are not there. */
function evenness(loads: readonly number[]): Evenness {
	const there = loads.filter((load) => !Number.isNaN(load));
	const mean = average(there);
	if (there.length === 0 || mean === 0) return { max: Number.NaN, deviation: Number.NaN };
	const variance = there.reduce((sum, load) => sum + (load - mean) ** 2, 0) / there.length;
	return { max: Math.max(...there) / mean, deviation: Math.sqrt(variance) / mean };
}

function average(values: ArrayLike<number>): number {
	let sum = 0;
	let count = 0;
	for (let i = 0; i < values.length; i++) {
		if (Number.isNaN(values[i]!)) continue;
		sum += values[i]!;
		count++;
	}
	return count === 0 ? Number.NaN : sum / count;
}

/** Of each backend's load over the mean of that second, less its own straight line: how far it swings, and how often. */
function swings({ loads, mean }: Series, from: number): { amplitude: number; signChangesPerMinute: number } {
	let squares = 0;
	let count = 0;
	let changes = 0;
	for (const column of loads) {
		const points: [number, number][] = [];
		for (let at = from; at < column.length; at++) {
			const value = column[at]! / mean[at]!;
			if (Number.isFinite(value)) points.push([at, value]);
		}
		if (points.length < 3) continue;
		const middle = points.reduce((sum, [at]) => sum + at, 0) / points.length;
		const level = points.reduce((sum, [, value]) => sum + value, 0) / points.length;
		const spread = points.reduce((sum, [at]) => sum + (at - middle) ** 2, 0);
		const slope = points.reduce((sum, [at, value]) => sum + (at - middle) * (value - level), 0) / spread;
		let before = 0;
		for (const [at, value] of points) {
			const rest = value - level - slope * (at - middle);
			squares += rest * rest;
			count++;
			if (before * rest < 0) changes++;
			if (rest !== 0) before = rest;
		}
	}
	return {
		amplitude: count === 0 ? 0 : Math.sqrt(squares / count),
		signChangesPerMinute: count === 0 ? 0 : (changes / count) * 60,
	};
}
