// key-file.ts - the cluster's secrets in a file of their own, for a member that joins by the database's address:
// { seed, keys, sign }, as in the section cluster.
//
// Must never: accept a file that others can read.

import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import type { z } from "zod";
import { ShuntError } from "../errors.js";
import { map } from "./field-types.js";
import { clusterSchema } from "./schema-cluster.js";
import { readSecretFile } from "./secret-file.js";

const { seed, keys, sign } = clusterSchema.shape;
const keyFileSchema = map({ seed, keys, sign });

/** Throws SHUNT_DATABASE_FILE. */
export function readKeyFile(file: string): z.output<typeof keyFileSchema> {
	const refused = (why: string, cause?: unknown) =>
		new ShuntError("SHUNT_DATABASE_FILE", { file, why }, cause === undefined ? {} : { cause });
	let content: unknown;
	try {
		content = parse(readSecretFile(file));
	} catch (error) {
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
