/**
 * A backend at one of this gateway's own addresses: the tunnel would lead from this host to itself, where no engine
 * takes its packets, so the backend would lose its share of the sessions.
 *
 * Owns: this refusal, where only the host tells. Where the configuration tells, config/build.ts refuses it.
 */
import { type Backend, parseAddress } from "../config/index.js";
import { ShuntError } from "../errors.js";

/** `hostAddresses`: of this host, in any notation. Throws SHUNT_GATEWAY_IS_BACKEND. */
export function refuseOwnBackend(
	backends: readonly Pick<Backend, "name" | "addresses">[],
	hostAddresses: readonly string[],
): void {
	const own = new Set(hostAddresses.map((text) => parseAddress(text)?.text));
	for (const { name, addresses } of backends) {
		const address = addresses.find((one) => own.has(one));
		if (address !== undefined) throw new ShuntError("SHUNT_GATEWAY_IS_BACKEND", { backend: name, address });
	}
}
