// options.ts - what an application may say about redirection, in its own words, and what the machine takes.
//
// Owns: defaults and the refusal of what can't be meant. Must never: read a file.

import { type Endpoint, type Prefix, readPrefix } from "./endpoint.js";
import { type Mode, SETTINGS, type Settings } from "./machine.js";
import { Cache } from "./memory.js";

export interface RedirectionOptions {
	/** off: as without this library. preferred: by the gateway until there is a target, and where there is none. required: not by the
	 * gateway at all, save the questions. Default preferred. */
	readonly mode?: Mode;
	/** Where gateways take questions. Default 3575. */
	readonly controlPort?: number;
	/** Prefixes that targets may be in (`10.0.0.0/8`). Default: any but private addresses, which must be listed for a service with a
	 * public one. */
	readonly targets?: readonly string[];
	/** Which destinations are services; the others are left alone. Default: every unicast one is asked, once in ten minutes. */
	readonly services?: (service: Endpoint) => boolean;
	/** What is remembered, to be shared by sockets and kept across restarts. Default: one for all sockets of this process. */
	readonly cache?: Cache;
	/** After each question, how long its answer is waited for, milliseconds. Default [250, 500, 1000]. */
	readonly questions?: readonly number[];
	/** The same of probes. Default [100, 120, 150]. */
	readonly probes?: readonly number[];
	/** How long a target that is sent to may be silent before it is probed, milliseconds. Default 200. */
	readonly silence?: number;
	/** Datagrams that are sent again, by the gateway, when their target fails before it has answered: the last so many. Default 8. */
	readonly resend?: number;
	/** Connections: how long the first one waits for an answer, milliseconds, before it goes by the gateway. Default 0. */
	readonly patience?: number;
}

export interface Resolved {
	readonly settings: Partial<Settings>;
	readonly mode: Mode;
	readonly controlPort: number;
	readonly isService: (service: Endpoint) => boolean;
	readonly cache: Cache;
	readonly resend: number;
	readonly patience: number;
}

const shared = new Cache();

/** Throws a RangeError or TypeError that names the option. */
export function resolveOptions(options: RedirectionOptions = {}): Resolved {
	const { mode = "preferred", controlPort = SETTINGS.controlPort, resend = 8, patience = 0 } = options;
	if (!["off", "preferred", "required"].includes(mode))
		throw new TypeError(`mode is ${String(mode)}; it must be off, preferred or required`);
	number("controlPort", controlPort, 1, 65_535);
	number("resend", resend, 0, 1024);
	number("patience", patience, 0, 60_000);
	if (options.silence !== undefined) number("silence", options.silence, 1, 60_000);
	const settings: Partial<Settings> = {
		mode,
		controlPort,
		targets: options.targets?.map(prefix),
		...(options.questions === undefined ? {} : { questions: waits("questions", options.questions) }),
		...(options.probes === undefined ? {} : { probes: waits("probes", options.probes) }),
		...(options.silence === undefined ? {} : { silence: options.silence }),
	};
	const isService = options.services ?? (() => true);
	return { settings, mode, controlPort, isService, cache: options.cache ?? shared, resend, patience };
}

function number(name: string, value: number, low: number, high: number): void {
	if (!Number.isInteger(value) || value < low || value > high)
		throw new RangeError(`${name} is ${value}; it must be a whole number from ${low} to ${high}`);
}

function waits(name: string, list: readonly number[]): readonly number[] {
	if (list.length === 0 || list.length > 16) throw new RangeError(`${name} must be 1 to 16 times in milliseconds`);
	for (const [i, one] of list.entries()) number(`${name}[${i}]`, one, 1, 60_000);
	return list;
}

function prefix(text: string): Prefix {
	const read = readPrefix(text);
	if (read === undefined) throw new TypeError(`targets: ${text} is no prefix, such as 10.0.0.0/8, and no address`);
	return read;
}
