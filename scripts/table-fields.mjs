#!/usr/bin/env node
// table-fields - writes what follows from native/datapath/table_fields.yaml, the list of the fields of the tables.
//
//   node scripts/table-fields.mjs            writes the files
//   node scripts/table-fields.mjs --check    names those that are out of date, and fails if there is one
//
// Owns: the form of the generated files, and that no two fields of a record overlap.
// Must never: be needed for a build: what it writes is committed.

import { readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const root = resolve(fileURLToPath(new URL("..", import.meta.url)));
const LIST = "native/datapath/table_fields.yaml";
const { enums, records } = parse(readFileSync(join(root, LIST), "utf8"));
const NOTE = `Generated from ${LIST} by scripts/table-fields.mjs; do not edit.`;

const camel = (name) => name.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase());
const pascal = (name) => camel(`_${name}`);

/** What each type is: in TypeScript, TableSpec and the record; its size and alignment there; and how it is read. */
const number = (bits) => ({
	ts: "number",
	spec: `u${bits}`,
	record: `u${bits}`,
	size: bits / 8,
	align: bits / 8,
	read: (f, into) => `${into} = (u${bits})f.number("${f.js}", ${f.max ?? MAX[bits]}${f.optional ? `, ${into}` : ""});`,
});
const MAX = { 8: "0xff", 16: "0xffff", 32: "0xffffffff" };
const TYPES = {
	u8: number(8),
	u16: number(16),
	u32: number(32),
	u64: {
		...{ ts: "bigint", spec: "u64", record: "u64", size: 8, align: 8 },
		read: (f, into) => `${into} = f.bigint("${f.js}");`,
	},
	port: { ...number(16), record: "be16", write: (from) => `sh_htons(${from})` },
	flag: { ts: "boolean", spec: "bool", read: (f, into) => `${into} = f.flag("${f.js}", ${into});` },
	address: {
		...{ ts: "Buffer", spec: "sh_addr", record: "struct sh_addr", size: 16, align: 8 },
		read: (f, into) => `${into} = f.address("${f.js}");`,
	},
	mac: {
		...{ ts: "Buffer", spec: "u8", specCount: "[6]", record: "u8", recordCount: "[6]", size: 6, align: 1 },
		read: (f, into) =>
			f.nullable
				? `s.${f.nullable} = f.has("${f.js}") && f.bytes("${f.js}", ${into}, 6);`
				: `f.bytes("${f.js}", ${into}, 6);`,
		copy: (from, to) => `std::copy(${from}, ${from} + 6, ${to});`,
	},
	rows: { ts: "Uint16Array", spec: "std::vector<u16>", read: (f, into) => `f.rows("${f.js}", &${into});` },
	secret: {
		...{ ts: "Buffer", spec: "u64", specCount: "[2]", record: "u64", recordCount: "[2]", size: 16, align: 8 },
		read: (f, into) => `f.secret("${f.js}", ${into});`,
		copy: (from, to) => `std::copy(${from}, ${from} + 2, ${to});`,
	},
	seeds: {
		...{ ts: "readonly [bigint, bigint]", spec: "u64", specCount: "[2]", record: "u64", recordCount: "[2]" },
		...{ size: 16, align: 8 },
		read: (f, into) => `f.bigints("${f.js}", ${into}, 2);`,
		copy: (from, to) => `std::copy(${from}, ${from} + 2, ${to});`,
	},
};
for (const record of records)
	TYPES[record.name] = {
		ts: record.type,
		spec: pascal(record.name),
		record: `struct ${record.struct}`,
		size: record.size,
		align: 8,
		read: (f, into) =>
			f.optional
				? `if (f.has("${f.js}"))\n\t\t${into} = read_${record.name}(f.object("${f.js}"));`
				: `${into} = read_${record.name}(f.object("${f.js}"));`,
	};

function typeOf(field) {
	if (!Array.isArray(field.type)) return TYPES[field.type];
	const [name] = field.type;
	const element = TYPES[name];
	const value = name === "address" ? "address_of(value, place)" : `read_${name}(Fields(value, place))`;
	return {
		ts: `readonly ${element.ts}[]`,
		spec: `std::vector<${element.spec}>`,
		read: (f, into) =>
			[
				`f.list("${f.js}", [&](const Napi::Value &value, const std::string &place) {`,
				`\t\t${into}.push_back(${value});`,
				"\t});",
			].join("\n"),
	};
}

/** Keys of a field. A comma in an unquoted `doc` would begin another. */
const FIELD_KEYS = "name type in at bit count max optional default nullable ts from doc js".split(" ");

for (const record of records)
	for (const field of record.fields) {
		for (const key of Object.keys(field))
			if (!FIELD_KEYS.includes(key))
				fail(`${record.name}.${field.name}: ${JSON.stringify(key)} is none of ${FIELD_KEYS}`);
		field.js ??= camel(field.name);
		const type = typeOf(field);
		if (type === undefined) fail(`${record.name}.${field.name}: there is no type ${field.type}`);
		field.is = { ...type, ...(field.ts ? { ts: field.ts } : {}) };
		const everywhere = record.struct ? ["js", "spec", "record"] : ["js", "spec"];
		const places = field.in ?? everywhere;
		field.inJs = places.includes("js");
		field.inSpec = places.includes("spec");
		field.inRecord = places.includes("record");
	}

function fail(problem) {
	process.stderr.write(`${LIST}: ${problem}\n`);
	process.exit(1);
}

// ---- native/datapath/table_records.h

/** Members by offset, holes filled. */
function layout(record) {
	const members = record.fields
		.filter((field) => field.inRecord && field.type !== "flag")
		.map((field) => ({
			name: field.name,
			at: field.at,
			type: field.is.record,
			dimension: field.count ? `[${field.count[0]}]` : (field.is.recordCount ?? ""),
			size: field.is.size * (field.count?.[1] ?? 1),
			align: field.is.align,
			doc: field.doc,
		}));
	if (record.flags)
		members.push({
			...{ name: "flags", at: record.flags.at, type: "u8", dimension: "", size: 1, align: 1 },
			doc: `${record.flags.prefix}*, or-ed.`,
		});
	const filled = [];
	let end = 0;
	let holes = 0;
	const hole = (to) => {
		const size = to - end;
		const whole = [1, 2, 4].includes(size) && end % size === 0;
		const name = `reserved${++holes === 1 ? "" : holes}`;
		filled.push({ name, type: whole ? `u${size * 8}` : "u8", dimension: whole ? "" : `[${size}]` });
	};
	for (const member of members.sort((a, b) => a.at - b.at)) {
		const where = `${record.name}.${member.name}`;
		if (!Number.isInteger(member.at)) fail(`${where} has no place in the record; give \`at\`, or \`in: [js, spec]\``);
		if (member.at % member.align !== 0)
			fail(`${where} is at ${member.at}; it must be at a multiple of ${member.align}`);
		if (member.at < end) fail(`${where} is at ${member.at}, where another field ends at ${end}`);
		if (member.at > end) hole(member.at);
		filled.push(member);
		end = member.at + member.size;
	}
	if (end > record.size) fail(`${record.name} is ${end} bytes long; it may have ${record.size}`);
	if (end < record.size) hole(record.size);
	return filled;
}

/** `lines` of [code, comment]: the comments in one column. */
function aligned(lines, indent = "\t") {
	const width = Math.max(...lines.map(([code]) => code.length));
	return lines.map(([code, comment]) => `${indent}${comment ? `${code.padEnd(width)} /* ${comment} */` : code}`);
}

const noStop = (text) => text?.replace(/\.$/, "");

/** A C comment of whole lines. */
function comment(text, first = "/* ") {
	const lines = [];
	let line = first;
	for (const word of text.split(" ")) {
		if (line.length + word.length > 116) {
			lines.push(line.trimEnd());
			line = " * ";
		}
		line += `${word} `;
	}
	return [...lines, `${line.trimEnd()} */`];
}

function recordsHeader() {
	const out = [
		"/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only",
		" *",
		" * table_records.h - the records of the tables, as the packet program reads them.",
		` * ${NOTE}`,
		" */",
		"#ifndef SHUNT_DATAPATH_TABLE_RECORDS_H",
		"#define SHUNT_DATAPATH_TABLE_RECORDS_H",
		"",
		'#include "datapath/types.h"',
		"",
		"/* clang-format off */",
	];
	for (const one of enums) {
		out.push("", ...comment(one.doc), `enum ${one.name.startsWith("sh_") ? `${one.name} ` : ""}{`);
		out.push(...aligned(one.values.map(({ c, value, doc }) => [`${c} = ${value},`, doc])), "};");
	}
	for (const record of records.filter(({ struct }) => struct)) {
		const flags = record.fields.filter((field) => field.type === "flag" && field.inRecord);
		if (flags.length > 0) {
			const used = new Set(flags.map(({ bit }) => bit));
			if (used.size < flags.length || [...used].some((bit) => ![1, 2, 4, 8, 16, 32, 64, 128].includes(bit)))
				fail(`${record.name} has flags without a bit of their own; bits are 1, 2, 4 .. 128`);
			out.push("", `/* ${record.struct}.flags */`, "enum {");
			out.push(
				...aligned(flags.map((field) => [`${flagName(record, field)} = ${field.bit},`, noStop(field.doc)])),
				"};",
			);
		}
		out.push("", ...comment(record.doc), `struct ${record.struct} {`);
		out.push(
			...aligned(layout(record).map(({ type, name, dimension, doc }) => [`${type} ${name}${dimension};`, noStop(doc)])),
		);
		out.push("};", `SH_STATIC_ASSERT(sizeof(struct ${record.struct}) == ${record.size}, "${record.why ?? LIST}");`);
	}
	return [...out, "", "/* clang-format on */", "", "#endif", ""].join("\n");
}

const flagName = (record, { name }) => `${record.flags.prefix}${name.toUpperCase()}`;

// ---- native/engine/table_spec.h

function cppHead(file, guard, what, includes) {
	return [
		"// SPDX-License-Identifier: Apache-2.0",
		"//",
		`// ${file} - ${what}`,
		`// ${NOTE}`,
		`#ifndef ${guard}`,
		`#define ${guard}`,
		"",
		...includes,
		"",
		"namespace shunt",
		"{",
		"",
		"// clang-format off",
	];
}

function specMembers(record) {
	return record.fields
		.filter((field) => field.inSpec)
		.map((field) => {
			const { spec, specCount = "" } = field.is;
			const initial =
				field.type === "flag" ? "false" : /^u\d+$/.test(spec) && !specCount ? (field.default ?? 0) : undefined;
			return [`${spec} ${field.name}${specCount}${initial === undefined ? " = {}" : ` = ${initial}`};`, field.doc];
		});
}

function specHeader() {
	const out = cppHead(
		"table_spec.h",
		"SHUNT_ENGINE_TABLE_SPEC_H",
		"a set of tables as plain C++ values. Numbers in host order, addresses in mapped form.",
		["#include <string>", "#include <vector>", "", "#include <engine_platform.h>"],
	);
	const set = records.find(({ spec }) => spec);
	const member = (indent) => (line) =>
		line
			.replace("/* ", "// ")
			.replace(/ \*\/$/, "")
			.replace(/^/, indent);
	out.push(`struct ${set.spec} {`);
	for (const record of records.filter((one) => one !== set))
		out.push(`\tstruct ${pascal(record.name)} {`, ...aligned(specMembers(record), "").map(member("\t\t")), "\t};");
	out.push("", ...aligned(specMembers(set), "").map(member("\t")), "};");
	return [...out, "// clang-format on", "", "} // namespace shunt", "", "#endif", ""].join("\n");
}

const specName = (record) => record.spec ?? `TableSpec::${pascal(record.name)}`;

// ---- native/engine/table_records.h

function writerHeader() {
	const out = cppHead(
		"table_records.h",
		"SHUNT_ENGINE_TABLE_RECORDS_H",
		"copies what TableSpec and a record have in common; what a record alone has stays 0.",
		["#include <algorithm>", "", '#include "engine/table_spec.h"'],
	);
	for (const record of records.filter(({ struct }) => struct)) {
		const common = record.fields.filter((field) => field.inSpec && field.inRecord);
		out.push(
			`inline struct ${record.struct} ${record.name}_record(const ${specName(record)} &s)`,
			"{",
			`\tstruct ${record.struct} r = {};`,
			"",
		);
		for (const field of common) {
			const from = `s.${field.name}`;
			const to = `r.${field.name}`;
			if (field.type === "flag") out.push(`\tr.flags |= ${from} ? ${flagName(record, field)} : 0;`);
			else if (field.is.copy) out.push(`\t${field.is.copy(from, to)}`);
			else out.push(`\t${to} = ${field.is.write?.(from) ?? from};`);
		}
		out.push("\treturn r;", "}", "");
	}
	return [...out, "// clang-format on", "", "} // namespace shunt", "", "#endif", ""].join("\n");
}

// ---- native/addon/table_fields.h

function readerHeader() {
	const out = cppHead(
		"table_fields.h",
		"SHUNT_ADDON_TABLE_FIELDS_H",
		"reads a set of tables, field by field. What does not fit is left in Fields::problem().",
		['#include "addon/fields.h"', '#include "engine/table_spec.h"'],
	);
	for (const record of records) {
		out.push(`inline ${specName(record)} read_${record.name}(const Fields &f)`, "{", `\t${specName(record)} s;`, "");
		for (const field of record.fields.filter(({ inJs }) => inJs))
			out.push(`\t${field.is.read(field, `s.${field.name}`)}`);
		out.push("\treturn s;", "}", "");
	}
	return [...out, "// clang-format on", "", "} // namespace shunt", "", "#endif", ""].join("\n");
}

// ---- src/engine/packed-tables.ts and native/engine/packed_tables.h

/** How a field stands in a packed entry: its bytes, how TypeScript writes it `to` a buffer, how C++ reads it from `p`. */
const unsigned = (bits) => ({
	bytes: bits / 8,
	write: (value, at) => `to.writeUInt${bits}${bits === 8 ? "" : "LE"}(${value}, ${at});`,
	read: (at) => (bits === 8 ? `p[${at}]` : `packed<u${bits}>(p + ${at})`),
});
const PACKED = {
	u8: unsigned(8),
	u16: unsigned(16),
	u32: unsigned(32),
	port: unsigned(16),
	flag: {
		bytes: 1,
		write: (value, at) => `to.writeUInt8(${value} ? 1 : 0, ${at});`,
		read: (at) => `p[${at}] != 0`,
	},
	address: {
		bytes: 16,
		write: (value, at) => `to.set(${value}, ${at});`,
		read: (at) => `packed<sh_addr>(p + ${at})`,
	},
	mac: { bytes: 6 },
};

/** Of an optional field that is absent. */
function absent({ type, default: value = 0 }) {
	if (type === "flag" || typeof value === "number") return value;
	return enums.flatMap(({ values }) => values).find(({ c }) => c === value)?.value ?? fail(`${value} has no value`);
}

/** The fields of an entry, each with its place; after the last, the entry's bytes. */
function packedFields(record) {
	let at = 0;
	const fields = record.fields
		.filter(({ inJs }) => inJs)
		.map((field) => {
			const packed = PACKED[field.type] ?? fail(`${record.name}.${field.name}: ${field.type} cannot be packed`);
			const place = { field, packed, at };
			at += packed.bytes + (field.nullable ? 1 : 0);
			return place;
		});
	return { fields, bytes: at };
}

const packedRecords = records.filter(({ packed }) => packed);

function packers() {
	const out = tsHead("packed-tables.ts", "entries of tables as bytes, which another thread reads.");
	out.push(
		`import type { ${packedRecords
			.map(({ type }) => type)
			.sort()
			.join(", ")} } from "../policy/index.js";`,
		"",
	);
	out.push("/** Bytes of an entry. */", "export const PACKED_BYTES = {");
	for (const record of packedRecords) out.push(`\t${record.name}: ${packedFields(record).bytes},`);
	out.push("} as const;");
	const place = (record, { js }, more = 0) =>
		`at + ${record.name.toUpperCase()}.${js}${more === 0 ? "" : ` + ${more}`}`;
	for (const record of packedRecords) {
		const places = packedFields(record).fields.map(({ field, at }) => `\t${field.js}: ${at},`);
		out.push("", "/** Where each field begins. One is missing: run node scripts/table-fields.mjs. */");
		out.push(`const ${record.name.toUpperCase()} = {`, ...places);
		out.push(`} as const satisfies Record<keyof ${record.type}, number>;`);
		out.push(
			"",
			`export function pack${record.type.replace(/^Table/, "")}(from: ${record.type}, to: Buffer, at: number): void {`,
		);
		for (const { field, packed } of packedFields(record).fields) {
			const value = `from.${field.js}${field.optional && field.type !== "flag" ? ` ?? ${absent(field)}` : ""}`;
			if (field.type !== "mac") out.push(`\t${packed.write(value, place(record, field))}`);
			else if (!field.nullable) out.push(`\tto.set(${value}, ${place(record, field)});`);
			else
				out.push(
					`\tto.writeUInt8(${value} === null ? 0 : 1, ${place(record, field)});`,
					`\tif (${value} !== null) to.set(${value}, ${place(record, field, 1)});`,
				);
		}
		out.push("}");
	}
	return [...out, ""].join("\n");
}

function unpackers() {
	const out = cppHead(
		"packed_tables.h",
		"SHUNT_ENGINE_PACKED_TABLES_H",
		"reads the entries of tables that src/engine/packed-tables.ts has packed.",
		["#include <algorithm>", "#include <cstring>", "", '#include "engine/table_spec.h"'],
	);
	out.push(
		"template <typename T> T packed(const u8 *p)",
		"{",
		"\tT value;",
		"",
		"\tmemcpy(&value, p, sizeof(value));",
		"\treturn value;",
		"}",
		"",
	);
	for (const record of packedRecords) {
		const { fields, bytes } = packedFields(record);
		const constant = `PACKED_${record.name.toUpperCase()}`;
		out.push(
			`constexpr size_t ${constant} = ${bytes};`,
			"",
			`inline ${specName(record)} unpack_${record.name}(const u8 *p)`,
			"{",
			`\t${specName(record)} s;`,
			"",
		);
		for (const { field, packed, at } of fields) {
			const from = at + (field.nullable ? 1 : 0);
			if (field.nullable) out.push(`\ts.${field.nullable} = p[${at}] != 0;`);
			if (field.type === "mac") out.push(`\tstd::copy(p + ${from}, p + ${from + 6}, s.${field.name});`);
			else out.push(`\ts.${field.name} = ${packed.read(at)};`);
		}
		out.push("\treturn s;", "}", "");
	}
	return [...out, "// clang-format on", "", "} // namespace shunt", "", "#endif", ""].join("\n");
}

// ---- src/policy/table-fields.ts and src/config/service-fields.ts

function tsHead(file, what) {
	return [`// ${file} - ${what}`, `// ${NOTE}`, ""];
}

const docLine = (text, indent = "") => (text ? [`${indent}/** ${text} */`] : []);

function docOf(field) {
	const fallback = field.type === "flag" ? "false" : typeof field.default === "number" ? field.default : undefined;
	return field.optional && fallback !== undefined ? `${field.doc} Default ${fallback}.` : field.doc;
}

const copied = (...from) =>
	records.find(({ name }) => name === "service").fields.filter((field) => from.includes(field.from));

/** A function that copies these fields, and no others. */
function copyFunction(name, type, fields) {
	return [
		`export function ${name}(from: ${type}): ${type} {`,
		"\treturn {",
		...fields.map(({ js }) => `\t\t${js}: from.${js},`),
		"\t};",
		"}",
	];
}

function tablesTypes() {
	const out = tsHead("table-fields.ts", "a set of tables as plain values, and the values of its enumerations.");
	for (const { ts, doc, values } of enums)
		out.push(
			...docLine(doc),
			`export const ${ts} = { ${values.map(({ name, value }) => `${name}: ${value}`).join(", ")} } as const;`,
		);
	for (const record of records) {
		out.push(
			"",
			...docLine(record.summary ?? record.doc.split(". ")[0].replace(/\.?$/, ".")),
			`export interface ${record.type} {`,
		);
		for (const field of record.fields.filter(({ inJs }) => inJs))
			out.push(
				...docLine(docOf(field), "\t"),
				`\treadonly ${field.js}${field.optional ? "?" : ""}: ${field.is.ts}${field.nullable ? " | null" : ""};`,
			);
		out.push("}");
	}
	const fields = copied("service", "file");
	out.push("", "/** Fields of a service that its tables take unchanged from the configuration's model. */");
	out.push("export interface ServiceTableFields {");
	for (const { js, optional } of fields) out.push(`\treadonly ${js}${optional ? "?" : ""}: TableService["${js}"];`);
	out.push("}");
	out.push("", ...copyFunction("serviceTableFields", "ServiceTableFields", fields), "");
	return out.join("\n");
}

function serviceFields() {
	const out = tsHead("service-fields.ts", "the fields that a service takes unchanged from the configuration file.");
	out.push("export interface CopiedServiceFields {");
	const fields = copied("file");
	for (const field of fields) out.push(...docLine(field.doc, "\t"), `\treadonly ${field.js}: ${field.is.ts};`);
	out.push("}", "", ...copyFunction("copiedServiceFields", "CopiedServiceFields", fields), "");
	return out.join("\n");
}

// ----

const files = {
	"native/datapath/table_records.h": recordsHeader(),
	"native/engine/table_spec.h": specHeader(),
	"native/engine/table_records.h": writerHeader(),
	"native/addon/table_fields.h": readerHeader(),
	"native/engine/packed_tables.h": unpackers(),
	"src/engine/packed-tables.ts": packers(),
	"src/policy/table-fields.ts": tablesTypes(),
	"src/config/service-fields.ts": serviceFields(),
};

const check = process.argv.includes("--check");
let stale = 0;
for (const [file, text] of Object.entries(files)) {
	const path = join(root, file);
	const current = (() => {
		try {
			return readFileSync(path, "utf8");
		} catch {
			return undefined;
		}
	})();
	if (current === text) continue;
	stale++;
	if (check) process.stderr.write(`${relative(root, path)} is out of date; run: node scripts/table-fields.mjs\n`);
	else writeFileSync(path, text);
}
if (check) process.exitCode = stale === 0 ? 0 : 1;
