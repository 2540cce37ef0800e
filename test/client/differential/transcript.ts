// transcript.ts - what a case has seen, as text that is the same for the same behaviour.
//
// Owns: the form of values, errors and events. Must never: leave out an error's code or text.

import type { EventEmitter } from "node:events";

/** What a call returns or throws. */
export function outcome(call: () => unknown): string {
	try {
		return show(call());
	} catch (error) {
		return `throws ${show(error)}`;
	}
}

export function show(value: unknown): string {
	if (value instanceof Error) {
		const { name, code, message, syscall, hostname } = value as NodeJS.ErrnoException & { hostname?: string };
		return [name, code, message, syscall, hostname].filter((part) => part !== undefined).join(" | ");
	}
	if (Buffer.isBuffer(value)) return `bytes ${value.toString("latin1")}`;
	if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
	if (typeof value === "object" && value !== null)
		return value.constructor === Object || value.constructor === undefined
			? JSON.stringify(value)
			: value.constructor.name.replace(/^Redirected|^Connection$/, (name) => (name === "Connection" ? "Socket" : ""));
	return String(value);
}

/** The first of these events, with its values. */
export function first(emitter: EventEmitter, ...names: string[]): Promise<string> {
	return new Promise((resolve) => {
		for (const name of names) emitter.once(name, (...values) => resolve(`${name} ${values.map(show).join(", ")}`));
	});
}

/** The names of these events, in the order in which they are emitted. */
export function order(emitter: EventEmitter, ...names: string[]): string[] {
	const seen: string[] = [];
	for (const name of names) emitter.on(name, () => seen.push(name));
	return seen;
}

export const turn = () => new Promise((resolve) => setImmediate(resolve));
export const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
