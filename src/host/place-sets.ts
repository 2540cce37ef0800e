/**
 * Addresses with ports, as the elements of an nftables set.
 *
 * Owns: ranges of ports and prefixes of addresses in sets: nft refuses elements that overlap, so one that another holds is
 * left out.
 * Must never: make a set of intervals where single addresses and ports do: its look-up is slower.
 */
import { parsePrefix, prefixContains } from "../wire/index.js";
import type { FirewallSet } from "./firewall.js";

export interface Place {
	/** Or a prefix. */
	readonly address: string;
	/** Where the set has protocols. */
	readonly protocol?: string;
	/** Where the set has ports. */
	readonly first?: number;
	readonly last?: number;
}

/** The set of these places, each as address . protocol . ports, as far as it has them. */
export function placeSet(name: string, type: string, places: readonly Place[]): FirewallSet {
	const wide = places.filter((place) => place.first !== place.last || place.address.includes("/"));
	const alone = places.filter((place) => !wide.some((other) => other !== place && holds(other, place)));
	const elements = [...new Set(alone.map(textOf))];
	return { name, type, elements, ...(wide.length > 0 ? { interval: true } : {}) };
}

function textOf({ address, protocol, first, last }: Place): string {
	const ports = first === last ? first : `${first}-${last}`;
	return [address, protocol, ports].filter((part) => part !== undefined).join(" . ");
}

/** Is all of `other` in `place`? Of two equal ones, which become one element, neither is. */
function holds(place: Place, other: Place): boolean {
	if (place.protocol !== other.protocol || textOf(place) === textOf(other)) return false;
	if ((place.first ?? 0) > (other.first ?? 0) || (place.last ?? 0) < (other.last ?? 0)) return false;
	const [outer, inner] = [parsePrefix(place.address), parsePrefix(other.address)];
	return (
		outer !== undefined &&
		inner !== undefined &&
		outer.mappedLength <= inner.mappedLength &&
		prefixContains(outer, inner.bytes)
	);
}
