// endpoint.ts - ADDRESS:PORT on the command line: 192.0.2.1:53, [2001:db8::1]:53.
//
// Must never: resolve a name.

import { ShuntError } from "../errors.js";
import { parseEndpoint as parse } from "../wire/index.js";

export interface Endpoint {
	/** Canonical. */
	readonly address: string;
	readonly port: number;
	readonly family: 4 | 6;
}

/** `what` names the argument in the error. */
export function parseEndpoint(text: string, what: string): Endpoint {
	const endpoint = parse(text);
	if (endpoint === undefined) {
		throw new ShuntError("SHUNT_USAGE", {
			what: `${what}: ${JSON.stringify(text)} is invalid; must be ADDRESS:PORT, such as 192.0.2.1:53 or [2001:db8::1]:53.`,
		});
	}
	return { ...endpoint, family: text.startsWith("[") ? 6 : 4 };
}
