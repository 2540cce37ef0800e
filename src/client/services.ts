// services.ts - which destinations are services, and so are queried.
//
// Owns: the option `services`, and what holds without it. Must never: let a program that names no service send a query:
// most hosts have no gateway in front of them.

import {
	type Endpoint,
	endpointText,
	formatAddress,
	type Prefix,
	parseAddress,
	parseEndpoint,
	parsePrefix,
	prefixContains,
	readAddress,
} from "../wire/index.js";
import type { RedirectionOptions } from "./options.js";

/** `name`: the host name that the program gave, if it gave one. */
export type IsService = (destination: Endpoint, name?: string) => boolean;

/** What gives a destination: a socket or connection that the program made with these options, or an agent or dispatcher
 * that receives destinations from elsewhere. */
export type DestinationSource = "socket" | "agent";

export const noService: IsService = () => false;

/** With neither `services` nor `targets` there is no service, except in mode required. */
export function isServiceFor(
	options: RedirectionOptions,
	targets: readonly Prefix[] | undefined,
	source: DestinationSource,
): IsService {
	const { services, mode } = options;
	if (typeof services === "function") return services;
	if (services !== undefined) return listed(services);
	if (mode === "required") return () => true;
	if (targets === undefined) return noService;
	if (source === "socket") return () => true;
	return ({ address }) => {
		const bytes = parseAddress(address);
		return bytes !== undefined && targets.some((prefix) => prefixContains(prefix, bytes));
	};
}

function listed(list: readonly string[]): IsService {
	const endpoints = new Set<string>();
	const names = new Set<string>();
	const addresses = new Set<string>();
	const prefixes: Prefix[] = [];
	for (const text of list) {
		const address = readAddress(text);
		if (address !== undefined) {
			addresses.add(formatAddress(address.bytes));
			continue;
		}
		const endpoint = parseEndpoint(text);
		const prefix = endpoint === undefined ? parsePrefix(text) : undefined;
		if (endpoint !== undefined) endpoints.add(endpointText(endpoint));
		else if (prefix !== undefined) prefixes.push(prefix);
		else if (NAME.test(text)) names.add(text.toLowerCase());
		else
			throw new TypeError(
				`services: ${text} is not an address, prefix or host name; write it as 203.0.113.53:53, 203.0.113.0/24, api.example or api.example:443`,
			);
	}
	return (destination, given) => {
		if (addresses.has(destination.address)) return true;
		if (endpoints.size > 0 && endpoints.has(endpointText(destination))) return true;
		const name = given?.toLowerCase();
		if (name !== undefined && (names.has(name) || names.has(`${name}:${destination.port}`))) return true;
		const bytes = prefixes.length > 0 ? parseAddress(destination.address) : undefined;
		return bytes !== undefined && prefixes.some((prefix) => prefixContains(prefix, bytes));
	};
}

/** A host name with or without a port. The last label begins with a letter: an address that is misspelt is not a name. */
const NAME = /^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z_](?:[a-z0-9_-]*[a-z0-9])?(?::[0-9]{1,5})?$/i;

export function isUnicast(address: string): boolean {
	if (address.includes(":")) return !address.startsWith("ff");
	return Number.parseInt(address, 10) < 224;
}
