// table.ts - aligned columns, bars, and lines wrapped at the terminal's width.
//
// Must never: interpret a cell. Cells may be coloured: only their visible width counts.

import { stripVTControlCharacters } from "node:util";

export type Align = "left" | "right";

/** Lines without trailing blanks; two blanks between columns. A row may have fewer cells than there are columns. */
export function table(columns: readonly Align[], rows: readonly (readonly string[])[], indent = ""): string[] {
	const widths = columns.map((_, i) => Math.max(0, ...rows.map((row) => width(row[i] ?? ""))));
	return rows.map((row) => {
		const cells = row.map((cell, i) => pad(cell, widths[i] ?? 0, columns[i] ?? "left"));
		return (indent + cells.join("  ")).trimEnd();
	});
}

export function width(text: string): number {
	return [...stripVTControlCharacters(text)].length;
}

function pad(text: string, to: number, align: Align): string {
	const blanks = " ".repeat(Math.max(0, to - width(text)));
	return align === "right" ? blanks + text : text + blanks;
}

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A part between 0 and 1 as a bar of at most this many characters. A part above 0 is never an empty bar. */
export function bar(part: number, characters: number): string {
	const eighths = Math.round(Math.min(1, Math.max(0, part)) * characters * 8);
	const shown = part > 0 ? Math.max(1, eighths) : 0;
	return "█".repeat(shown >> 3) + EIGHTHS[shown & 7];
}

/** Uncoloured text cut to a width, with an ellipsis if it was longer. */
export function cut(text: string, to: number): string {
	const characters = [...text];
	if (characters.length <= to) return text;
	return `${characters
		.slice(0, Math.max(0, to - 1))
		.join("")
		.trimEnd()}…`;
}

/** Uncoloured text wrapped between words; a word longer than a line gets a line of its own. */
export function wrap(text: string, to: number): string[] {
	const lines: string[] = [];
	let line = "";
	for (const word of text.split(" ")) {
		if (line !== "" && [...line].length + 1 + [...word].length > to) {
			lines.push(line);
			line = word;
		} else line = line === "" ? word : `${line} ${word}`;
	}
	return [...lines, line];
}
