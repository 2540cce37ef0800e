// problems.ts - the list of all problems of a configuration, each with its place in the file.
//
// Owns: how a problem reads, "file:line:column: field: value; rule; remedy", and the step from a field's path to its
// place in the file. Must never: know what a field means.

import { type Document, isAlias, isCollection, isMap, isScalar, type LineCounter, type Node, type Pair } from "yaml";
import type { z } from "zod";
import { type ErrorCode, ShuntError } from "../errors.js";
import { nearest } from "./suggest.js";

export type Path = readonly PropertyKey[];

type ProblemCode = Extract<ErrorCode, "SHUNT_CONFIG_SYNTAX" | "SHUNT_CONFIG_INVALID" | "SHUNT_CONFIG_REFERENCE">;

export interface Problem {
	readonly code: ProblemCode;
	readonly file: string;
	/** From 1. */
	readonly line: number;
	readonly column: number;
	/** "services.dns.backends[1].port"; empty for the file as a whole. */
	readonly field: string;
	/** The wrong value, the rule and the remedy, to be read after the field. */
	readonly message: string;
}

/** What is valid and probably not meant; it refuses nothing. */
export type Warning = Omit<Problem, "code">;

/** Listed of one file. Each is looked for in the whole document: a file of 300,000 would take minutes. */
const MOST_PROBLEMS = 100;

/** The problems of one file; its message has a line for each. */
export class ConfigError extends ShuntError {
	readonly problems: readonly Problem[];

	/** `unlisted`: how many more there are. */
	constructor(problems: readonly Problem[], unlisted = 0) {
		const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
		const order: ProblemCode[] = ["SHUNT_CONFIG_SYNTAX", "SHUNT_CONFIG_INVALID", "SHUNT_CONFIG_REFERENCE"];
		const worst = order.find((code) => sorted.some((problem) => problem.code === code));
		super(worst ?? "SHUNT_CONFIG_INVALID", {
			problems: [...sorted.map(problemText), ...(unlisted > 0 ? [`and ${unlisted} more problems`] : [])].join("\n"),
		});
		this.name = "ConfigError";
		this.problems = sorted;
	}

	override toJSON(): object {
		return { ...super.toJSON(), problems: this.problems };
	}
}

export function problemText(problem: Warning): string {
	// A record of a database has no line.
	const place = problem.line === 0 ? problem.file : `${problem.file}:${problem.line}:${problem.column}`;
	const sentence = problem.field === "" ? problem.message : `${problem.field}: ${problem.message}`;
	return `${place}: ${sentence}${sentence.endsWith("?") ? "" : "."}`;
}

export interface ParsedText {
	readonly document: Document;
	readonly lines: LineCounter;
}

/** Collects the problems of one file. */
export class ProblemList {
	readonly list: Problem[] = [];
	readonly warnings: Warning[] = [];
	/** Problems beyond those of the list. */
	unlisted = 0;
	private parsed: ParsedText | undefined;

	constructor(
		readonly file: string,
		/** Called at the first problem: places need the whole document, values do not. */
		private readonly parse: () => ParsedText,
	) {}

	private get document(): Document {
		this.parsed ??= this.parse();
		return this.parsed.document;
	}

	private get lines(): LineCounter {
		this.parsed ??= this.parse();
		return this.parsed.lines;
	}

	/** At the place of a field's value or, where the field is missing, of the nearest field around it. */
	add(code: ProblemCode, path: Path, message: string): void {
		if (this.isFull()) return;
		const written = this.asWritten(path);
		this.push(code, this.offset(written, false), written, message);
	}

	warn(path: Path, message: string): void {
		if (this.warnings.length >= MOST_PROBLEMS) return;
		const written = this.asWritten(path);
		this.warnings.push(this.placed(this.offset(written, false), written, message));
	}

	syntax(offset: number, message: string): void {
		this.push("SHUNT_CONFIG_SYNTAX", offset, [], message);
	}

	/** Every issue that zod found: unknown keys one by one, unions by the branch that fits the value's type. */
	addIssues(issues: readonly z.core.$ZodIssue[], base: Path = []): void {
		for (const issue of issues) {
			const path = [...base, ...issue.path];
			if (issue.code === "unrecognized_keys") {
				for (const key of issue.keys) this.unknownKey([...path, key], key, issue.message.split(", "));
			} else if (issue.code === "invalid_union") {
				const fitting = issue.errors.find(
					(branch) => !branch.some((i) => i.path.length === 0 && i.code === "invalid_type"),
				);
				if (fitting !== undefined && fitting.length > 0 && issue.errors.length > 1) this.addIssues(fitting, path);
				else this.add("SHUNT_CONFIG_INVALID", path, issue.message);
			} else if (issue.code === "invalid_key") {
				const message = issue.issues[0]?.message ?? issue.message;
				this.push("SHUNT_CONFIG_INVALID", this.offset(path, true), path.slice(0, -1), message);
			} else {
				this.add("SHUNT_CONFIG_INVALID", path, issue.message);
			}
		}
	}

	private unknownKey(path: Path, key: string, known: readonly string[]): void {
		if (this.isFull()) return;
		const similar = nearest(key, known);
		const remedy = similar === undefined ? `the fields here are ${known.join(", ")}` : `did you mean ${similar}?`;
		const message =
			key === "<<" ? "YAML merge keys are not supported; write the fields out" : `unknown field; ${remedy}`;
		this.push("SHUNT_CONFIG_INVALID", this.offset(path, true), path, message);
	}

	/** Counts a problem that is not listed. */
	private isFull(): boolean {
		if (this.list.length < MOST_PROBLEMS) return false;
		this.unlisted++;
		return true;
	}

	protected push(code: ProblemCode, offset: number, path: Path, message: string): void {
		this.list.push({ code, ...this.placed(offset, path, message) });
	}

	protected placed(offset: number, path: Path, message: string): Warning {
		const { line, col } = this.lines.linePos(offset);
		return {
			file: this.file,
			line: Math.max(1, line),
			column: Math.max(1, col),
			field: fieldText(path),
			message,
		};
	}

	/** Where a single value is written in place of a list of one, the place is that value. */
	protected asWritten(path: Path): Path {
		const single = typeof path.at(-1) === "number" && isScalar(this.document.getIn(path.slice(0, -1), true));
		return single ? path.slice(0, -1) : path;
	}

	protected offset(path: Path, ofKey: boolean): number {
		let node: unknown = this.document.contents;
		let offset = startOf(node) ?? 0;
		for (const [depth, step] of path.entries()) {
			if (isAlias(node)) node = node.resolve(this.document);
			if (!isCollection(node)) break;
			let key: unknown;
			let value: unknown;
			if (isMap(node)) {
				const pair: Pair | undefined = node.items.find((item) => keyText(item.key) === String(step));
				if (pair === undefined) break;
				key = pair.key;
				value = pair.value;
			} else {
				value = typeof step === "number" ? node.items[step] : undefined;
				if (value === undefined) break;
			}
			const last = depth === path.length - 1;
			// A collection is located by its key: the place of its first entry would mislead.
			const byKey = key !== undefined && ((last && ofKey) || isCollection(value) || startOf(value) === undefined);
			offset = startOf(byKey ? key : value) ?? startOf(key) ?? offset;
			node = value;
		}
		return offset;
	}
}

/** Problems of values that stand in no file: a record of a database, a URL. */
export class UnplacedProblems extends ProblemList {
	readonly paths: Path[] = [];

	constructor(file: string) {
		super(file, () => {
			throw new Error("there is no text");
		});
	}

	get first(): string {
		const { field, message } = this.list[0]!;
		return field === "" ? message : `${field}: ${message}`;
	}

	protected override asWritten(path: Path): Path {
		return path;
	}

	protected override offset(): number {
		return 0;
	}

	protected override push(code: ProblemCode, offset: number, path: Path, message: string): void {
		this.paths.push(path);
		super.push(code, offset, path, message);
	}

	protected override placed(_offset: number, path: Path, message: string): Warning {
		return { file: this.file, line: 0, column: 0, field: fieldText(path), message };
	}
}

/** "services.dns.backends[1]" */
export function fieldText(path: Path): string {
	let text = "";
	for (const step of path) {
		if (typeof step === "number") text += `[${step}]`;
		else text += text === "" ? String(step) : `.${String(step)}`;
	}
	return text;
}

function keyText(key: unknown): string | undefined {
	return isScalar(key) ? String(key.value) : undefined;
}

function startOf(node: unknown): number | undefined {
	return (node as Node | null | undefined)?.range?.[0];
}
