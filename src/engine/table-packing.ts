// table-packing.ts - the long lists of a set of tables as bytes: JavaScript's thread hands them over in a moment, and
// another thread reads them.
//
// Owns: the buffers' order. Their entries are packed-tables.ts's.
// Must never: hold the event loop: a set may have 100,000 rules.

import type { TableSet } from "../policy/index.js";
import { PACKED_BYTES, packRule, packService, packTarget } from "./packed-tables.js";

export interface PackedTables {
	readonly services: Buffer;
	readonly rules: Buffer;
	readonly targets: Buffer;
}

/** Entries between two steps: a millisecond. */
const STEP = 2000;

/** In steps between which an event loop may do other work. */
export function* packTables({ services, rules, targets }: TableSet): Generator<void, PackedTables> {
	return {
		services: yield* packed(services, PACKED_BYTES.service, packService),
		rules: yield* packed(rules, PACKED_BYTES.rule, packRule),
		targets: yield* packed(targets, PACKED_BYTES.target, packTarget),
	};
}

function* packed<T>(
	entries: readonly T[],
	bytes: number,
	pack: (entry: T, to: Buffer, at: number) => void,
): Generator<void, Buffer> {
	const to = Buffer.allocUnsafe(entries.length * bytes).fill(0);
	for (const [i, entry] of entries.entries()) {
		pack(entry, to, i * bytes);
		if (i % STEP === STEP - 1) yield;
	}
	return to;
}
