// measures.ts - records what happens in a run: counters, and a series with a value for each second.
//
// Owns: the counters and the series. figures.ts computes the result from them.
// Must never: change what it observes.

import type { Clients } from "./clients.js";
import { FailureMeasures } from "./failure-measures.js";
import { balanceFigures, linkFigures, staleFigures, swings } from "./figures.js";
import { type Options, type Result, type Series, STEP_MS } from "./model.js";
import type { Receiver } from "./receiver.js";
import type { Servers } from "./servers.js";
import { average } from "./statistics.js";

const STEPS_PER_SECOND = 1000 / STEP_MS;
/** Clients sampled at a change of backends; of more clients, every n-th. */
const SAMPLED_CLIENTS = 20_000;
/** Flows per second for which the gateways' choices are compared. */
const COMPARED_FLOWS = 64;

export class Measures {
	/** Live clients without a lease: all their packets pass a gateway. */
	unleased = 0;
	readonly failures: FailureMeasures | undefined;
	readonly #options: Options;
	readonly #servers: Servers;
	readonly #gateways: readonly Receiver[];
	readonly #clients: Clients;
	readonly #series: Series;
	/** The first second that is measured. */
	readonly #measuredFrom: number;
	readonly #seconds: number;
	readonly #newByTarget: Float64Array;
	#arrivals = 0;
	/** Packets of leased clients that pass a gateway in this step. */
	#leasedPackets = 0;
	/** Packets of this second: all of them, and those that pass a gateway. */
	#secondPackets = { all: 0, gateway: 0 };
	/** The same of all measured seconds. */
	#measuredPackets = { all: 0, gateway: 0 };
	#changes = 0;
	#departures = 0;
	#movedByDepartures = 0;
	#movedElsewhere = 0;
	#sampled = 0;
	#renewals = 0;
	#movedAtRenewal = 0;
	#publishedBefore = 0;
	#rowsMovedBefore = 0;
	#agreed = 0;
	#compared = 0;
	#staleBackends: readonly number[] = [];
	#staleFrom = 0;
	#comparedFlow = 1;

	constructor(options: Options, servers: Servers, gateways: readonly Receiver[], clients: Clients) {
		this.#options = options;
		this.#servers = servers;
		this.#gateways = gateways;
		this.#clients = clients;
		this.failures = options.outages.length === 0 ? undefined : new FailureMeasures(options, servers, clients, gateways);
		this.#seconds = Math.floor(options.timeS);
		this.#measuredFrom = Math.min(this.#seconds - 1, Math.floor(options.settleS));
		const column = () => new Float32Array(this.#seconds).fill(Number.NaN);
		this.#newByTarget = new Float64Array(servers.sessions.length);
		this.#series = {
			loads: servers.names.map(column),
			mean: column(),
			maxOverMean: column(),
			gatewayShare: column(),
			newByTarget: Array.from({ length: servers.sessions.length }, column),
			lost: new Float32Array(this.#seconds),
		};
	}

	/** A client has arrived and was sent to `target`. */
	arrival(target: number): void {
		this.#arrivals++;
		this.#newByTarget[target]!++;
	}

	/** A leased client has sent packets through a gateway. */
	packetsAtGateway(packets: number): void {
		this.#leasedPackets += packets;
	}

	renewal(moved: boolean): void {
		this.#renewals++;
		if (moved) this.#movedAtRenewal++;
	}

	reportsStopped(backends: readonly number[]): void {
		this.#staleBackends = [...backends];
		// Reports in flight still arrive, and are believed for a while.
		this.#staleFrom = Math.ceil(this.#options.staleAtS);
	}

	/** The targets of the sampled clients if no session remembered them; 0: no client at this place. */
	choices(): Uint16Array {
		const { used, gateway, first, second, target } = this.#clients;
		const every = Math.max(1, Math.floor(used / SAMPLED_CLIENTS));
		const chosen = new Uint16Array(Math.ceil(used / every));
		for (let i = 0; i < chosen.length; i++) {
			const place = i * every;
			if (target[place] !== 0) chosen[i] = this.#gateways[gateway[place]!]!.choose(first[place]!, second[place]!);
		}
		return chosen;
	}

	/** A backend has left or joined. `before`: choices() before it; `departed`: the backend, or -1. */
	backendsChanged(before: Uint16Array, departed: number): void {
		const after = this.choices();
		this.#changes++;
		for (const [i, previous] of before.entries()) {
			if (previous === 0 || this.#servers.backendOf(previous) === departed) continue;
			this.#sampled++;
			if (this.#servers.backendOf(previous) !== this.#servers.backendOf(after[i]!)) this.#movedElsewhere++;
		}
	}

	/** A backend has left, and `moved` sessions with it. */
	departure(moved: number): void {
		this.#departures++;
		this.#movedByDepartures += moved;
	}

	/** At the end of each step. */
	step(now: number): void {
		const gateway = this.#leasedPackets + (this.unleased * this.#options.packets) / STEPS_PER_SECOND;
		const all = Math.max(gateway, (this.#clients.live * this.#options.packets) / STEPS_PER_SECOND);
		this.#leasedPackets = 0;
		this.#secondPackets.all += all;
		this.#secondPackets.gateway += gateway;
		this.failures?.step(now, this.#series.lost);
		if ((now + 1) % STEPS_PER_SECOND === 0) this.#endSecond((now + 1) / STEPS_PER_SECOND - 1);
	}

	#endSecond(at: number): void {
		const { loads, mean, maxOverMean, gatewayShare, newByTarget } = this.#series;
		const packets = this.#secondPackets;
		let sum = 0;
		let count = 0;
		let most = 0;
		for (let b = 0; b < loads.length; b++) {
			if (this.#servers.active[b] === 0 || this.#servers.alive[b] === 0) continue;
			const load = this.#servers.load(b, at + 1);
			loads[b]![at] = load;
			sum += load;
			count++;
			most = Math.max(most, load);
		}
		mean[at] = count === 0 ? Number.NaN : sum / count;
		maxOverMean[at] = sum === 0 ? Number.NaN : most / (sum / count);
		gatewayShare[at] = packets.all === 0 ? Number.NaN : packets.gateway / packets.all;
		for (let t = 1; t < newByTarget.length; t++) newByTarget[t]![at] = this.#newByTarget[t]!;
		this.#newByTarget.fill(0);
		if (at === this.#measuredFrom - 1) {
			this.#publishedBefore = this.#sum(({ published }) => published);
			this.#rowsMovedBefore = this.#sum(({ rowsMoved }) => rowsMoved);
		}
		if (at >= this.#measuredFrom) {
			this.#measuredPackets.all += packets.all;
			this.#measuredPackets.gateway += packets.gateway;
			this.#compareGateways();
		}
		this.#secondPackets = { all: 0, gateway: 0 };
	}

	/** Whether the gateways choose alike, for some flows. */
	#compareGateways(): void {
		const [one, ...others] = this.#gateways;
		for (let i = 0; i < COMPARED_FLOWS && others.length > 0; i++) {
			// A generator of its own: the number of comparisons must not change the run.
			this.#comparedFlow = Math.imul(this.#comparedFlow, 1_664_525) + 1_013_904_223;
			const first = this.#comparedFlow >>> 0;
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
		const measuredFrom = this.#measuredFrom;
		const minutes = (this.#seconds - measuredFrom) / 60;
		const perMinute = (total: number, before: number) => (total - before) / minutes / this.#gateways.length;
		const published = this.#sum((gateway) => gateway.published);
		const rowsMoved = this.#sum((gateway) => gateway.rowsMoved);
		const rows = Math.max(1, this.#gateways[0]!.rows.length);
		const activeBackends = this.#servers.active.reduce((sum, one) => sum + one, 0);
		const sessions = this.#clients.live / Math.max(1, activeBackends);
		return {
			options: this.#options,
			clients: this.#arrivals,
			live: this.#clients.live,
			load: average(this.#series.mean.subarray(measuredFrom)),
			balance: balanceFigures(this.#series, measuredFrom),
			oscillation: {
				...swings(this.#series, measuredFrom),
				noise: sessions === 0 ? 0 : 1 / Math.sqrt(sessions),
				publishedPerMinute: perMinute(published, this.#publishedBefore),
				rowsMovedPerMinute: perMinute(rowsMoved, this.#rowsMovedBefore) / rows,
			},
			disruption: {
				changes: this.#changes,
				necessary: part(this.#movedByDepartures, this.#departures),
				elsewhere: part(this.#movedElsewhere, this.#sampled),
				movedAtRenewal: part(this.#movedAtRenewal, this.#renewals),
				renewals: this.#renewals,
			},
			gatewayShare: part(this.#measuredPackets.gateway, this.#measuredPackets.all),
			agreement: this.#compared === 0 ? 1 : this.#agreed / this.#compared,
			links: linkFigures(this.#series, this.#options, this.#servers, measuredFrom),
			stale: staleFigures(this.#series, this.#servers, this.#staleBackends, this.#staleFrom),
			failures: this.failures?.result(this.#series) ?? null,
			series: this.#series,
		};
	}
}

function part(some: number, all: number): number {
	return all === 0 ? 0 : some / all;
}
