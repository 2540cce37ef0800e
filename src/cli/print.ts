/**
 * What people look at: colours, tables, human numbers.
 *
 * Owns: the terminal. Colours only where standard output is one and NO_COLOR is not set; JSON goes out as it is.
 * Must never: know what a table is about.
 */
import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

const coloured = process.stdout.isTTY === true && !process.env.NO_COLOR;

export function paint(style: Style, text: string): string {
	return coloured ? styleText(style, text) : text;
}

export function say(text: string): void {
	process.stdout.write(`${text}\n`);
}

export function sayJson(value: unknown): void {
	say(JSON.stringify(value, null, process.stdout.isTTY ? 2 : undefined));
}

export interface Column<Row> {
	title: string;
	of: (row: Row) => string;
	right?: boolean;
	style?: (row: Row) => Style | undefined;
}

/** Rows under bold titles, columns as wide as their widest cell. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
	const cells = rows.map((row) => columns.map((column) => column.of(row)));
	const widths = columns.map((column, i) =>
		Math.max(column.title.length, ...cells.map((line) => (line[i] as string).length)),
	);
	const pad = (text: string, i: number) =>
		columns[i]?.right ? text.padStart(widths[i] as number) : text.padEnd(widths[i] as number);
	const head = columns.map((column, i) => paint("bold", pad(column.title, i))).join("  ");
	const body = cells.map((line, r) =>
		line
			.map((text, i) => {
				const style = columns[i]?.style?.(rows[r] as Row);
				return style === undefined ? pad(text, i) : paint(style, pad(text, i));
			})
			.join("  ")
			.trimEnd(),
	);
	return [head.trimEnd(), ...body].join("\n");
}

/** 0 to 1 as blocks of eighths. */
export function bar(share: number, width: number): string {
	const eighths = Math.round(Math.max(0, Math.min(1, share)) * width * 8);
	const rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8] as string;
	return `${"█".repeat(Math.floor(eighths / 8))}${rest}`.padEnd(width);
}

export function count(value: number): string {
	return value.toLocaleString("en-US");
}

/** Decimal units, as links have them. */
export function bytes(value: number): string {
	const units = ["B", "kB", "MB", "GB", "TB", "PB"];
	let unit = 0;
	while (value >= 1000 && unit < units.length - 1) {
		value /= 1000;
		unit++;
	}
	return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function duration(ms: number): string {
	if (ms < 1000) return `${Math.round(ms)} ms`;
	const s = ms / 1000;
	if (s < 120) return `${s.toFixed(1)} s`;
	if (s < 7200) return `${Math.round(s / 60)} min`;
	return `${(s / 3600).toFixed(1)} h`;
}

export function endpoint(address: string, port: number): string {
	return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
