// plain-yaml.test.ts - the fast reader's values are those of the yaml package, or it leaves the text unread.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { readPlainYaml } from "../../src/config/plain-yaml.js";

const root = join(import.meta.dirname, "../..");
const folders = ["examples", "test/config/bad", "test/config/warned"];
const files = folders.flatMap((folder) =>
	readdirSync(join(root, folder))
		.filter((name) => name.endsWith(".yaml"))
		.map((name) => join(folder, name)),
);
const textOf = (file: string) => readFileSync(join(root, file), "utf8");

/** What the yaml package says: the values, or undefined for a text with an error. */
function reference(text: string): unknown {
	const documents = parseAllDocuments(text, { prettyErrors: false, version: "1.2" });
	const document = "empty" in documents ? undefined : documents[0];
	if (document === undefined || documents.length > 1 || document.errors.length > 0) return undefined;
	return document.toJS();
}

function compare(text: string): boolean {
	const values = readPlainYaml(text);
	if (values === undefined) return false;
	// As text, so that the order of fields counts too.
	if (JSON.stringify(values) !== JSON.stringify(reference(text)))
		expect({ text, values }).toEqual({ text, values: reference(text) });
	return true;
}

test("the examples are read, with the values of the yaml package", () => {
	for (const file of files.filter((name) => name.startsWith("examples/")))
		expect(compare(textOf(file)), file).toBe(true);
});

test("every other file is read alike or left unread", () => {
	const read = files.filter((file) => compare(textOf(file)));
	expect(read.length).toBeGreaterThan(40);
});

test.each([
	["an anchor", "a: &x 1\nb: *x\n"],
	["a tag", "a: !!str 1\n"],
	["an escape", 'a: "\\n"\n'],
	["a key given twice", "a: 1\na: 2\n"],
	["a key given twice in a flow map", "a: { b: 1, b: 2 }\n"],
	["a merge key", "a: { <<: { b: 1 } }\n"],
	["__proto__", "__proto__: 1\n"],
	["a value on two lines", "a: one\n  two\n"],
	["a block scalar", "a: |\n  text\n"],
	["a second document", "a: 1\n---\nb: 1\n"],
	["a leading zero", "a: 010\n"],
	["a hexadecimal number", "a: 0x10\n"],
	["an exponent", "a: 1e3\n"],
	["an empty value", "a:\nb: 1\n"],
	["a tab", "a:\n\tb: 1\n"],
	["a flow collection that is indented too little", "a:\n  b: [1,\n  2]\n"],
	["a pair in a flow list", "a: [b: 1]\n"],
	["a key without a blank after it", "a: { b:1 }\n"],
])("%s is left unread", (_, text) => expect(readPlainYaml(text)).toBeUndefined());

test("random changes of the examples: the values of the yaml package, or unread", () => {
	let seed = 7;
	const random = (below: number) => {
		seed = (seed * 1103515245 + 12345) & 0x7fffffff;
		return (seed >> 8) % below;
	};
	const pieces = [
		" ",
		"  ",
		"\n",
		"\n  ",
		":",
		": ",
		"- ",
		"#",
		" #",
		",",
		"[",
		"]",
		"{",
		"}",
		'"',
		"'",
		"0",
		"1.",
		"e3",
		"a",
		"::",
		"~",
		"true",
		"|",
		"&a ",
		"*a",
		"!",
		"%",
		"\\",
	];
	const texts = ["examples/dns.yaml", "examples/game.yaml", "test/config/bad/many-at-once.yaml"].map(textOf);
	let read = 0;
	for (let i = 0; i < 3000; i++) {
		// A few lines, so that one change is not drowned.
		const lines = texts[i % texts.length]!.split("\n");
		const start = random(Math.max(1, lines.length - 12));
		let text = `top:\n${lines
			.slice(start, start + 12)
			.map((line) => `  ${line}`)
			.join("\n")}\n`;
		if (i % 2 === 0) text = lines.join("\n");
		for (let n = 1 + random(2); n > 0; n--) {
			const at = random(text.length);
			text = text.slice(0, at) + pieces[random(pieces.length)] + text.slice(at + random(3));
		}
		if (compare(text)) read++;
	}
	expect(read).toBeGreaterThan(300);
});
