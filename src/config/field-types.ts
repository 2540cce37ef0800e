// field-types.ts - the types of configuration fields (port, duration, address, …), each with its error for an invalid
// value: "value is invalid; rule; remedy", to be read after the field's name.
//
// Owns: spelling and range of a single value.
// Must never: know which field it is for, or compare fields.

import ipaddr from "ipaddr.js";
import { z } from "zod";
import { parseRange } from "../wire/index.js";
import { type Address, addressText, parseAddress, parsePrefix } from "./address.js";
import { parsePorts } from "./ports.js";
import { DURATION_PATTERN, parseDuration, parseShare, parseSpeed, SHARE_PATTERN, SPEED_PATTERN } from "./quantities.js";

const MAC_PATTERN = /^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/;
export const SECRET_PATTERN = /^[0-9a-fA-F]{32}$/;

type Issue = { readonly input?: unknown };

/** The error of a field whose values must be `rule`. */
export function mustBe(rule: string): (issue: Issue) => string {
	return ({ input }) => {
		if (input === undefined) return `missing; must be ${rule}`;
		if (input === null) return `empty; must be ${rule}`;
		return `${shown(input)} is invalid; must be ${rule}`;
	};
}

function shown(input: unknown): string {
	if (Array.isArray(input)) return "a list";
	if (typeof input === "object") return "a map";
	return typeof input === "string" ? JSON.stringify(input) : String(input);
}

/** NUL to US, and DEL. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it refuses
const CONTROL = /[\0-\x1f\x7f]/;

/** A string whose content is checked by `faultOf`: what is wrong with it, or undefined. */
export function text(rule: string, faultOf: (value: string) => string | undefined, pattern?: string) {
	const schema = z.string({ error: mustBe(rule) }).superRefine((value, context) => {
		const fault = CONTROL.test(value)
			? `${JSON.stringify(value)} has a control character; must be ${rule}`
			: faultOf(value);
		if (fault !== undefined) context.addIssue({ code: "custom", message: fault });
	});
	return pattern === undefined ? schema : schema.meta({ pattern });
}

/** A map with exactly these fields. The message of an unknown one lists the known ones, for problems.ts. */
export function map<T extends z.ZodRawShape>(shape: T) {
	return z.strictObject(shape, {
		error: (issue) =>
			issue.code === "unrecognized_keys" ? Object.keys(shape).join(", ") : mustBe("a map of fields")(issue),
	});
}

/** A map from names to values. */
export function named<T extends z.ZodType>(value: T, what: string) {
	const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
		error: ({ input }) =>
			`${JSON.stringify(input)} is not a ${what} name; must be 1 to 64 letters, digits, dots, dashes or underscores, beginning with a letter or digit`,
	});
	return z.record(name, value, { error: mustBe(`a map from each ${what}'s name to its fields`) });
}

export function whole(low: number, high: number, what = "a whole number") {
	const error = mustBe(`${what} from ${low} to ${high}`);
	return z.int({ error }).min(low, { error }).max(high, { error });
}

export function choice<const T extends readonly string[]>(values: T) {
	return z.enum(values, { error: mustBe(values.length === 2 ? values.join(" or ") : `one of ${values.join(", ")}`) });
}

export function flag() {
	return z.boolean({ error: mustBe("true or false") });
}

/** One value, or a list of at least one. */
export function oneOrMore<T extends z.ZodType>(schema: T, rule: string) {
	const many = z.array(schema, { error: mustBe(rule) }).min(1, { error: () => `an empty list; must be ${rule}` });
	return z.union([schema, many], { error: mustBe(rule) });
}

/** What `oneOrMore` accepted, as a list; empty if the field was left out. */
export function list<T>(value: T | readonly T[] | undefined): T[] {
	if (value === undefined) return [];
	return Array.isArray(value) ? [...value] : [value as T];
}

export function duration(low: number, high: number, range: string, stepMs = 1) {
	const rule = `a duration ${range}, with its unit, such as 500ms, 30s, 2m or 1h`;
	return text(
		rule,
		(value) => {
			const ms = parseDuration(value);
			const steps = (ms ?? 0) / stepMs; // 0.029 / 0.001 is not quite 29 in binary
			const valid = ms !== undefined && ms >= low && ms <= high && Math.abs(steps - Math.round(steps)) < 1e-6;
			return valid ? undefined : mustBe(rule)({ input: value });
		},
		DURATION_PATTERN,
	);
}

export function weight(what: string) {
	const error = mustBe(`a weight ${what}, from 0 to 1000`);
	return z.number({ error }).min(0, { error }).max(1000, { error });
}

export function speed() {
	const rule = "a speed above 0 with its unit, such as 100Mbit or 10Gbit";
	return text(rule, (value) => (parseSpeed(value) ? undefined : mustBe(rule)({ input: value })), SPEED_PATTERN);
}

export function percent() {
	const rule = "a share above 0% and up to 100%, such as 95%";
	return text(rule, (value) => (parseShare(value) ? undefined : mustBe(rule)({ input: value })), SHARE_PATTERN);
}

/** From 0% on. */
export function share() {
	const rule = "a share from 0% to 100%, such as 50%";
	const valid = (value: string) => parseShare(value) !== undefined || /^0+(\.0+)?%$/.test(value);
	return text(rule, (value) => (valid(value) ? undefined : mustBe(rule)({ input: value })), SHARE_PATTERN);
}
export const mac = () => {
	const rule = "a MAC address such as 00:00:5e:00:01:33";
	const error = mustBe(rule);
	return text(rule, (value) => (MAC_PATTERN.test(value) ? undefined : error({ input: value })), MAC_PATTERN.source);
};

export const port = () => whole(1, 65535, "one port");

const PORTS = 'one port, a range such as 10000-20000, or "any"';

export const ports = () =>
	z.union([whole(1, 65535, "one port"), text(PORTS, (value) => portsFault(value))], {
		error: mustBe(`${PORTS}, or a list of ports and ranges`),
	});

function portsFault(value: string): string | undefined {
	if (parsePorts(value) !== undefined && !/^[0-9]+$/.test(value)) return undefined;
	const [, low, high] = /^([0-9]+)-([0-9]+)$/.exec(value) ?? [];
	if (low !== undefined && Number(low) > Number(high))
		return `${value} ends before it begins; write the lower port first`;
	return mustBe(PORTS)({ input: value });
}

export const name = (what: string) =>
	text(`the name of a ${what}`, (value) => (value === "" ? `empty; must be the name of a ${what}` : undefined));

/** As the kernel allows it (dev_valid_name), without what nft or a shell would read as more than a name. */
const INTERFACE = /^(?!\.{1,2}$)[A-Za-z0-9_.@+~#%=,-]{1,15}$/;
const INTERFACE_RULE =
	"the name of a network interface (ip link lists them): 1 to 15 letters, digits or _ . @ + ~ # % = , -, not beginning with a dash";

export const interfaceName = () =>
	text(INTERFACE_RULE, (value) =>
		INTERFACE.test(value) && !value.startsWith("-") ? undefined : mustBe(INTERFACE_RULE)({ input: value }),
	);

const ADDRESS = "an IPv4 or IPv6 address";

export const address = () =>
	text(ADDRESS, (value) => {
		const parsed = parseAddress(value);
		return parsed === undefined ? spellingFault(value) : unicastFault(value, parsed);
	});

const SERVICE_ADDRESS = "an IPv4 or IPv6 address, or a prefix such as 203.0.113.0/28";
/** A shorter one is a mistake: it would take most of the network's addresses. */
const SHORTEST = { 4: 8, 6: 32 } as const;

export const serviceAddress = () =>
	text(SERVICE_ADDRESS, (value) => {
		const prefix = value.includes("/") ? parsePrefix(value) : undefined;
		if (prefix === undefined) {
			const parsed = parseAddress(value);
			return parsed === undefined ? spellingFault(value, SERVICE_ADDRESS) : unicastFault(value, parsed);
		}
		if (prefix.hostBits) return `${value} has bits set beyond its length; write ${prefix.text}`;
		const shortest = SHORTEST[prefix.family];
		if (prefix.length < shortest) return `${value} is shorter than /${shortest}; write a longer prefix`;
		const [base = ""] = prefix.text.split("/");
		return unicastFault(value, parseAddress(base) as Address);
	});

/** The fault of a text that is not an address. */
function spellingFault(value: string, rule: string = ADDRESS): string {
	const quoted = JSON.stringify(value);
	const slash = value.indexOf("/");
	if (slash >= 0 && rule !== ADDRESS) return mustBe(rule)({ input: value });
	if (slash >= 0) return `${quoted} is a prefix; must be ${ADDRESS}; write it without ${value.slice(slash)}`;
	const percent = value.indexOf("%");
	if (percent >= 0) return `${quoted} has a zone; must be ${rule} without one; remove ${value.slice(percent)}`;
	if (/^[0-9.]+$/.test(value) && /(^|\.)0[0-9]/.test(value))
		return `${quoted} has an octet with a leading zero; must be ${rule}; write octets in decimal`;
	if (isName(value)) return `${quoted} is a name; must be ${rule}; ${NAME_REMEDY}`;
	return mustBe(rule)({ input: value });
}

function isName(value: string): boolean {
	return /^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(value) && /[A-Za-z]/.test(value);
}

const NAME_REMEDY = "host names are not resolved; write the addresses that it has (getent ahosts lists them)";

/** The fault of an address that is not a unicast address of a host. */
function unicastFault(written: string, { text, bytes }: Address): string | undefined {
	const unicast = "write a unicast address that other hosts can reach";
	const range: string = ipaddr.parse(text).range();
	switch (range) {
		case "unspecified":
			return `${written} is the unspecified address; ${unicast}`;
		case "broadcast":
			return `${written} is the broadcast address; ${unicast}`;
		case "multicast":
			return `${written} is a multicast address; ${unicast}`;
		case "loopback":
			return `${written} is a loopback address; ${unicast}`;
		case "linkLocal":
			return `${written} is a link-local address, valid on its own link only; ${unicast}`;
		case "ipv4Mapped":
			return `${written} is an IPv4-mapped IPv6 address; write ${addressText(bytes)}`;
		default:
			return undefined;
	}
}

const PREFIX =
	"a prefix such as 198.51.100.0/24 or 2001:db8::/32, one address, or a range such as 198.51.100.10-198.51.100.99";

export const prefix = () =>
	text(PREFIX, (value) => {
		const parsed = parsePrefix(value);
		if (parsed === undefined) return rangeFault(value);
		if (parsed.hostBits) return `${value} has bits set beyond its length; write ${parsed.text}`;
		const [base = ""] = parsed.text.split("/");
		if (parsed.family === 6 && ipaddr.parse(base).range() === "ipv4Mapped")
			return `${value} is an IPv4-mapped IPv6 prefix; write it as an IPv4 prefix`;
		return undefined;
	});

/** The fault of a text that is not a prefix; undefined for a range of addresses. */
function rangeFault(value: string): string | undefined {
	const range = parseRange(value);
	if (range === "families") return `${value} begins with one address family and ends with the other; must be ${PREFIX}`;
	if (range === "backwards") return `${value} ends before it begins; write the lower address first`;
	if (range !== undefined) return undefined;
	if (isName(value)) return `${JSON.stringify(value)} is a name; must be ${PREFIX}; ${NAME_REMEDY}`;
	return mustBe(PREFIX)({ input: value });
}

// A secret must not find its way into an error message, so its value is never shown.
const SECRET = "32 hex digits in quotes; openssl rand -hex 16 generates them";

export const secret = () =>
	z
		.string({ error: () => `not a string; must be ${SECRET}` })
		.regex(SECRET_PATTERN, { error: () => `not 32 hex digits; must be ${SECRET}` });
