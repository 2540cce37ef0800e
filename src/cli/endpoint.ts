// endpoint.ts - ADDRESS:PORT on the command line: 192.0.2.1:53, [2001:db8::1]:53.
//
// Must never: resolve a name.

import { ShuntError } from "../errors.js";
import { formatAddress, parseAddress } from "../wire/address.js";

export interface Endpoint {
	/** Canonical. */
	readonly address: string;
	readonly port: number;
	readonly family: 4 | 6;
}

/** `what` names the argument in the error. */
export function parseEndpoint(text: string, what: string): Endpoint {
	const match = /^(?:\[([^\]]*)\]|([^:]*)):([0-9]{1,5})$/.exec(text);
	const host = match?.[1] ?? match?.[2];
	const bytes = host === undefined ? undefined : parseAddress(host);
	const port = Number(match?.[3]);
	const six = match?.[1] !== undefined;
	if (bytes === undefined || host?.includes(":") !== six || !(port >= 1 && port <= 65_535)) {
		throw new ShuntError("SHUNT_USAGE", {
			what: `${what}: ${JSON.stringify(text)} is invalid; must be ADDRESS:PORT, such as 192.0.2.1:53 or [2001:db8::1]:53.`,
		});
	}
	return { address: formatAddress(bytes), port, family: six ? 6 : 4 };
}
