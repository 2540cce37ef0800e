// language.test.ts - the words of the field: no banned word in source, documentation, scripts and test titles, and no long
// line of prose in a page.
//
// Owns: the lists of words, files and exceptions.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");

/** A packet program has packets, slots, records, clients and backends; a pronoun names none of them. */
const BANNED = [
	/\b(?:no|some|any|every)body\b/i,
	/\b(?:some|any)one\b/i,
	/\bwho(?:m|so)?ever\b/i,
	/\bwho is there\b/i,
	/\bwhat comes\b/i,
	/\bstreets?\b/i,
	/\b(?:leaves|leave|left) the way\b/i,
	/\bpapers?\b/i,
	/\bclothes\b/i,
];

/** A paper that is one: a publication. */
const PUBLICATION =
	/\b(?:SipHash|Maglev|Cuckoo\+\+|reference|conference|original|published)\b[^.]*\bpapers?\b|\bpapers?\b[^.]*\b(?:SipHash|Maglev|vectors)\b|siphash_reference/i;

const PROSE_MAX = 120;
const GENERATED_MAX = 400;
const GENERATED = new Set(["docs/requirements.md", "docs/reasons.md"]);

const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
	cwd: root,
	encoding: "utf8",
});
const files = listed.split("\0").filter((path) => path !== "" && existsSync(join(root, path)));

const TEXT = /\.(?:ts|mjs|c|cc|h|md|lua|conf|yaml|json|html|css|svg|supp)$|^(?:scripts|\.ci)\/[^.]*$|\/build$/;
const GIVEN = /^(?:package-lock\.json|bench\/results\/|LICENSE)|^test\/docs\/language\.test\.ts$/;

function folderFiles(...folders: readonly string[]): string[] {
	return files.filter((path) => TEXT.test(path) && !GIVEN.test(path) && folders.some((one) => path.startsWith(one)));
}

function lines(path: string): string[] {
	return readFileSync(join(root, path), "utf8").split("\n");
}

function bannedIn(paths: readonly string[], only = /./): string[] {
	return paths.flatMap((path) =>
		lines(path).flatMap((line, i) => {
			if (!only.test(line) || PUBLICATION.test(line)) return [];
			const found = BANNED.map((word) => word.exec(line)?.[0]).filter((word) => word !== undefined);
			return found.map((word) => `${path}:${i + 1}: ${word}`);
		}),
	);
}

const PLACES: readonly [string, string[]][] = [
	...[...new Set(files.map((path) => /^(?:src|native)\/[^/]+/.exec(path)?.[0]))]
		.filter((folder) => folder !== undefined)
		.map((folder): [string, string[]] => [folder, folderFiles(folder.includes(".") ? folder : `${folder}/`)]),
	["docs", folderFiles("docs/")],
	["scripts", folderFiles("scripts/", ".ci/", "Makefile")],
	["examples and schema", folderFiles("examples/", "schema/")],
	["the root's pages", files.filter((path) => /^[A-Z]+\.md$|^Makefile$|^CMakeLists\.txt$|^package\.json$/.test(path))],
];

describe("the words of the field", () => {
	test.each(PLACES)("no banned word in %s", (_, paths) => {
		expect(bannedIn(paths)).toEqual([]);
	});

	test("no banned word in a test's title", () => {
		const titles = /\b(?:test|it|describe|TEST_CASE|TEST)\S*\(|\btitle:|^\s*["'`]/;
		expect(bannedIn(folderFiles("test/"), titles)).toEqual([]);
	});

	test("no banned word in a test's head and comments", () => {
		expect(bannedIn(folderFiles("test/"), /^\s*(?:\/\/|\/?\*|#)|\s\/\/ /)).toEqual([]);
	});
});

describe("the length of lines", () => {
	/** Prose only: no table row, code block, link definition, or line that one link or word makes long. */
	function longLines(path: string, max: number): string[] {
		let code = false;
		return lines(path).flatMap((line, i) => {
			if (/^\s*(?:```|~~~)/.test(line)) code = !code;
			const isProse = !code && !line.startsWith("|") && !/\]\([^)]*\)|^\[.*\]: |https?:\/\//.test(line);
			const limit = isProse ? max : GENERATED_MAX;
			return [...line].length > limit ? [`${path}:${i + 1}: ${[...line].length} characters`] : [];
		});
	}

	test("no line of prose above 120 characters in a page, and none above 400 in a generated one", () => {
		const pages = files.filter((path) => path.endsWith(".md") && !GIVEN.test(path));
		const long = pages.flatMap((path) => longLines(path, GENERATED.has(path) ? GENERATED_MAX : PROSE_MAX));
		expect(long).toEqual([]);
	});
});
