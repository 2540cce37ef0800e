/**
 * Drift: what another member has other than this one, though both must have it alike.
 *
 * Owns: how it is named, and that its begin and its end are each reported once.
 * Must never: compare anything; gateway/drift.ts and backend/reporter.ts do.
 */
import type { MemberEvent } from "./role.js";

export interface Drift {
	/** A backend's name, or "the gateway at 10.77.2.2". */
	readonly member: string;
	readonly what: "clock" | "keys" | "configuration" | "version";
	/** A whole sentence without its full stop. */
	readonly text: string;
	/** Packets between the two do not pass while this lasts. */
	readonly unusable: boolean;
}

export class DriftEvents {
	readonly #emit: (event: MemberEvent) => void;
	/** By source, and in it by member and what. */
	#current = new Map<string, ReadonlyMap<string, Drift>>();

	constructor(emit: (event: MemberEvent) => void) {
		this.#emit = emit;
	}

	/** All that this source has found now: a backend, or a socket. */
	update(source: string, all: readonly Drift[]): void {
		const before = this.#current.get(source);
		if (all.length === 0 && before === undefined) return;
		const next = new Map(all.map((one) => [`${one.what} ${one.member}`, one]));
		for (const [key, { member, what, text }] of next)
			if (!before?.has(key)) this.#emit({ event: "drift", begins: true, member, what, text });
		for (const [key, { member, what }] of before ?? [])
			if (!next.has(key)) this.#emit({ event: "drift", begins: false, member, what, text: `${member} agrees again` });
		if (next.size === 0) this.#current.delete(source);
		else this.#current.set(source, next);
	}
}
