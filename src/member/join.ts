/**
 * A member without a file: it has its name, the database's address, and the cluster's keys.
 *
 * Owns: the backend's record, which is written where there is none and the addresses are given.
 * Must never: change a record that is there.
 */
import { databaseOf, databaseText, localFields } from "../config/index.js";
import { readKeyFile } from "../config/key-file.js";
import { changeRecords, openStore, readShared } from "../database/index.js";
import { ShuntError } from "../errors.js";
import { type OpenedSource, openShared } from "./config-source.js";
import type { MemberEvent } from "./role.js";

export interface JoinOptions {
	/** URL of the database. */
	readonly join: string;
	readonly keys: string;
	readonly name: string;
	/** Of a backend that the database does not have yet. */
	readonly addresses?: readonly string[] | undefined;
}

export async function joinSource(options: JoinOptions, emit: (event: MemberEvent) => void): Promise<OpenedSource> {
	const { join, keys, name, addresses = [] } = options;
	const database = databaseOf(join);
	const local = localFields(join, readKeyFile(keys), database);
	if (addresses.length > 0) {
		const store = await openStore(database);
		try {
			await addBackend(name, addresses, store, databaseText(database));
		} finally {
			await store.close();
		}
	}
	return openShared(local, undefined, name, emit);
}

async function addBackend(
	name: string,
	addresses: readonly string[],
	store: Awaited<ReturnType<typeof openStore>>,
	database: string,
): Promise<void> {
	for (;;) {
		const { records, version } = await readShared(store);
		if (version.version === 0) throw new ShuntError("SHUNT_DATABASE_EMPTY", { database });
		if (records.has(`backend/${name}`)) return;
		const added = new Map([[`backend/${name}`, { address: addresses.length === 1 ? addresses[0] : [...addresses] }]]);
		try {
			await changeRecords(store, added, { planned: version.version, by: name, note: `${name} joins` });
			return;
		} catch (error) {
			// Another change has come first.
			if (!(error instanceof ShuntError && error.code === "SHUNT_DATABASE_CONFLICT")) throw error;
		}
	}
}
