// open.ts - the store that a configuration names.
//
// Owns: the files that access needs: certificates and password.
// Must never: take a password from a file that others can read.

import { readFileSync } from "node:fs";
import { type Database, readSecretFile } from "../config/index.js";
import { ShuntError } from "../errors.js";
import { EmbeddedStore } from "./embedded.js";
import { EtcdStore } from "./etcd.js";
import type { Store } from "./store.js";

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
	return read(file, (path) => readFileSync(path, "utf8"));
}

function secretOf(file: string | null): string | undefined {
	return read(file, readSecretFile);
}

function read(file: string | null, reader: (path: string) => string): string | undefined {
	if (file === null) return undefined;
	try {
		return reader(file);
	} catch (cause) {
		throw new ShuntError("SHUNT_DATABASE_FILE", { file, why: (cause as Error).message }, { cause });
	}
}
