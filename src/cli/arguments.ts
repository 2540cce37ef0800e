// arguments.ts - the values of options: each kind (count, port, seconds, fraction, …) has its own parser, whose error
// states the unit and the range.
//
// Must never: know which option a value is for.

import { InvalidArgumentError } from "commander";
import { parseDuration, parseSpeed } from "../config/quantities.js";
import { number } from "./units.js";

type Parser<T> = (text: string) => T;

/** `unit`: such as "seconds". */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER, unit?: string): Parser<number> {
	const what = unit === undefined ? "a whole number" : `a whole number of ${unit}`;
	const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${number(least)}` : between(least, most);
	return (text) => {
		const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
		if (!(value >= least && value <= most)) throw new InvalidArgumentError(`must be ${what} ${range}`);
		return value;
	};
}

/** A port of UDP or TCP. */
export function port(text: string): number {
	const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
	if (!(value >= 1 && value <= 65_535)) throw new InvalidArgumentError("must be a port from 1 to 65535");
	return value;
}

/** A part of a whole, from 0 to 1. */
export function fraction(text: string): number {
	const value = decimal(text);
	if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError("must be between 0 and 1");
	return value;
}

export function seconds(least: number, most: number): Parser<number> {
	return (text) => {
		const value = decimal(text);
		if (!(value >= least && value <= most))
			throw new InvalidArgumentError(`must be a number of seconds ${between(least, most)}`);
		return value;
	};
}

/** The larger of two values over the smaller. */
export function ratio(most: number): Parser<number> {
	return (text) => {
		const value = decimal(text);
		if (!(value >= 1 && value <= most)) throw new InvalidArgumentError(`must be a ratio ${between(1, most)}`);
		return value;
	};
}

/** `unit`: such as "packets per second". `zero`: 0 is allowed. */
export function rate(unit: string, most: number, zero: boolean): Parser<number> {
	const range = zero ? between(0, most) : `above 0 and up to ${number(most)}`;
	return (text) => {
		const value = decimal(text);
		if (!((zero ? value >= 0 : value > 0) && value <= most))
			throw new InvalidArgumentError(`must be a number of ${unit} ${range}`);
		return value;
	};
}

/** Bits per second. */
export function speed(text: string): number {
	const value = parseSpeed(text);
	if (value === undefined)
		throw new InvalidArgumentError("must be a speed above 0 with its unit, such as 100Mbit or 10Gbit");
	return value;
}

/** A list of at most `most` speeds, in bits per second. */
export function speeds(most: number): Parser<number[]> {
	return (text) => {
		const parts = text.split(",");
		if (parts.length > most) throw new InvalidArgumentError(`must be at most ${most} speeds`);
		return parts.map((part) => speed(part.trim()));
	};
}

/** A list such as b2@30s,b3@1m: backends, each with a time. */
export function moments(text: string): { backend: string; atS: number }[] {
	return text.split(",").map((part) => {
		const [, backend, time] = /^\s*([^@\s]+)@(\S+)\s*$/.exec(part) ?? [];
		const ms = parseDuration(time ?? "");
		if (backend === undefined || ms === undefined)
			throw new InvalidArgumentError("must be backends with the time of each, such as b2@30s,b3@1m");
		return { backend, atS: ms / 1000 };
	});
}

/** A list such as b3:10s/5s: backends that serve for a time and are dead for a time. */
export function flaps(text: string): { backend: string; upS: number; downS: number }[] {
	return text.split(",").map((part) => {
		const [, backend, up, down] = /^\s*([^:\s]+):([^/\s]+)\/(\S+)\s*$/.exec(part) ?? [];
		const times = [up, down].map((time) => parseDuration(time ?? "") ?? 0);
		if (backend === undefined || times.some((ms) => ms < 100))
			throw new InvalidArgumentError(
				"must be backends with the times for which each serves and is dead, of at least 100ms, such as b3:10s/5s",
			);
		return { backend, upS: times[0]! / 1000, downS: times[1]! / 1000 };
	});
}

/** Milliseconds. */
export function durationMs(text: string): number {
	const ms = parseDuration(text);
	if (ms === undefined) throw new InvalidArgumentError("must be a duration with its unit, such as 500ms, 30s or 2m");
	return Math.round(ms);
}

/** NaN: the text is not a decimal number without sign and exponent. */
function decimal(text: string): number {
	return /^([0-9]+(\.[0-9]*)?|\.[0-9]+)$/.test(text) ? Number(text) : Number.NaN;
}

function between(least: number, most: number): string {
	return `from ${plain(least)} to ${plain(most)}`;
}

/** `number` rounds to whole numbers. */
function plain(value: number): string {
	return Number.isInteger(value) ? number(value) : String(value);
}
