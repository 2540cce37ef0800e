// fingerprints.ts - whether two services or backends are equal, without comparing their fields.
//
// A service may have 100,000 rules: its text is made once, where that holds up nothing (read-thread.ts).
// Must never: be kept of an object that may change.

import { createHash } from "node:crypto";
import type { Service } from "./model.js";

const known = new WeakMap<object, string>();

export function fingerprintOf(record: object): string {
	const before = known.get(record);
	if (before !== undefined) return before;
	const fingerprint = createHash("sha256").update(textOf(record)).digest("base64");
	if (Object.isFrozen(record)) known.set(record, fingerprint);
	return fingerprint;
}

/** Of a record that another thread has read. */
export function rememberFingerprint(record: object, fingerprint: string): void {
	known.set(record, fingerprint);
}

/** Equal of equal records. A service's rules share redirections, and each is written once. */
function textOf(record: object): string {
	if (!("rules" in record)) return JSON.stringify(record);
	const { rules, redirection, ...rest } = record as Service;
	const places = new Map([[redirection, 0]]);
	const sources = rules.map((rule) => {
		const place = places.get(rule.redirection) ?? places.size;
		places.set(rule.redirection, place);
		return `${rule.from} ${place}`;
	});
	return JSON.stringify([rest, [...places.keys()]]) + sources.join();
}
