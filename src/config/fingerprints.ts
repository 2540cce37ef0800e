// fingerprints.ts - whether two services or backends are equal, without comparing their fields.
//
// A service may have 100,000 rules: its text is made once, where that holds up nothing (read-thread.ts).
// Must never: be kept of an object that may change.

import { createHash } from "node:crypto";
import type { Service } from "./model.js";
import { redirectionsOf } from "./redirections.js";

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
	const { rules, redirection: _own, ...rest } = record as Service;
	const redirections = redirectionsOf(record as Service);
	const places = new Map(redirections.map((one, place) => [one, place]));
	const sources = rules.map((rule) => `${rule.from} ${places.get(rule.redirection)}`);
	return JSON.stringify([rest, redirections]) + sources.join();
}
