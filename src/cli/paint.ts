// paint.ts - colours, where the output is a terminal that supports them.
//
// Must never: carry a meaning that the text does not; every line reads the same without colour.

import { styleText } from "node:util";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
export type Paint = (style: Style, text: string) => string;

export const plain: Paint = (_style, text) => text;

/** Colours of a stream: none under NO_COLOR (https://no-color.org), or on a terminal without them. */
export function paintFor(stream: NodeJS.WriteStream): Paint {
	const { NO_COLOR, TERM } = process.env;
	const enabled = stream.isTTY === true && (NO_COLOR === undefined || NO_COLOR === "") && TERM !== "dumb";
	return enabled ? (style, text) => styleText(style, text) : plain;
}

/** Columns of the terminal; 80 if the stream is not one. */
export function widthOf(stream: NodeJS.WriteStream): number {
	return stream.isTTY === true ? Math.max(60, stream.columns) : 80;
}
