/**
 * What the host's network stack knows, in our words: links, routes, neighbours.
 *
 * Owns: the questions, and the meaning of the kernel's numbers.
 * Must never: change a route or an address. Asking for a neighbour makes the kernel ask the link, and nothing else.
 */
import { statSync } from "node:fs";
import { host } from "../engine/index.js";
import { ShuntError } from "../errors.js";

/** <linux/if.h>, <linux/rtnetlink.h>, <linux/neighbour.h> */
const RTN_UNICAST = 1;
/** States in which the kernel itself would send: REACHABLE, STALE, DELAY, PROBE, NOARP, PERMANENT (RFC 4861 7.3.2). */
const NUD_USABLE = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80;
const NUD_SURE = 0x02 | 0x40 | 0x80;

/** A number that no other network namespace has. */
export function networkNamespace(): string {
	return statSync("/proc/self/ns/net").ino.toString();
}

/** Throws SHUNT_INTERFACE_MISSING. */
export function requireLink(name: string): void {
	try {
		host().link(name);
	} catch {
		throw new ShuntError("SHUNT_INTERFACE_MISSING", { interface: name });
	}
}

export interface Way {
	readonly ifindex: number;
	/** The address to ask for on the link: the gateway's, or the destination's own. */
	readonly nextHop: Buffer;
	readonly source: Buffer;
	readonly ownMac: Buffer;
	readonly mtu: number;
}

/** The way to an address; undefined if there is none, or it ends on this host. */
export function wayTo(destination: Buffer): Way | undefined {
	try {
		const route = host().route(destination);
		if (route.kind !== RTN_UNICAST || route.source === null) return undefined;
		return {
			ifindex: route.ifindex,
			nextHop: route.gateway ?? destination,
			source: route.source,
			ownMac: route.ownMac ?? Buffer.alloc(6),
			mtu: route.mtu,
		};
	} catch {
		return undefined; // unreachable, prohibited: whatever the kernel calls it
	}
}

/** The Ethernet address of a next hop; null while it has not answered. An entry that is missing or not sure is asked for. */
export function neighbour(way: Way): Buffer | null {
	const entry = host().neighbour(way.ifindex, way.nextHop);
	if (entry === null || !(entry.state & NUD_SURE)) host().resolve(way.ifindex, way.nextHop);
	return entry !== null && entry.state & NUD_USABLE ? entry.mac : null;
}
