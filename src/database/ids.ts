// ids.ts - numbers that stay: a service and a target are named by 16 bits in every session, so the same key keeps its
// number across reloads, and a number that was given up is the last to be given out again.
//
// Must never: give one number to two keys that are in use.

import { ShuntError } from "../errors.js";
import { TargetSetNames } from "./target-sets.js";

/** 0 means "none" in every table. */
const FIRST = 1;

/** 65,535 stands for the host itself in a backend's sessions. */
const MAX_TARGETS = 65_534;

const REMEDY = {
	services:
		"a configured service counts once for each of its addresses and protocols; divide the services among clusters",
	targets:
		"a backend counts once for every address, port and terms, and again for services that differ in more than name, address, port and sources; give services the same list of backends, name fewer backends in each, or divide the services among clusters",
} as const;

export class IdAllocator {
	readonly #what: keyof typeof REMEDY;
	readonly #limit: number;
	/** Every key that holds a number, those in use and those that are remembered. */
	#ids = new Map<string, number>();
	/** Keys not in use, the one longest unused first. */
	#unused = new Set<string>();
	#next = FIRST;

	constructor(what: keyof typeof REMEDY, limit = 65_535) {
		this.#what = what;
		this.#limit = limit;
	}

	/** Numbers for exactly these keys; every other key's number is kept for its return as long as there are fresh ones. */
	assign(keys: Iterable<string>): Map<string, number> {
		const wanted = new Set(keys);
		// Checked before anything changes: a configuration that is refused must not move the numbers of the one in use.
		if (wanted.size > this.#limit)
			throw new ShuntError("SHUNT_IDS_EXHAUSTED", {
				count: wanted.size,
				limit: this.#limit,
				what: this.#what,
				remedy: REMEDY[this.#what],
			});
		for (const key of this.#ids.keys()) {
			if (wanted.has(key)) this.#unused.delete(key);
			else this.#unused.add(key);
		}
		const assigned = new Map<string, number>();
		for (const key of wanted) assigned.set(key, this.#ids.get(key) ?? this.#take(key));
		return assigned;
	}

	/** The number of a key in use or remembered. */
	get(key: string): number | undefined {
		return this.#ids.get(key);
	}

	/** To be kept beside pinned tables, so that a restarted daemon names sessions alike. */
	toJSON(): { next: number; ids: [string, number][]; unused: string[] } {
		return { next: this.#next, ids: [...this.#ids], unused: [...this.#unused] };
	}

	static fromJSON(what: keyof typeof REMEDY, kept: ReturnType<IdAllocator["toJSON"]>, limit?: number): IdAllocator {
		const allocator = new IdAllocator(what, limit);
		allocator.#next = kept.next;
		allocator.#ids = new Map(kept.ids);
		allocator.#unused = new Set(kept.unused);
		return allocator;
	}

	#take(key: string): number {
		let id = this.#next;
		if (id <= this.#limit) {
			this.#next++;
		} else {
			// All numbers have been given out: the one longest unused. There is one, because wanted <= limit.
			const longest = this.#unused.values().next().value as string;
			id = this.#ids.get(longest)!;
			this.#unused.delete(longest);
			this.#ids.delete(longest);
		}
		this.#ids.set(key, id);
		return id;
	}
}

/** The allocators of one host; they live as long as its session table. */
export interface TableIds {
	readonly services: IdAllocator;
	readonly targets: IdAllocator;
	readonly sets: TargetSetNames;
	/** Of these allocators among all of this process: what was computed with the ids of others is not used. */
	readonly serial: number;
}

let serial = 0;

export function newTableIds(): TableIds {
	return {
		services: new IdAllocator("services"),
		targets: new IdAllocator("targets", MAX_TARGETS),
		sets: new TargetSetNames(),
		serial: ++serial,
	};
}

/** What another process has kept of its allocators. */
export interface KeptIds {
	readonly services: ReturnType<IdAllocator["toJSON"]>;
	readonly targets: ReturnType<IdAllocator["toJSON"]>;
	/** Absent: no service shared targets. */
	readonly sets?: ReturnType<TargetSetNames["toJSON"]>;
}

export function tableIdsOf({ services, targets, sets }: KeptIds): TableIds {
	return {
		services: IdAllocator.fromJSON("services", services),
		targets: IdAllocator.fromJSON("targets", targets, MAX_TARGETS),
		sets: sets === undefined ? new TargetSetNames() : TargetSetNames.fromJSON(sets),
		serial: ++serial,
	};
}
