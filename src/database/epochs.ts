// epochs.ts - when the sessions of a target choose anew.
//
// A session keeps the epoch that its target had when it was chosen; once the target's epoch differs, the session's next
// packet chooses again. The epoch moves when a target goes down: when it was active or draining and no longer is. It
// does not move when a target begins to drain, for to drain is to keep the sessions it has.
// Must never: forget a target that is gone; if it returns under its id, sessions from before must not be its own again.

import type { State } from "../config/index.js";

export interface TargetEpoch {
	/** 0..255, and round again. */
	readonly epoch: number;
	readonly state: State;
}

/** By target id. */
export type TargetEpochs = ReadonlyMap<number, TargetEpoch>;

/** The epochs after a change of states; a target that is not named is inactive. */
export function nextEpochs(previous: TargetEpochs | undefined, states: ReadonlyMap<number, State>): TargetEpochs {
	const next = new Map<number, TargetEpoch>();
	for (const id of new Set([...(previous?.keys() ?? []), ...states.keys()])) {
		const before = previous?.get(id);
		const state = states.get(id) ?? "inactive";
		const wentDown = before !== undefined && before.state !== "inactive" && state === "inactive";
		next.set(id, { epoch: ((before?.epoch ?? 0) + (wentDown ? 1 : 0)) % 256, state });
	}
	return next;
}
