/**
 * A configuration from two sources: what is shared by all members, as records of the redirection database, and what is
 * local to this host, as the fields of its own file.
 *
 *   settings         cluster (without seed, keys and sign), load, health
 *   gateway/<name>   backend/<name>   service/<name>: an entry of the file's section, as it is written there
 *
 * Owns: which field is shared; and that an invalid record takes nothing else down: its last valid value stays in force,
 * and where there is none the record is left out, with the records that need it.
 * Must never: let a secret into a record, or take a record's value without its schema.
 */
import type { z } from "zod";
import type { Config, Database } from "./model.js";
import { ConfigError, type Path, UnplacedProblems } from "./problems.js";
import { configOfFields, deepFreeze, type FileFields } from "./read.js";
import { serviceSchema } from "./schema.js";
import { settingsSchema } from "./schema-cluster.js";
import { backendSchema, gatewaySchema } from "./schema-members.js";

/** By key. */
export type SharedRecords = ReadonlyMap<string, unknown>;

export interface InvalidRecord {
	readonly key: string;
	/** A phrase: "address: missing; must be …". */
	readonly problem: string;
	/** Its last valid value stays in force; else it is left out. */
	readonly before: boolean;
}

export interface Assembled {
	readonly config: Config;
	/** The records that are in force. */
	readonly records: SharedRecords;
	readonly invalid: readonly InvalidRecord[];
}

export const SETTINGS = "settings";
const SECRET_FIELDS = ["seed", "keys", "sign"];
const LOCAL = ["version", "sessions", "engine"] as const;
const SECTIONS = {
	gateway: { section: "gateways", schema: gatewaySchema },
	backend: { section: "backends", schema: backendSchema },
	service: { section: "services", schema: serviceSchema },
} as const satisfies Record<string, { section: string; schema: z.ZodType }>;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Bytes of JSON: etcd's own limit of a request is 1.5 MiB. */
export const LARGEST_RECORD = 700_000;
const MOST_RECORDS = 100_000;

/** The records that a file's fields amount to. Its own database and secrets, and what one host needs, are not shared. */
export function sharedRecords(fields: Readonly<Record<string, unknown>>): Map<string, unknown> {
	const { cluster = {}, load, health } = fields as Record<string, object | undefined>;
	const shared = Object.fromEntries(Object.entries(cluster).filter(([name]) => !SECRET_FIELDS.includes(name)));
	const settings = { cluster: shared, ...(load && { load }), ...(health && { health }) };
	const records = new Map<string, unknown>([[SETTINGS, settings]]);
	for (const [kind, { section }] of Object.entries(SECTIONS))
		for (const [name, value] of Object.entries((fields[section] ?? {}) as object))
			records.set(`${kind}/${name}`, value);
	return records;
}

/** The fields of a file that has these records: what `export` prints. */
export function fieldsOf(records: SharedRecords): Record<string, unknown> {
	const fields: Record<string, unknown> = { ...(records.get(SETTINGS) as object | undefined) };
	for (const [kind, { section }] of Object.entries(SECTIONS)) {
		const own = [...records].filter(([key]) => key.startsWith(`${kind}/`)).sort(([a], [b]) => (a < b ? -1 : 1));
		fields[section] = Object.fromEntries(own.map(([key, value]) => [key.slice(kind.length + 1), value]));
	}
	return fields;
}

/** What is wrong with a record by itself; undefined: nothing. */
export function recordFault(key: string, value: unknown): string | undefined {
	const [kind = "", ...rest] = key.split("/");
	const name = rest.join("/");
	const schema = key === SETTINGS ? settingsSchema : SECTIONS[kind as keyof typeof SECTIONS]?.schema;
	if (schema === undefined || (key !== SETTINGS && !NAME.test(name)))
		return "there is no such record; the keys are settings, gateway/NAME, backend/NAME and service/NAME";
	const size = JSON.stringify(value)?.length ?? 0;
	if (size > LARGEST_RECORD) return `it has ${size} bytes; must have at most ${LARGEST_RECORD}`;
	const result = schema.safeParse(value);
	if (result.success) return undefined;
	const problems = new UnplacedProblems(key);
	problems.addIssues(result.error.issues);
	return problems.first;
}

/** `before`: records that were in force. Throws a ConfigError where the local fields alone are invalid with what is left. */
export function assemble(local: FileFields, found: SharedRecords, before: SharedRecords = new Map()): Assembled {
	const invalid = new Map<string, InvalidRecord>();
	const records = new Map<string, unknown>();
	const reject = (key: string, problem: string) => {
		const kept = before.get(key);
		const reverts = kept !== undefined && !invalid.has(key) && kept !== records.get(key);
		if (!invalid.get(key)?.before || !reverts)
			invalid.set(key, { key, problem: invalid.get(key)?.problem ?? problem, before: reverts });
		if (reverts) records.set(key, kept);
		else records.delete(key);
	};
	for (const [key, value] of [...found].slice(0, MOST_RECORDS)) {
		const same = before.get(key);
		const fault = same !== undefined && equal(same, value) ? undefined : recordFault(key, value);
		if (fault === undefined) records.set(key, value);
		else reject(key, fault);
	}
	for (;;) {
		const problems = new UnplacedProblems(local.file);
		const config = configOfFields(composed(local, records), local.file, problems);
		if (config !== undefined && problems.list.length === 0)
			return { config: deepFreeze({ ...config, database: local.database }), records, invalid: [...invalid.values()] };
		const culprits = new Map<string, string>();
		for (const [i, path] of problems.paths.entries()) {
			const key = keyOf(path);
			const { field, message } = problems.list[i]!;
			if (key !== undefined && records.has(key) && !culprits.has(key)) culprits.set(key, `${field}: ${message}`);
		}
		// Not of a record: of the host's own file, together with the settings.
		if (culprits.size === 0 && records.has(SETTINGS) && !invalid.get(SETTINGS)) culprits.set(SETTINGS, problems.first);
		if (culprits.size === 0) throw new ConfigError(problems.list);
		for (const [key, problem] of culprits) reject(key, problem);
	}
}

function composed(local: FileFields, records: SharedRecords): Record<string, unknown> {
	const fields = fieldsOf(records);
	const own = Object.fromEntries(LOCAL.flatMap((name) => (name in local.fields ? [[name, local.fields[name]]] : [])));
	const cluster = (local.fields.cluster ?? {}) as Record<string, unknown>;
	const secrets = Object.fromEntries(SECRET_FIELDS.flatMap((name) => (name in cluster ? [[name, cluster[name]]] : [])));
	return { ...fields, ...own, cluster: { ...(fields.cluster as object | undefined), ...secrets } };
}

function keyOf([section, name]: Path): string | undefined {
	if (section === "load" || section === "health" || section === "cluster") return SETTINGS;
	const kind = Object.entries(SECTIONS).find(([, one]) => one.section === section)?.[0];
	return kind === undefined || name === undefined ? undefined : `${kind}/${String(name)}`;
}

function equal(a: unknown, b: unknown): boolean {
	return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** A file's own part, for where there is no file: the keys that a host was given, and the database's address. */
export function localFields(file: string, secrets: object, database: Database): FileFields {
	return { file, fields: { version: 1, cluster: secrets }, database };
}

/** Local fields for checks that need no host's own: the secrets are of no use. */
export const ANY_HOST: FileFields = localFields(
	"the database",
	{ seed: "any", keys: [{ id: 0, secret: "0".repeat(32) }] },
	{ kind: "static" },
);
