/**
 * Which targets of a redirection serve, by health, and when health is not believed.
 *
 * Owns: the panic threshold: if less than half of a redirection's active backends are usable, all of them are used. A
 * fault of the observer (its own link, its clock) looks like the death of all backends; and where all are dead, there
 * is nothing to lose.
 * Must never: make a target active that its configuration or its uplink makes inactive.
 */
import type { State } from "../config/index.js";
import type { Target } from "./lookup.js";

/** By target key: the state that its health imposes. A target without an entry is usable. */
export type ImposedStates = ReadonlyMap<string, "draining" | "inactive">;

export const PANIC_THRESHOLD = 0.5;

export function serving(targets: readonly Target[], imposed: ImposedStates) {
	const all = new Set<string>();
	const usable = new Set<string>();
	for (const { key, backend, state } of targets) {
		if (state !== "active") continue;
		all.add(backend);
		if (!imposed.has(key)) usable.add(backend);
	}
	const panic = usable.size < all.size * PANIC_THRESHOLD;
	/** That the only backend is used, healthy or not, is no news. */
	const reported = panic && all.size > 1;
	if (panic || imposed.size === 0) return { panic: reported, targets };
	return {
		panic: false,
		targets: targets.map((target) => ({ ...target, state: worse(target.state, imposed.get(target.key)) })),
	};
}

/** Of one target in several redirections: `worst` moves its epoch; `published` is what the packet program sees, which
 * takes no inactive target, though a redirection in panic has rows of it. */
export function mergedStates(states: readonly State[]): { worst: State; published: State } {
	const worst = states.reduce((a, b) => worse(a, b));
	const mixed = states.some((state) => state !== worst);
	return { worst, published: mixed && worst === "inactive" ? "draining" : worst };
}

const RANK = { active: 0, draining: 1, inactive: 2 } as const satisfies Record<State, number>;

function worse(a: State, b: State | undefined): State {
	return b !== undefined && RANK[b] > RANK[a] ? b : a;
}
