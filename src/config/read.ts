// read.ts - from the text of a configuration file to a Config, or to the list of everything that is wrong with it.
//
// Owns: the order of steps: YAML, shape (schema.ts), sense (build.ts). Must never: stop at the first problem.

import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { isMap, isScalar, LineCounter, parseAllDocuments, visit } from "yaml";
import { ShuntError } from "../errors.js";
import { build } from "./build.js";
import type { Config } from "./model.js";
import { ConfigError, ProblemList } from "./problems.js";
import { configSchema } from "./schema.js";

/** Throws ShuntError: SHUNT_CONFIG_UNREADABLE, or a ConfigError with every problem. */
export function readConfig(file: string): Config {
	let text: string;
	try {
		text = readFileSync(file, "utf8");
	} catch (cause) {
		throw new ShuntError("SHUNT_CONFIG_UNREADABLE", { file, why: reasonOf(cause) }, { cause });
	}
	return parseConfig(text, file);
}

/** The same for a text; `file` is used for messages, and its folder is where secretFile is looked for. */
export function parseConfig(text: string, file: string): Config {
	const lines = new LineCounter();
	const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, version: "1.2" });
	const document = "empty" in documents ? undefined : documents[0];
	if (document === undefined || document.contents === null) {
		const place = { code: "SHUNT_CONFIG_SYNTAX", file, line: 1, column: 1, field: "" } as const;
		throw new ConfigError([
			{ ...place, message: "the file is empty; docs/configuration.md has an example to begin with" },
		]);
	}

	// 1. YAML. Nothing more can be said about a file that is none.
	const problems = new ProblemList(file, document, lines);
	if ("length" in documents && documents.length > 1) {
		const second = documents[1]?.range[0] ?? 0;
		problems.syntax(second, "a second YAML document begins here; a configuration is one document");
	}
	for (const error of document.errors) problems.syntax(error.pos[0], syntaxText(error.code, error.message));
	visit(document, {
		Pair(_, pair) {
			// The one key that JavaScript would lose on the way.
			if (isScalar(pair.key) && pair.key.value === "__proto__") {
				problems.syntax(pair.key.range?.[0] ?? 0, "__proto__ cannot be a name here");
			}
		},
	});
	if (problems.list.length > 0) throw new ConfigError(problems.list);
	let data: unknown;
	try {
		data = document.toJS({ maxAliasCount: 100 });
	} catch (cause) {
		problems.syntax(0, `the aliases cannot be resolved (${reasonOf(cause)})`);
		throw new ConfigError(problems.list);
	}
	if (!isMap(document.contents)) {
		problems.syntax(0, "the file holds no map; it must begin with version: 1");
		throw new ConfigError(problems.list);
	}

	// 2. Shape.
	const shape = configSchema.safeParse(data);
	if (!shape.success) problems.addIssues(shape.error.issues);

	// 3. Sense, of whatever has the right shape: the other problems are worth knowing in the same run.
	const config = build(data as Record<string, unknown>, file, problems, (name) => readSecret(file, name));
	if (config === undefined || problems.list.length > 0) throw new ConfigError(problems.list);
	return deepFreeze(config);
}

function readSecret(file: string, name: string): string {
	return readFileSync(isAbsolute(name) ? name : join(dirname(file), name), "utf8").trim();
}

function syntaxText(code: string, message: string): string {
	switch (code) {
		case "DUPLICATE_KEY":
			return "this key stands here for the second time in the same map; each key may stand once";
		case "TAB_AS_INDENT":
			return "YAML is indented with spaces, and here stands a tab";
		default:
			return `this is not valid YAML (${message.split("\n")[0]?.replace(/\.$/, "") ?? code})`;
	}
}

function reasonOf(cause: unknown): string {
	const code = (cause as { code?: unknown }).code;
	if (code === "ENOENT") return "there is no such file";
	if (code === "EACCES") return "permission denied";
	if (code === "EISDIR") return "it is a folder";
	return cause instanceof Error ? cause.message : String(cause);
}

function deepFreeze<T>(value: T): T {
	if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
		Object.freeze(value);
		for (const inner of Object.values(value)) deepFreeze(inner);
	}
	return value;
}
