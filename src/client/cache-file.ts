// cache-file.ts - a RedirectionCache in a file, so that a restarted program reaches the targets of its last run.
//
// Owns: the file: JSON, readable by its owner only, replaced atomically. Must never: fail a program because of the
// file's content.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { RedirectionCache } from "./cache.js";

/** The cache in the file; an empty one if the file is missing or invalid. Targets from a file are probed before they
 * are used. */
export function openCache(file: string): RedirectionCache {
	const cache = new RedirectionCache();
	try {
		cache.import(JSON.parse(readFileSync(file, "utf8")));
	} catch {
		// An unreadable file is an empty cache.
	}
	return cache;
}

/** Throws if the file cannot be written. */
export function saveCache(cache: RedirectionCache, file: string): void {
	const fresh = `${file}.${process.pid}`;
	writeFileSync(fresh, `${JSON.stringify(cache.export())}\n`, { mode: 0o600 });
	renameSync(fresh, file);
}
