// kept.ts - a cache in a file, so that a program that starts anew goes where the last one was told to go.
//
// Owns: the file: JSON, readable by its owner alone, replaced as a whole. Must never: fail a program because of what it reads there.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { Cache } from "./memory.js";

/** The cache that the file holds; an empty one where there is none, or where it holds something else. What it says is tried before it is
 * used: a target is probed, and given up where it does not answer. */
export function openCache(file: string): Cache {
	const cache = new Cache();
	try {
		cache.import(JSON.parse(readFileSync(file, "utf8")));
	} catch {
		// Nothing is known, then.
	}
	return cache;
}

/** Throws where the file can't be written. */
export function saveCache(cache: Cache, file: string): void {
	const fresh = `${file}.${process.pid}`;
	writeFileSync(fresh, `${JSON.stringify(cache.export())}\n`, { mode: 0o600 });
	renameSync(fresh, file);
}
