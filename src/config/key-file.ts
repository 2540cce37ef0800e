// key-file.ts - the cluster's secrets in a file of their own, for a member that joins by the database's address:
// { seed, keys, sign }, as in the section cluster.
//
// Must never: accept a file that others can read.

import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import type { z } from "zod";
import { ShuntError } from "../errors.js";
import { map } from "./field-types.js";
import { clusterSchema } from "./schema-cluster.js";

const { seed, keys, sign } = clusterSchema.shape;
const keyFileSchema = map({ seed, keys, sign });

/** Permissions of group and others. */
const OTHERS = 0o077;

/** Throws SHUNT_DATABASE_FILE. */
export function readKeyFile(file: string): z.output<typeof keyFileSchema> {
	const refused = (why: string, cause?: unknown) =>
		new ShuntError("SHUNT_DATABASE_FILE", { file, why }, cause === undefined ? {} : { cause });
	let content: unknown;
	try {
		const mode = statSync(file).mode & 0o7777;
		if (mode & OTHERS) throw refused(`others can read or change it; chmod 600 ${file}`);
		content = parse(readFileSync(file, "utf8"));
	} catch (error) {
		if (error instanceof ShuntError) throw error;
		throw refused((error as Error).message.split("\n")[0]!, error);
	}
	const { data, error } = keyFileSchema.safeParse(content);
	const issue = error?.issues[0];
	if (data === undefined)
		throw refused(`${issue?.path.join(".") || "it"}: ${issue?.message}; must be { seed, keys, sign }`);
	const at = (name: string) => resolve(dirname(file), name);
	return {
		...data,
		keys: data.keys.map((key) => (key.secretFile === undefined ? key : { ...key, secretFile: at(key.secretFile) })),
	};
}
