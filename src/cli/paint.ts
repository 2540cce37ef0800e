// paint.ts - colours, where standard output is a terminal that wants them.
//
// Must never: be the only carrier of a meaning; every line reads the same without it.

import { styleText } from "node:util";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
export type Paint = (style: Style, text: string) => string;

export const plain: Paint = (_style, text) => text;

/** Of a stream: https://no-color.org counts, and so does a terminal that can't. */
export function paintFor(stream: NodeJS.WriteStream): Paint {
	const { NO_COLOR, TERM } = process.env;
	const wanted = stream.isTTY === true && (NO_COLOR === undefined || NO_COLOR === "") && TERM !== "dumb";
	return wanted ? (style, text) => styleText(style, text) : plain;
}

/** Columns of the terminal; 80 where there is none. */
export function widthOf(stream: NodeJS.WriteStream): number {
	return stream.isTTY === true ? Math.max(60, stream.columns) : 80;
}
