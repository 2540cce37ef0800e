// plain-yaml.ts - the values of a YAML text that uses only what configurations mostly use: maps, lists, words, numbers,
// quoted text without escapes, comments. A file of 100,000 rules is read in a tenth of the time of the whole language.
//
// Owns: that subset. What it reads, the yaml package reads alike (test/config/plain-yaml.test.ts compares them).
// Must never: report an error, or guess. Whatever is not certain (an anchor, a tag, an escape, a key given twice, a value
// on two lines, an unusual number) makes the whole text unread, and the yaml package reads and reports.

/** Ends the reading; no message leaves this file. */
const UNREAD = Symbol("not in the subset");

const WORD = /[A-Za-z0-9_][A-Za-z0-9_./%:-]*/y;
/** A text of several words; in a flow collection, a comma would end it. */
const WORDS = /[A-Za-z][A-Za-z0-9_.,/-]*(?: [A-Za-z0-9_.,/-]+)+(?= *(?:\n|$))/y;
const KEY = /([A-Za-z_][A-Za-z0-9_.-]*):(?=[ \n])/y;
const DOUBLE = /"([^"\\\n]*)"/y;
const SINGLE = /'([^'\n]*)'/y;
const BLANKS = / +/y;

/** Words that are values in YAML's core schema, in any case. */
const SPECIAL = /^(null|true|false)$/i;
const QUANTITY = /^[0-9]+(\.[0-9]+)?(us|ms|s|m|h|kbit|Mbit|Gbit|Tbit|%)$/;
/** At least two dots, a colon or a slash: no number is spelt so. */
const NO_NUMBER = /^[0-9]+\.[0-9]+\.|[:/]/;
/** Of a colon that ends a key, or that a flow collection could read otherwise. */
const LOOSE_COLON = /:(?![0-9a-fA-F:/])/;

/** A map, or undefined if the text is not of the subset. */
export function readPlainYaml(text: string): Record<string, unknown> | undefined {
	try {
		const reader = new Reader(text);
		return reader.document();
	} catch (error) {
		if (error === UNREAD) return undefined;
		throw error;
	}
}

class Reader {
	readonly #text: string;
	#at = 0;

	constructor(text: string) {
		this.#text = text;
	}

	document(): Record<string, unknown> {
		const indent = this.#nextLine();
		const map = this.#blockMap(indent);
		if (this.#at !== this.#text.length) throw UNREAD;
		return map;
	}

	/** To the first character of the next line with content; its indentation, -1 at the end. At the start of a line. */
	#nextLine(): number {
		for (;;) {
			const start = this.#at;
			this.#match(BLANKS);
			const first = this.#text[this.#at];
			if (first === undefined) return -1;
			if (first === "#") this.#skipComment();
			else if (first !== "\n") return this.#at - start;
			if (this.#text[this.#at] === "\n") this.#at++;
		}
	}

	#skipComment(): void {
		const end = this.#text.indexOf("\n", this.#at);
		const comment = this.#text.slice(this.#at, end < 0 ? this.#text.length : end);
		if (!/^[\x20-\x7e]*$/.test(comment)) throw UNREAD;
		this.#at += comment.length;
	}

	/** After a value: nothing else but a comment may be on its line. */
	#endOfLine(): void {
		const blank = this.#match(BLANKS) !== undefined;
		if (blank && this.#text[this.#at] === "#") this.#skipComment();
		if (this.#at === this.#text.length) return;
		if (this.#text[this.#at] !== "\n") throw UNREAD;
		this.#at++;
	}

	/** At the first key. */
	#blockMap(indent: number): Record<string, unknown> {
		const map: Record<string, unknown> = {};
		for (;;) {
			this.#add(map, this.#key(), () => this.#blockValue(indent, true));
			const next = this.#peekIndent();
			if (next < indent) return map;
			if (next > indent) throw UNREAD;
			this.#nextLine();
		}
	}

	/** At the first dash. */
	#blockList(indent: number): unknown[] {
		const items: unknown[] = [];
		for (;;) {
			if (!this.#text.startsWith("- ", this.#at)) throw UNREAD;
			this.#at += 2;
			const column = indent + 2 + (this.#match(BLANKS)?.length ?? 0);
			KEY.lastIndex = this.#at;
			items.push(KEY.test(this.#text) ? this.#blockMap(column) : this.#blockValue(indent, false));
			const next = this.#peekIndent();
			if (next > indent) throw UNREAD;
			const start = this.#at;
			if (next < indent || this.#nextLine() < 0 || this.#text[this.#at] !== "-") {
				this.#at = start;
				return items;
			}
		}
	}

	/** After "key:" or "- ". */
	#blockValue(indent: number, ofKey: boolean): unknown {
		this.#match(BLANKS);
		const first = this.#text[this.#at];
		if (first !== "\n" && first !== "#") {
			const value = this.#value(indent, false);
			this.#endOfLine();
			return value;
		}
		if (!ofKey) throw UNREAD;
		if (first === "#") this.#skipComment();
		if (this.#text[this.#at] === "\n") this.#at++;
		const inner = this.#nextLine();
		const isList = this.#text[this.#at] === "-";
		if (inner < indent || (inner === indent && !isList)) throw UNREAD;
		return isList ? this.#blockList(inner) : this.#blockMap(inner);
	}

	#peekIndent(): number {
		const start = this.#at;
		const indent = this.#nextLine();
		this.#at = start;
		return indent;
	}

	#key(): string {
		const key = this.#match(KEY, 1);
		if (key === undefined || SPECIAL.test(key)) throw UNREAD;
		return key;
	}

	#add(map: Record<string, unknown>, key: string, value: () => unknown): void {
		if (key === "__proto__" || Object.hasOwn(map, key)) throw UNREAD;
		map[key] = value();
	}

	#value(indent: number, inFlow: boolean): unknown {
		switch (this.#text[this.#at]) {
			case "{":
				return this.#flowMap(indent);
			case "[":
				return this.#flowList(indent);
			case '"':
				return this.#quoted(DOUBLE);
			case "'":
				return this.#quoted(SINGLE);
			default:
				return (inFlow ? undefined : this.#match(WORDS)) ?? wordValue(this.#match(WORD));
		}
	}

	#quoted(pattern: RegExp): string {
		const inner = this.#match(pattern, 1);
		if (inner === undefined || !/^[\x20-\x7e]*$/.test(inner)) throw UNREAD;
		return inner;
	}

	#flowMap(indent: number): Record<string, unknown> {
		const map: Record<string, unknown> = {};
		this.#flowItems(indent, "}", () =>
			this.#add(map, this.#key(), () => {
				this.#flowBlanks(indent);
				return this.#value(indent, true);
			}),
		);
		return map;
	}

	#flowList(indent: number): unknown[] {
		const items: unknown[] = [];
		this.#flowItems(indent, "]", () => items.push(this.#value(indent, true)));
		return items;
	}

	#flowItems(indent: number, end: string, item: () => void): void {
		this.#at++;
		for (this.#flowBlanks(indent); this.#text[this.#at] !== end; this.#flowBlanks(indent)) {
			item();
			this.#flowBlanks(indent);
			const after = this.#text[this.#at];
			if (after === ",") this.#at++;
			else if (after !== end) throw UNREAD;
		}
		this.#at++;
	}

	/** Lines of a flow collection are indented by more than the block around it. */
	#flowBlanks(indent: number): void {
		this.#match(BLANKS);
		while (this.#text[this.#at] === "\n" || (this.#text[this.#at] === "#" && this.#text[this.#at - 1] === " ")) {
			if (this.#text[this.#at] === "#") this.#skipComment();
			if (this.#text[this.#at] === "\n") this.#at++;
			if (this.#nextLine() <= indent) throw UNREAD;
		}
	}

	#match(pattern: RegExp, group = 0): string | undefined {
		pattern.lastIndex = this.#at;
		const match = pattern.exec(this.#text);
		if (match === null) return undefined;
		this.#at = pattern.lastIndex;
		return match[group];
	}
}

function wordValue(word: string | undefined): string | number | boolean {
	if (word === undefined || LOOSE_COLON.test(word)) throw UNREAD;
	if (word === "true" || word === "false") return word === "true";
	if (SPECIAL.test(word)) throw UNREAD;
	const first = word.charCodeAt(0);
	if (first > 57) return word;
	if (/^(0|[1-9][0-9]{0,14})$/.test(word) || /^(0|[1-9][0-9]{0,8})\.[0-9]{1,6}$/.test(word)) return Number(word);
	if (QUANTITY.test(word) || NO_NUMBER.test(word)) return word;
	throw UNREAD;
}
