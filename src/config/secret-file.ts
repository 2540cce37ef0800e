// secret-file.ts - files that hold a secret: a key of the cluster, a password, a certificate's key.
//
// Owns: how they are read, and whom they must belong to. Must never: wait for a FIFO, or read a device without end.

import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";

/** Permissions of group and others. */
const OTHERS = 0o077;
const MOST_BYTES = 65_536;

/** A regular file's text and its permission bits. Throws an error whose message says why not. */
export function readRegular(path: string, most: number): { readonly text: string; readonly mode: number } {
	const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
	try {
		const found = fstatSync(fd);
		if (!found.isFile()) throw new Error("it is no regular file");
		if (found.size > most) throw new Error(`it has ${found.size} bytes`);
		return { text: readFileSync(fd, "utf8"), mode: found.mode & 0o7777 };
	} finally {
		closeSync(fd);
	}
}

/** The mode as chmod(1) takes it, where others than the owner have a permission; else undefined. */
export function modeForOthers(mode: number): string | undefined {
	return (mode & OTHERS) === 0 ? undefined : mode.toString(8).padStart(4, "0");
}

/** The text of a secret that its owner alone can read. Throws an error whose message says why not. */
export function readSecretFile(path: string): string {
	const { text, mode } = readRegular(path, MOST_BYTES);
	const open = modeForOthers(mode);
	if (open === undefined) return text;
	throw new Error(`it has mode ${open}, by which others can read or change it; chmod 600 ${path}`);
}
