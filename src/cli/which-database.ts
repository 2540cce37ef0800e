// which-database.ts - the redirection database that a command works on: by --database, or as a configuration names it.
//
// Owns: that choice, and the name under which an operator's changes are kept.
// Must never: change the database.

import { hostname, userInfo } from "node:os";
import { databaseOf, databaseText, type FileFields, readFields } from "../config/index.js";
import { openStore, type SharedDatabase, type Store } from "../database/index.js";
import { ShuntError } from "../errors.js";

export interface WhichDatabase {
	readonly config?: string;
	readonly database?: string;
}

function databaseFor({ config, database }: WhichDatabase, own: FileFields | undefined): SharedDatabase {
	if (database !== undefined) return databaseOf(database);
	const local = config === undefined ? own : readFields(config);
	if (local === undefined)
		throw new ShuntError("SHUNT_USAGE", { what: "Which database: --config FILE or --database URL must be given." });
	if (local.database.kind === "static") throw new ShuntError("SHUNT_DATABASE_STATIC", { file: local.file });
	return local.database;
}

/** Closes the store whatever comes of the work. `own`: a file whose database is meant, unless another is named. */
export async function withStore<T>(
	which: WhichDatabase,
	work: (store: Store, name: string) => Promise<T>,
	own?: FileFields,
): Promise<T> {
	const database = databaseFor(which, own);
	const store = await openStore(database);
	try {
		return await work(store, databaseText(database));
	} finally {
		await store.close();
	}
}

/** Who changes the database, for its history. */
export function operator(): string {
	try {
		return `${userInfo().username}@${hostname()}`;
	} catch {
		return hostname();
	}
}
