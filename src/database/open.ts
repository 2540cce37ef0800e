// open.ts - the store that a configuration names.
//
// Owns: the files that access needs: certificates and password.
// Must never: take a password from a file that others can read.

import { readFileSync, statSync } from "node:fs";
import type { Database } from "../config/index.js";
import { ShuntError } from "../errors.js";
import { EmbeddedStore } from "./embedded.js";
import { EtcdStore } from "./etcd.js";
import type { Store } from "./store.js";

/** Permissions of group and others. */
const OTHERS = 0o077;

export type SharedDatabase = Exclude<Database, { kind: "static" }>;

/** Does not connect yet. Throws SHUNT_DATABASE_FILE. */
export async function openStore(database: SharedDatabase): Promise<Store> {
	if (database.kind === "embedded") return EmbeddedStore.open(database.folder);
	const { endpoints, prefix, caFile, certificateFile, keyFile, user, passwordFile } = database;
	return new EtcdStore({
		endpoints,
		prefix,
		ca: contentOf(caFile),
		certificate: contentOf(certificateFile),
		key: secretOf(keyFile),
		user: user ?? undefined,
		password: secretOf(passwordFile)?.replace(/\r?\n$/, ""),
	});
}

function contentOf(file: string | null): string | undefined {
	if (file === null) return undefined;
	try {
		return readFileSync(file, "utf8");
	} catch (cause) {
		throw new ShuntError("SHUNT_DATABASE_FILE", { file, why: (cause as Error).message }, { cause });
	}
}

function secretOf(file: string | null): string | undefined {
	const content = contentOf(file);
	if (file === null || content === undefined) return undefined;
	const mode = statSync(file).mode & 0o7777;
	if ((mode & OTHERS) === 0) return content;
	const why = `it has mode ${mode.toString(8).padStart(4, "0")}, by which others can read or change it; chmod 600 ${file}`;
	throw new ShuntError("SHUNT_DATABASE_FILE", { file, why });
}
