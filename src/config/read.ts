// read.ts - from the text of a configuration file to a Config, or to the list of all its problems.
//
// Owns: the order of steps: YAML, shape (schema.ts), references (build.ts). Must never: stop at the first problem.

import { readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { type Document, isMap, isScalar, LineCounter, parseAllDocuments, visit } from "yaml";
import { ShuntError } from "../errors.js";
import { build } from "./build.js";
import type { Config, Database } from "./model.js";
import { readPlainYaml } from "./plain-yaml.js";
import { ConfigError, type ParsedText, ProblemList } from "./problems.js";
import { configSchema } from "./schema.js";
import { readRegular } from "./secret-file.js";

/** Nested aliases multiply: a small file could otherwise expand beyond memory. */
const MAX_ALIASES = 100;
const MOST_SECRET_BYTES = 4096;
const MOST_BYTES = 256 * 1024 * 1024;

/** Throws ShuntError: SHUNT_CONFIG_UNREADABLE, or a ConfigError with every problem. */
export function readConfig(file: string): Config {
	return deepFreeze(readUnfrozen(file));
}

/** What a file holds, for a member whose services stand in a database. */
export interface FileFields {
	readonly file: string;
	/** As it is written there. */
	readonly fields: Readonly<Record<string, unknown>>;
	readonly database: Database;
}

/** A file's fields with the configuration that it amounts to by itself. Throws as readConfig(). */
export function readFields(file: string): FileFields & { readonly config: Config } {
	const { data, config } = parseText(textOf(file), file);
	return { file, fields: data as Record<string, unknown>, database: config.database, config: deepFreeze(config) };
}

/** The same for a reader that passes it on as a copy. */
export function readUnfrozen(file: string): Config {
	return parseText(textOf(file), file).config;
}

function textOf(file: string): string {
	try {
		return readText(file);
	} catch (cause) {
		throw new ShuntError("SHUNT_CONFIG_UNREADABLE", { file, why: reasonOf(cause) }, { cause });
	}
}

/** The same for a text; `file` names it in messages, and secretFile is relative to its folder. */
export function parseConfig(text: string, file: string): Config {
	return deepFreeze(parseText(text, file).config);
}

function parseText(text: string, file: string): Parsed {
	try {
		return parseNested(text, file);
	} catch (error) {
		if (!(error instanceof RangeError)) throw error;
		// Every step follows the nesting, by recursion.
		const place = { code: "SHUNT_CONFIG_SYNTAX", file, line: 1, column: 1, field: "" } as const;
		throw new ConfigError([{ ...place, message: "the file is nested too deep; a configuration has at most 8 levels" }]);
	}
}

interface Parsed {
	readonly data: unknown;
	readonly config: Config;
}

function parseNested(text: string, file: string): Parsed {
	// 1. YAML. Most files need no more than the plain subset, and places only if there is a problem.
	const plain = readPlainYaml(text);
	const document = plain === undefined ? parseDocument(text, file) : undefined;
	const problems = new ProblemList(file, () => document ?? parseDocument(text, file));
	const data = document === undefined ? plain : valuesOf(document, problems);

	const config = configOfFields(data, file, problems);
	if (config === undefined || problems.list.length > 0) throw new ConfigError(problems.list, problems.unlisted);
	return { data, config };
}

/** The problems are added to the list; undefined: it has those that leave no configuration. */
export function configOfFields(data: unknown, file: string, problems: ProblemList): Config | undefined {
	// 2. Shape.
	const shape = configSchema.safeParse(data);
	if (!shape.success) problems.addIssues(shape.error.issues);

	// 3. References, of all parts that have the right shape, so that one run reports every problem.
	// Where all of it has, build() need not parse its sections again.
	const sections = shape.success ? shape.data : (data as Record<string, unknown>);
	return build(sections, shape.success, file, problems, (name) => readSecret(file, name));
}

interface ParsedFile extends ParsedText {
	readonly document: Document.Parsed;
	/** Where a second document begins. */
	readonly second: number | undefined;
}

function parseDocument(text: string, file: string): ParsedFile {
	const lines = new LineCounter();
	const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, version: "1.2" });
	const document = "empty" in documents ? undefined : documents[0];
	if (document === undefined || document.contents === null) {
		const place = { code: "SHUNT_CONFIG_SYNTAX", file, line: 1, column: 1, field: "" } as const;
		throw new ConfigError([
			{ ...place, message: "the file is empty; must be a configuration; docs/configuration.md has an example" },
		]);
	}
	const second = documents.length > 1 ? (documents[1]?.range[0] ?? 0) : undefined;
	return { document, lines, second };
}

/** Throws a ConfigError: a file that is not YAML, or no map, cannot be checked any further. */
function valuesOf({ document, second }: ParsedFile, problems: ProblemList): unknown {
	if (second !== undefined)
		problems.syntax(second, "a second YAML document begins here; a configuration is one document; remove the line ---");
	for (const error of withoutConsequences(document.errors))
		problems.syntax(error.pos[0], syntaxText(error.code, error.message));
	visit(document, {
		Pair(_, pair) {
			// The one key that JavaScript would drop silently.
			if (isScalar(pair.key) && pair.key.value === "__proto__") {
				problems.syntax(pair.key.range?.[0] ?? 0, "__proto__ cannot be a key; choose another name");
			}
		},
		Alias(_, alias) {
			if (alias.resolve(document) !== undefined) return;
			const message = `the alias *${alias.source} has no anchor; write &${alias.source} before it, or the value itself`;
			problems.syntax(alias.range?.[0] ?? 0, message);
		},
	});
	if (problems.list.length > 0) throw new ConfigError(problems.list);
	let data: unknown;
	try {
		data = document.toJS({ maxAliasCount: MAX_ALIASES });
	} catch {
		problems.syntax(0, `the aliases expand to too many values (${MAX_ALIASES} times at most); write the values out`);
		throw new ConfigError(problems.list);
	}
	if (!isMap(document.contents)) {
		problems.syntax(0, "the file is not a map of fields; must begin with version: 1");
		throw new ConfigError(problems.list);
	}
	return data;
}

/** Of a configuration: also from a pipe, as of process substitution. */
function readText(file: string): string {
	const found = statSync(file);
	if (found.isCharacterDevice() || found.isBlockDevice()) throw new Error("it is a device");
	const { size } = found;
	if (size > MOST_BYTES) throw new Error(`it has ${size} bytes; must have at most ${MOST_BYTES}`);
	return readFileSync(file, "utf8");
}

function readSecret(file: string, name: string): { secret: string; path: string; mode: number } {
	const path = isAbsolute(name) ? name : join(dirname(file), name);
	try {
		const { text, mode } = readRegular(path, MOST_SECRET_BYTES);
		return { secret: text.trim(), path, mode };
	} catch (cause) {
		throw new Error(reasonOf(cause), { cause });
	}
}

/** The parser's errors after a first error of structure are mostly consequences of that one, and are left out. */
function withoutConsequences<T extends { readonly code: string }>(errors: readonly T[]): T[] {
	const first = errors.find((error) => error.code !== "DUPLICATE_KEY");
	return errors.filter((error) => error.code === "DUPLICATE_KEY" || error === first);
}

function syntaxText(code: string, message: string): string {
	switch (code) {
		case "DUPLICATE_KEY":
			return "this key is already in the same map; each key may be given once; remove or rename one of them";
		case "TAB_AS_INDENT":
			return "the line is indented with a tab; YAML allows spaces only; replace the tab";
		default:
			return `invalid YAML: ${message.split("\n")[0]?.replace(/\.$/, "") ?? code}`;
	}
}

function reasonOf(cause: unknown): string {
	const code = (cause as { code?: unknown }).code;
	if (code === "ENOENT") return "there is no such file";
	if (code === "EACCES") return "permission denied";
	if (code === "EISDIR") return "it is a directory";
	return cause instanceof Error ? cause.message : String(cause);
}

export function deepFreeze<T>(value: T): T {
	if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
		Object.freeze(value);
		for (const inner of Object.values(value)) deepFreeze(inner);
	}
	return value;
}
