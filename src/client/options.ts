// options.ts - the options of an application, and the settings that the machine takes.
//
// Owns: defaults, and the refusal of invalid values. Must never: read a file.

import { type Endpoint, type Prefix, parsePrefix } from "../wire/index.js";
import { RedirectionCache } from "./cache.js";
import { type Mode, SETTINGS, type Settings } from "./machine/index.js";
import { type DestinationSource, type IsService, isServiceFor } from "./services.js";

export interface RedirectionOptions {
	/** off: as without this library. preferred: to the gateway until a target is bound. required: never to the gateway,
	 * except queries. Default preferred. */
	readonly mode?: Mode;
	/** The gateways' port for control datagrams. Default 3575. */
	readonly controlPort?: number;
	/** Prefixes that targets must be in (`10.0.0.0/8`). Default: any address, except private ones for a service with a
	 * public address; these must be listed. */
	readonly targets?: readonly string[];
	/** Which destinations are services; others are never queried. A list of addresses, prefixes and host names, with or
	 * without a port (`203.0.113.53:53`, `203.0.113.0/24`, `api.example`), or a function of the destination and the host
	 * name. Default: none; with `targets`, all destinations of a socket, and those of an agent or connector that are in
	 * `targets`; in mode required, all. */
	readonly services?: readonly string[] | ((service: Endpoint, name?: string) => boolean);
	/** Shared by sockets, and stored across restarts by saveCache(). Default: one cache per process. */
	readonly cache?: RedirectionCache;
	/** Timeout of each transmission of a query, in milliseconds. Default [250, 500, 1000]. */
	readonly questions?: readonly number[];
	/** Timeout of each transmission of a probe, in milliseconds. Default [100, 120, 150]. */
	readonly probes?: readonly number[];
	/** How long a target may leave datagrams unanswered before it is probed, in milliseconds. Default 200. */
	readonly silence?: number;
	/** How many of the latest unanswered datagrams are sent again, to the gateway, when their target fails. Default
	 * 8. */
	readonly resend?: number;
	/** Connections: how long the first one waits for the gateway's answer, in milliseconds, before it goes to the
	 * gateway. Default 0. */
	readonly patience?: number;
}

export interface ResolvedOptions {
	readonly settings: Partial<Settings>;
	readonly mode: Mode;
	readonly controlPort: number;
	readonly isService: IsService;
	readonly cache: RedirectionCache;
	readonly resend: number;
	readonly patience: number;
}

const processCache = new RedirectionCache();

/** Throws a RangeError or TypeError that names the option. */
export function resolveOptions(options: RedirectionOptions = {}, source: DestinationSource = "agent"): ResolvedOptions {
	const { mode = "preferred", controlPort = SETTINGS.controlPort, resend = 8, patience = 0 } = options;
	if (!["off", "preferred", "required"].includes(mode))
		throw new TypeError(`mode is ${String(mode)}; it must be off, preferred or required`);
	number("controlPort", controlPort, 1, 65_535);
	number("resend", resend, 0, 1024);
	number("patience", patience, 0, 60_000);
	if (options.silence !== undefined) number("silence", options.silence, 1, 60_000);
	const targets = options.targets?.map(prefix);
	const settings: Partial<Settings> = {
		mode,
		controlPort,
		targets,
		...(options.questions === undefined ? {} : { queryTimeoutsMs: timeouts("questions", options.questions) }),
		...(options.probes === undefined ? {} : { probeTimeoutsMs: timeouts("probes", options.probes) }),
		...(options.silence === undefined ? {} : { silenceMs: options.silence }),
	};
	const isService = isServiceFor(options, targets, source);
	return { settings, mode, controlPort, isService, cache: options.cache ?? processCache, resend, patience };
}

function number(name: string, value: number, low: number, high: number): void {
	if (!Number.isInteger(value) || value < low || value > high)
		throw new RangeError(`${name} is ${value}; it must be an integer from ${low} to ${high}`);
}

function timeouts(name: string, list: readonly number[]): readonly number[] {
	if (list.length === 0 || list.length > 16)
		throw new RangeError(`${name} has ${list.length} entries; it must have 1 to 16, each a timeout in milliseconds`);
	for (const [i, one] of list.entries()) number(`${name}[${i}]`, one, 1, 60_000);
	return list;
}

function prefix(text: string): Prefix {
	const prefix = parsePrefix(text);
	if (prefix === undefined)
		throw new TypeError(`targets: ${text} is not a prefix or an address; write it as 10.0.0.0/8 or 2001:db8::1`);
	return prefix;
}
