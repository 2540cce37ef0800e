// addon.ts - the native addon itself: loading it, and its table of reasons.
//
// Owns: its path. Must never: be loaded at import: commands that handle no packets run without it.

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { ShuntError } from "../errors.js";

export type Verdict = "forward" | "return" | "indicate" | "pass" | "drop" | "control";

/** A way for a packet to leave the packet program; the index in `reasons()` is its number. */
export interface Reason {
	readonly name: string;
	readonly verdict: Verdict;
	readonly text: string;
}

let loaded: unknown;

/** What it exports, by the caller's description of the part that it uses. Loaded at the first use. */
export function addon<Exports>(): Exports {
	if (loaded) return loaded as Exports;
	const file = fileURLToPath(new URL("../../build/Release/shunt.node", import.meta.url));
	try {
		loaded = createRequire(import.meta.url)(file);
	} catch (cause) {
		throw new ShuntError("SHUNT_ADDON_MISSING", { why: (cause as Error).message }, { cause });
	}
	return loaded as Exports;
}

/** Every reason, in the order of their numbers. */
export function reasons(): readonly Reason[] {
	return addon<{ readonly reasons: readonly Reason[] }>().reasons;
}

/** The name of a reason, by its number. */
export function reasonName(number: number): string {
	return reasons()[number]?.name ?? `reason ${number}`;
}
