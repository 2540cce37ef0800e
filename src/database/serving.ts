/**
 * Which targets of a redirection serve, by health, and when health is not believed.
 *
 * Owns: the panic threshold: if less than a share of a redirection's active backends are usable, all of them are used. A
 * fault of the observer (its own link, its clock) looks like the death of all backends; and where all are dead, there
 * is nothing to lose. A service that refuses rather than guesses (`fail: refuse`) has no such threshold.
 * Must never: make a target active that its configuration or its uplink makes inactive.
 */
import type { ServiceHealth, State } from "../config/index.js";
import type { Target } from "./lookup.js";

/** By target key: the state that its health imposes. A target without an entry is usable. */
export type ImposedStates = ReadonlyMap<string, "draining" | "inactive">;

export function serving<T extends Pick<Target, "key" | "backend" | "state">>(
	targets: readonly T[],
	imposed: ImposedStates,
	{ fail, panic: threshold }: Pick<ServiceHealth, "fail" | "panic">,
): { readonly panic: boolean; readonly targets: readonly T[] } {
	if (imposed.size === 0) return { panic: false, targets };
	const all = new Set<string>();
	const usable = new Set<string>();
	for (const { key, backend, state } of targets) {
		if (state !== "active") continue;
		all.add(backend);
		if (!imposed.has(key)) usable.add(backend);
	}
	const panic = fail === "open" && all.size > 0 && (usable.size === 0 || usable.size < all.size * threshold);
	/** That the only backend is used, healthy or not, is no news. */
	const reported = panic && all.size > 1;
	if (panic) return { panic: reported, targets };
	return {
		panic: false,
		targets: targets.map((target): T => ({ ...target, state: worse(target.state, imposed.get(target.key)) })),
	};
}

/** A target's state in all redirections that it is in. */
export interface MergedState {
	/** Moves its epoch. */
	readonly worst: State;
	/** What the packet program sees: it takes no inactive target, though a redirection in panic has rows of it. */
	readonly published: State;
}

/** By target key, of targets that each stand once for each of their redirections. */
export function mergedStates(targets: Iterable<Target>): ReadonlyMap<string, MergedState> {
	const merged = new Map<string, MergedState>();
	for (const { key, state } of targets) {
		const before = merged.get(key);
		if (before?.published === state) continue;
		const worst = worse(state, before?.worst);
		const mixed = before !== undefined;
		merged.set(key, { worst, published: mixed && worst === "inactive" ? "draining" : worst });
	}
	return merged;
}

const RANK = { active: 0, draining: 1, inactive: 2 } as const satisfies Record<State, number>;

function worse(a: State, b: State | undefined): State {
	return b !== undefined && RANK[b] > RANK[a] ? b : a;
}
