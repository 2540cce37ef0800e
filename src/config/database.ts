// database.ts - where the redirection database is: from the fields of the file, or from a URL of the command line.
//
// Owns: the checks that compare these fields. Must never: open the database, or read a file that holds a secret.

import { dirname, resolve } from "node:path";
import { ShuntError } from "../errors.js";
import { list } from "./field-types.js";
import type { Database } from "./model.js";
import { type ProblemList, UnplacedProblems } from "./problems.js";
import { type DatabaseFields, databaseSchema } from "./schema-database.js";

const FOLDER = "/var/lib/shunt/database";
const PREFIX = "/shunt/";
const OF_ETCD = ["endpoints", "prefix", "caFile", "certificateFile", "keyFile", "user", "passwordFile"] as const;

export function buildDatabase(fields: DatabaseFields, file: string, problems: ProblemList): Database {
	const report = (field: string, message: string) =>
		problems.add("SHUNT_CONFIG_REFERENCE", ["database", ...(field === "" ? [] : [field])], message);
	const { kind } = fields;
	const foreign = [...(kind === "etcd" ? [] : OF_ETCD), ...(kind === "embedded" ? [] : (["folder"] as const))];
	for (const field of foreign) {
		const owner = field === "folder" ? "embedded" : "etcd";
		if (fields[field] !== undefined)
			report(field, `is of kind: ${owner}, and database.kind is ${kind}; remove it, or write kind: ${owner}`);
	}
	if (kind === "static") return { kind };
	const at = (name: string) => resolve(dirname(file), name);
	if (kind === "embedded") return { kind, folder: at(fields.folder ?? FOLDER) };
	const endpoints = list(fields.endpoints);
	if (endpoints.length === 0)
		report("", "endpoints are missing; kind: etcd must have at least one, such as http://10.77.9.1:2379");
	for (const [one, other] of [
		["certificateFile", "keyFile"],
		["keyFile", "certificateFile"],
		["user", "passwordFile"],
		["passwordFile", "user"],
	] as const)
		if (fields[one] !== undefined && fields[other] === undefined)
			report(one, `has no ${other} beside it; write both, or neither`);
	const secure = ["caFile", "certificateFile"] as const;
	for (const field of secure)
		if (fields[field] !== undefined && endpoints.some((one) => one.startsWith("http:")))
			report(field, "has no effect on an endpoint of http:; write https: in database.endpoints, or remove it");
	const fileOf = (name: string | undefined) => (name === undefined ? null : at(name));
	return {
		kind,
		endpoints,
		prefix: fields.prefix ?? PREFIX,
		caFile: fileOf(fields.caFile),
		certificateFile: fileOf(fields.certificateFile),
		keyFile: fileOf(fields.keyFile),
		user: fields.user ?? null,
		passwordFile: fileOf(fields.passwordFile),
	};
}

/** Where the database is, for messages. */
export function databaseText(database: Database): string {
	switch (database.kind) {
		case "static":
			return "static";
		case "embedded":
			return `embedded in ${database.folder}`;
		case "etcd":
			return `etcd at ${database.endpoints.join(", ")}${database.prefix === PREFIX ? "" : ` under ${database.prefix}`}`;
	}
}

const URL_RULE =
	"etcd://HOST:PORT[,HOST:PORT]/PREFIX, etcds://… (TLS), or embedded:/FOLDER, with ?caFile=, certificateFile=, keyFile=, user=, passwordFile=";

/** The database that a URL of the command line stands for. Throws SHUNT_USAGE. */
export function databaseOf(url: string): Exclude<Database, { kind: "static" }> {
	const refused = (why: string) => new ShuntError("SHUNT_USAGE", { what: `${url}: ${why}.` });
	const fields = databaseSchema.safeParse(fieldsOfUrl(url));
	if (!fields.success) throw refused(`not a database; must be ${URL_RULE}`);
	const problems = new UnplacedProblems(url);
	const database = buildDatabase(fields.data, "/", problems);
	const fault = problems.list[0]?.message;
	if (fault !== undefined || database.kind === "static") throw refused(fault ?? `must be ${URL_RULE}`);
	return database;
}

function fieldsOfUrl(url: string): Record<string, unknown> | undefined {
	const embedded = /^embedded:(\/.*)$/.exec(url)?.[1];
	if (embedded !== undefined) return { kind: "embedded", folder: embedded };
	const [, scheme, hosts, path = "/", query = ""] = /^(etcds?):\/\/([^/?]+)(\/[^?]*)?(?:\?(.*))?$/.exec(url) ?? [];
	if (scheme === undefined || hosts === undefined) return undefined;
	return {
		kind: "etcd",
		endpoints: hosts.split(",").map((host) => `${scheme === "etcds" ? "https" : "http"}://${host}`),
		...(path === "/" ? {} : { prefix: path.endsWith("/") ? path : `${path}/` }),
		...Object.fromEntries(new URLSearchParams(query)),
	};
}
