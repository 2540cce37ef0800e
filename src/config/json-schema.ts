// json-schema.ts - the schema for editors (schema/shunt.schema.json) and as the table of docs/configuration.md.

import { z } from "zod";
import { configSchema } from "./schema.js";

interface JsonSchema {
	readonly [keyword: string]: unknown;
	readonly type?: string;
	readonly description?: string;
	readonly default?: unknown;
	readonly properties?: Readonly<Record<string, JsonSchema>>;
	readonly additionalProperties?: JsonSchema | boolean;
	readonly items?: JsonSchema;
	readonly anyOf?: readonly JsonSchema[];
	readonly enum?: readonly unknown[];
	readonly const?: unknown;
	readonly pattern?: string;
	readonly required?: readonly string[];
	readonly minimum?: number;
	readonly maximum?: number;
}

/** JSON Schema (2020-12) of the configuration file. */
export function exportJsonSchema(): object {
	const schema = z.toJSONSchema(configSchema, { io: "input", reused: "inline" });
	return {
		title: "Shunt configuration",
		...schema,
	};
}

/** The table of all fields, in Markdown. */
export function fieldTable(): string {
	const rows: string[] = ["| field | type | default | meaning |", "|---|---|---|---|"];
	walk(exportJsonSchema() as JsonSchema, "", rows);
	return rows.join("\n");
}

function walk(schema: JsonSchema, path: string, rows: string[]): void {
	for (const [name, field] of Object.entries(schema.properties ?? {})) {
		const full = path === "" ? name : `${path}.${name}`;
		rows.push(
			`| \`${full}\` | ${typeText(field)} | ${defaultText(field, schema, name)} | ${field.description ?? ""} |`,
		);
		descend(field, full, rows);
	}
	if (typeof schema.additionalProperties === "object") walk(schema.additionalProperties, `${path}.<name>`, rows);
}

function descend(field: JsonSchema, path: string, rows: string[]): void {
	if (field.properties !== undefined || typeof field.additionalProperties === "object") walk(field, path, rows);
	else if (field.items !== undefined) descend(field.items, `${path}[]`, rows);
	else for (const branch of field.anyOf ?? []) if (branch.properties !== undefined) walk(branch, path, rows);
}

function typeText(field: JsonSchema): string {
	if (field.const !== undefined) return `\`${String(field.const)}\``;
	if (field.enum !== undefined) return field.enum.map((value) => `\`${String(value)}\``).join(" or ");
	if (field.anyOf !== undefined) return [...new Set(field.anyOf.map(typeText))].join(" or ");
	if (field.type === "array") return `list of ${field.items === undefined ? "anything" : typeText(field.items)}`;
	if (field.type === "object") return "map";
	if (field.type === "integer") return `${field.minimum} … ${field.maximum}`;
	if (field.pattern?.includes("us|ms") === true) return "duration";
	return field.type === "string" ? "text" : (field.type ?? "");
}

function defaultText(field: JsonSchema, parent: JsonSchema, name: string): string {
	if (parent.required?.includes(name) === true) return "required";
	if (field.default === undefined || typeof field.default === "object") return "";
	return `\`${String(field.default)}\``;
}
