// database.ts - `shunt db`: read, change and watch the redirection database by hand.
//
// Owns: the text of the answers, and that a record is checked with all others before it is written.
// Must never: hold a secret of the cluster: records have none.

import { readFileSync } from "node:fs";
import { parse, stringify } from "yaml";
import {
	ANY_HOST,
	assemble,
	fieldsOf,
	readFields,
	recordFault,
	type SharedRecords,
	sharedRecords,
} from "../config/index.js";
import {
	applyRecords,
	type Changed,
	CONFIG,
	changeRecords,
	type Entry,
	readHistory,
	readShared,
	type Store,
	withChanges,
} from "../database/index.js";
import { ShuntError } from "../errors.js";
import { printAnswer } from "./answer.js";
import { table } from "./table.js";
import { count } from "./units.js";
import { operator, type WhichDatabase, withStore } from "./which-database.js";

interface Options extends WhichDatabase {
	readonly json?: boolean;
	readonly note?: string;
}

/** Records of members and of the history stand beside the configuration's. */
function storeKey(key: string): string {
	return /^(member|history)\//.test(key) ? key : CONFIG + key;
}

function shownKey(key: string): string {
	return key.startsWith(CONFIG) ? key.slice(CONFIG.length) : key;
}

export async function get(key: string, options: Options): Promise<void> {
	await withStore(options, async (store) => {
		const entry = await store.get(storeKey(key));
		if (entry === undefined) throw refused(key, "there is no such record");
		printAnswer(options, shown(entry), () => stringify(entry.value).trimEnd());
	});
}

export async function list(prefix: string | undefined, options: Options): Promise<void> {
	await withStore(options, async (store) => {
		const { entries, revision } = await store.list(prefix === undefined ? "" : storeKey(prefix));
		const records = entries.filter(({ key }) => prefix !== undefined || !key.startsWith("history/"));
		printAnswer(options, { revision, records: records.map(shown) }, () =>
			table(
				["left", "right", "left"],
				[
					["record", "revision", "value"],
					...records.map((one) => [shownKey(one.key), String(one.revision), short(one.value)]),
				],
			).join("\n"),
		);
	});
}

export async function put(key: string, value: string, options: Options): Promise<void> {
	const text = value === "-" ? readFileSync(0, "utf8") : value;
	let fields: unknown;
	try {
		fields = parse(text);
	} catch (error) {
		const why = `the value is not YAML: ${(error as Error).message.split("\n")[0]}`;
		throw refused(key, why);
	}
	const fault = recordFault(key, fields);
	if (fault !== undefined) throw refused(key, fault);
	await change(new Map([[key, fields]]), `put ${key}`, options);
}

export async function remove(key: string, options: Options): Promise<void> {
	await change(new Map([[key, undefined]]), `delete ${key}`, options);
}

export async function watch(prefix: string | undefined, options: Options): Promise<void> {
	await withStore(options, async (store) => {
		const { revision } = await store.list("no record/");
		for await (const change of store.watch(prefix === undefined ? "" : storeKey(prefix), { from: revision + 1 })) {
			const { key, value } = change;
			if (prefix === undefined && key.startsWith("history/")) continue;
			const line = { key: shownKey(key), revision: change.revision, value: value ?? null };
			printAnswer(
				options,
				line,
				() => `${change.revision} ${line.key} ${value === undefined ? "is gone" : short(value)}`,
			);
		}
	});
}

export async function importFile(file: string, options: Options): Promise<void> {
	const local = readFields(file);
	const work = async (store: Store) => {
		const made = { by: operator(), note: options.note ?? `import ${file}` };
		printChanged(options, await applyRecords(store, sharedRecords(local.fields), made));
	};
	await withStore(options, work, local);
}

export async function exportFile(options: Options): Promise<void> {
	await withStore(options, async (store) => {
		const { records, version } = await readShared(store);
		const fields = fieldsOf(records);
		printAnswer(options, { version: version.version, fields }, () => stringify({ version: 1, ...fields }).trimEnd());
	});
}

export async function history(options: Options): Promise<void> {
	await withStore(options, async (store) => {
		const { version } = await readShared(store);
		const entries = await readHistory(store);
		const versions = entries.map(({ before, ...entry }) => ({ ...entry, changed: [...before.keys()].sort() }));
		printAnswer(options, { version: version.version, versions }, () => {
			const rows = versions.map(({ version, at, by, note, changed }) => [
				String(version),
				new Date(at).toISOString(),
				by,
				note,
				changed.length > 4 ? count(changed.length, "record") : changed.join(", "),
			]);
			const head = ["version", "at", "by", "note", "changed"];
			return table(["right", "left", "left", "left", "left"], [head, ...rows]).join("\n");
		});
	});
}

async function change(changes: SharedRecords, note: string, options: Options): Promise<void> {
	await withStore(options, async (store) => {
		const planned = await checked(store, changes);
		const made = { planned, by: operator(), note: options.note ?? note };
		printChanged(options, await changeRecords(store, changes, made));
	});
}

/** The version that the changes were checked with. Throws where they make a record invalid that is valid now. */
async function checked(store: Store, changes: SharedRecords): Promise<number> {
	const { records, version } = await readShared(store);
	const before = assemble(ANY_HOST, records);
	const known = new Set(before.invalid.map(({ key }) => key));
	const fault = assemble(ANY_HOST, withChanges(records, changes)).invalid.find(({ key }) => !known.has(key));
	if (fault === undefined) return version.version;
	const key = [...changes.keys()][0]!;
	const why = fault.key === key ? fault.problem : `${fault.key} would be invalid: ${fault.problem}`;
	throw refused(key, why);
}

export function printChanged(options: { readonly json?: boolean }, { version, changed }: Changed): void {
	printAnswer(options, { version, changed }, () =>
		changed.length === 0
			? `nothing has changed; version ${version} is in force`
			: [`version ${version} is in force`, ...changed.map((key) => `  ${key}`)].join("\n"),
	);
}

function refused(key: string, why: string): ShuntError {
	return new ShuntError("SHUNT_DATABASE_RECORD", { key, why: why.endsWith("?") ? why : `${why}.` });
}

function shown({ key, value, revision }: Entry): object {
	return { key: shownKey(key), value, revision };
}

function short(value: unknown): string {
	const text = JSON.stringify(value);
	return text.length > 100 ? `${text.slice(0, 99)}…` : text;
}
