/**
 * Next hops: source address, interface and MAC address for the path from this host to each target.
 *
 * Owns: waiting for resolution within a bound, and the comparison every second that detects a change.
 * Must never: delay a publication beyond that bound: until a target's next hop is resolved, its packets are dropped as
 * no_next_hop.
 */
import { parseAddress } from "../config/index.js";
import type { HostFacts } from "../database/index.js";
import { formatAddress } from "../wire/index.js";
import { resolveNextHop, routeTo } from "./routes.js";

const RESOLVE_TIMEOUT_MS = 2000;
const RESOLVE_POLL_MS = 20;
const CHECK_INTERVAL_MS = 1000;
/** A table's field; an IP packet is no longer. */
const MOST_MTU = 65_535;
/** The tunnel's headers, of IPv6 in IPv6 with an alternative, and the least that a link must carry (RFC 791, 68 bytes). */
const LEAST_MTU = 256;

export class NextHops {
	#facts: ReadonlyMap<string, HostFacts> = new Map();
	#sources: readonly string[] = [];
	#timer: NodeJS.Timeout | undefined;
	#closed = false;

	/** Host facts by address; an address without a route is left out. Waits for new addresses to resolve,
	 * RESOLVE_TIMEOUT_MS at most. `changed` replaces the callback of the previous call; it is called once, when the facts
	 * differ from these. `sources`: addresses that this host sends the tunnel from, where it has one of the family; a route's
	 * own source address is taken if it is one of them. */
	async resolve(
		addresses: readonly string[],
		changed: () => void,
		sources: readonly string[] = [],
	): Promise<ReadonlyMap<string, HostFacts>> {
		this.#sources = sources;
		const timeoutMs = addresses.some((address) => !this.#facts.has(address)) ? RESOLVE_TIMEOUT_MS : 0;
		const end = Date.now() + timeoutMs;
		let facts = this.#read(addresses);
		while (Date.now() < end && [...facts.values()].some((one) => one.nextHop === null)) {
			await new Promise((resolve) => setTimeout(resolve, RESOLVE_POLL_MS));
			facts = this.#read(addresses);
		}
		this.#facts = facts;
		this.#watch(addresses, changed);
		return facts;
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
	}

	#watch(addresses: readonly string[], changed: () => void): void {
		clearTimeout(this.#timer);
		if (this.#closed) return;
		this.#timer = setTimeout(() => {
			if (asText(this.#read(addresses)) === asText(this.#facts)) this.#watch(addresses, changed);
			else changed(); // the publication that follows calls resolve() again
		}, CHECK_INTERVAL_MS);
		this.#timer.unref();
	}

	#read(addresses: readonly string[]): Map<string, HostFacts> {
		const facts = new Map<string, HostFacts>();
		for (const address of addresses) {
			const route = routeTo(parseAddress(address)!.bytes);
			if (route === undefined || route.mtu < LEAST_MTU) continue; // the tunnel would not fit: as without a route
			const before = this.#facts.get(address);
			// While the kernel resolves a known neighbour again, its last MAC address stays valid.
			const nextHop = resolveNextHop(route) ?? (before?.ifindex === route.ifindex ? before.nextHop : null);
			const { ifindex, ownMac } = route;
			const mtu = Math.min(route.mtu, MOST_MTU);
			facts.set(address, {
				source: sourceOf(formatAddress(route.source), this.#sources),
				nextHop,
				ownMac,
				ifindex,
				mtu,
			});
		}
		return facts;
	}
}

/** `routed`: the route's own. */
export function sourceOf(routed: string, configured: readonly string[]): string {
	if (configured.includes(routed)) return routed;
	return configured.find((address) => address.includes(":") === routed.includes(":")) ?? routed;
}

function asText(facts: ReadonlyMap<string, HostFacts>): string {
	return JSON.stringify([...facts]);
}
