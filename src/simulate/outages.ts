// outages.ts - when backends of a run are dead: from the times of single deaths and returns, and from backends that flap.
//
// Owns: the notation of these times, and their order. Must never: know what follows from an outage.

import { ShuntError } from "../errors.js";

/** A backend is silent from one time to another: it answers no query and serves no packet. */
export interface Outage {
	/** From 0 on. */
	readonly backend: number;
	readonly fromS: number;
	/** Infinity: to the end. */
	readonly toS: number;
}

/** "b2@30s" */
export interface Moment {
	readonly backend: string;
	readonly atS: number;
}

/** "b3:10s/5s": it serves for a time and is dead for a time, again and again, from the begin of the run on. */
export interface Flap {
	readonly backend: string;
	readonly upS: number;
	readonly downS: number;
}

export interface Failures {
	readonly fail?: readonly Moment[] | undefined;
	readonly recover?: readonly Moment[] | undefined;
	readonly flap?: readonly Flap[] | undefined;
}

/** In the order of their begins. Throws SHUNT_USAGE. */
export function outagesOf({ fail = [], recover = [], flap = [] }: Failures, backends: number, timeS: number): Outage[] {
	const indexOf = (name: string, option: string): number => {
		const index = /^b([1-9][0-9]*)$/.test(name) ? Number(name.slice(1)) - 1 : Number.POSITIVE_INFINITY;
		if (index < backends) return index;
		const all = backends === 1 ? "the only backend is b1" : `the backends are b1 to b${backends}`;
		throw usage(`${option} ${name}: there is no such backend; ${all}.`);
	};
	const outages = flap.flatMap(({ backend, upS, downS }): Outage[] => {
		const index = indexOf(backend, "--flap");
		const count = Math.ceil(timeS / (upS + downS));
		return Array.from({ length: count }, (_, i) => {
			const fromS = i * (upS + downS) + upS;
			return { backend: index, fromS, toS: fromS + downS };
		});
	});
	const open = new Map<number, number>();
	const moments = [
		...fail.map((one) => ({ ...one, option: "--fail" })),
		...recover.map((one) => ({ ...one, option: "--recover" })),
	].sort((a, b) => a.atS - b.atS);
	for (const { backend, atS, option } of moments) {
		const index = indexOf(backend, option);
		const where = `${option} ${backend}@${atS}s`;
		if (flap.some((one) => one.backend === backend))
			throw usage(`${where}: ${backend} flaps; give either --flap or --fail and --recover.`);
		const since = open.get(index);
		if (option === "--fail") {
			if (since !== undefined) throw usage(`${where}: ${backend} is dead since ${since} s; let it recover before.`);
			open.set(index, atS);
		} else {
			if (since === undefined) throw usage(`${where}: ${backend} is not dead then; give --fail with an earlier time.`);
			open.delete(index);
			outages.push({ backend: index, fromS: since, toS: atS });
		}
	}
	for (const [backend, fromS] of open) outages.push({ backend, fromS, toS: Number.POSITIVE_INFINITY });
	return outages.filter(({ fromS }) => fromS < timeS).sort((a, b) => a.fromS - b.fromS);
}

function usage(what: string): ShuntError {
	return new ShuntError("SHUNT_USAGE", { what });
}
