// failure-measures.ts - records what dead backends cost in a run: detection, moved sessions, changes of tables, lost packets,
// and what a backend gets when it returns.
//
// Owns: these counters, and their figures. Must never: change what it observes.

import type { Clients } from "./clients.js";
import { type FailureFigures, type Options, type Series, STEP_MS } from "./model.js";
import type { Published, Receiver } from "./receiver.js";
import type { Servers } from "./servers.js";
import { average } from "./statistics.js";

const STEPS_PER_SECOND = 1000 / STEP_MS;
/** Parts of the slow start for which the share of a returned backend is shown, and one after it. */
const RETURN_PARTS = 6;
/** Time after a return in which a backend's greatest load is searched. */
const AFTER_RETURN_S = 60;

export class FailureMeasures {
	readonly #options: Options;
	readonly #servers: Servers;
	readonly #clients: Clients;
	readonly #gateways: readonly Receiver[];
	/** By backend: the step of its death; -1: it lives. */
	readonly #diedAt: Int32Array;
	/** By backend: the gateways that have found its present outage. */
	readonly #foundBy: Set<number>[];
	#outages = 0;
	#harmless = 0;
	#foundByAll = 0;
	#foundMs: number[] = [];
	#late = 0;
	#moved = 0;
	#movedAlive = 0;
	/** By gateway: the steps of its changes. */
	readonly #changes: number[][];
	#rows = 0;
	#elsewhere = 0;
	#firstStep = -1;
	#lost = 0;
	#packets = 0;
	/** Of the present second. */
	#second = { lost: 0, packets: 0 };
	#panicSteps = 0;
	/** Returns, as the first gateway's tables have them. */
	readonly #returns: { readonly backend: number; readonly step: number }[] = [];

	constructor(options: Options, servers: Servers, clients: Clients, gateways: readonly Receiver[]) {
		this.#options = options;
		this.#servers = servers;
		this.#clients = clients;
		this.#gateways = gateways;
		this.#diedAt = new Int32Array(servers.names.length).fill(-1);
		this.#foundBy = servers.names.map(() => new Set());
		this.#changes = gateways.map(() => []);
	}

	died(backend: number, step: number): void {
		if (this.#firstStep < 0) this.#firstStep = step;
		this.#outages++;
		if (this.#gateways.every((gateway) => gateway.isOut(backend))) this.#harmless++;
		this.#diedAt[backend] = step;
		this.#foundBy[backend]!.clear();
	}

	revived(backend: number): void {
		this.#diedAt[backend] = -1;
	}

	/** A gateway has published for a change of health, or for a step of a slow start. */
	published(gateway: number, { gone, back, rows, elsewhere }: Published, step: number): void {
		for (const backend of this.#backends(gone)) {
			const diedAt = this.#diedAt[backend]!;
			const foundBy = this.#foundBy[backend]!;
			if (diedAt < 0) this.#late++;
			else if (!foundBy.has(gateway)) {
				foundBy.add(gateway);
				this.#foundMs.push((step - diedAt) * STEP_MS);
				if (foundBy.size === this.#gateways.length) this.#foundByAll++;
			}
		}
		if (gateway === 0 && !this.#gateways[0]!.observer!.panic)
			for (const backend of this.#backends(back)) this.#returns.push({ backend, step });
		if (rows === 0) return;
		this.#changes[gateway]!.push(step);
		this.#rows += rows;
		this.#elsewhere += elsewhere;
	}

	/** Sessions of this target have chosen anew. */
	moved(target: number, sessions: number): void {
		this.#moved += sessions;
		if (this.#diedAt[this.#servers.backendOf(target)]! < 0) this.#movedAlive += sessions;
	}

	/** At the end of each step. */
	step(now: number, lost: Float32Array): void {
		const perSession = this.#options.packets / STEPS_PER_SECOND;
		let dead = 0;
		for (const [backend, diedAt] of this.#diedAt.entries()) {
			if (diedAt < 0) continue;
			for (let link = 0; link < this.#servers.perBackend; link++)
				dead += this.#servers.sessions[this.#servers.targetOf(backend, link)]!;
		}
		this.#second.lost += dead * perSession;
		this.#second.packets += this.#clients.live * perSession;
		if (this.#gateways.some(({ observer }) => observer!.panic)) this.#panicSteps++;
		if ((now + 1) % STEPS_PER_SECOND !== 0) return;
		const second = this.#second;
		lost[(now + 1) / STEPS_PER_SECOND - 1] = second.packets === 0 ? 0 : second.lost / second.packets;
		this.#lost += second.lost;
		this.#packets += second.packets;
		this.#second = { lost: 0, packets: 0 };
	}

	result(series: Series): FailureFigures | null {
		if (this.#firstStep < 0) return null;
		const changes = this.#changes.reduce((sum, one) => sum + one.length, 0);
		const minutes = (this.#options.timeS - this.#firstStep / STEPS_PER_SECOND) / 60;
		const rows = Math.max(1, changes * this.#gateways[0]!.rows.length);
		return {
			outages: this.#outages,
			harmless: this.#harmless,
			found: this.#foundByAll,
			foundMs: {
				mean: this.#foundMs.length === 0 ? 0 : average(this.#foundMs),
				most: Math.max(0, ...this.#foundMs),
			},
			late: this.#late,
			moved: this.#moved,
			movedAlive: this.#movedAlive,
			changesPerMinute: changes / this.#gateways.length / minutes,
			mostChangesPerMinute: Math.max(...this.#changes.map(mostInAMinute)),
			rowsChanged: this.#rows / rows,
			rowsElsewhere: this.#elsewhere / rows,
			lost: Math.round(this.#lost),
			packets: Math.round(this.#packets),
			panicS: this.#panicSteps / STEPS_PER_SECOND,
			...this.#returnFigures(series),
		};
	}

	#returnFigures({ loads, mean, newByTarget }: Series): Pick<FailureFigures, "returnShares" | "returnMost"> {
		const part = this.#options.health.slowStartMs / 1000 / (RETURN_PARTS - 1);
		const shares: number[][] = Array.from({ length: RETURN_PARTS }, () => []);
		let most = 0;
		for (const { backend, step } of this.#returns) {
			const first = Math.ceil(step / STEPS_PER_SECOND);
			for (let at = first; at < Math.min(first + AFTER_RETURN_S, mean.length); at++) {
				if (Number.isNaN(loads[backend]![at]!)) break; // it is dead again
				most = Math.max(most, loads[backend]![at]! / mean[at]!);
				const serving = loads.reduce((count, column) => count + (Number.isNaN(column[at]!) ? 0 : 1), 0);
				const all = newByTarget.reduce((sum, column) => sum + (column[at]! || 0), 0);
				const index = part > 0 ? Math.floor((at - first) / part) : RETURN_PARTS;
				if (index < RETURN_PARTS && all > 0)
					shares[index]!.push((this.#newOf(newByTarget, backend, at) * serving) / all);
			}
		}
		return { returnShares: shares.filter((one) => one.length > 0).map(average), returnMost: most };
	}

	#newOf(newByTarget: Series["newByTarget"], backend: number, at: number): number {
		let sum = 0;
		for (let link = 0; link < this.#servers.perBackend; link++)
			sum += newByTarget[this.#servers.targetOf(backend, link)]![at]!;
		return sum;
	}

	#backends(targets: readonly number[]): Set<number> {
		return new Set(targets.map((target) => this.#servers.backendOf(target)));
	}
}

/** Of steps in ascending order. */
function mostInAMinute(steps: readonly number[]): number {
	let most = 0;
	let first = 0;
	for (const [i, step] of steps.entries()) {
		while (steps[first]! <= step - 60 * STEPS_PER_SECOND) first++;
		most = Math.max(most, i - first + 1);
	}
	return most;
}
