/**
 * Routes and neighbours, as the kernel has them.
 *
 * Owns: these look-ups, and the meaning of the kernel's numbers.
 * Must never: change a route. A neighbour look-up may make the kernel send ARP or neighbour discovery, nothing else.
 */
import { host } from "../engine/index.js";

/** <linux/rtnetlink.h> */
const RTN_UNICAST = 1;
/** <linux/neighbour.h>. States in which the kernel itself would send: REACHABLE, STALE, DELAY, PROBE, NOARP, PERMANENT
 * (RFC 4861 7.3.2). */
const NUD_USABLE = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80;
/** REACHABLE, NOARP, PERMANENT: needs no new resolution. */
const NUD_CONFIRMED = 0x02 | 0x40 | 0x80;

/** Addresses have 16 bytes, MAC addresses 6. */
export interface Route {
	readonly ifindex: number;
	/** The address to resolve on the link: the router's, or the destination's own if it is on-link. */
	readonly nextHop: Buffer;
	readonly source: Buffer;
	readonly ownMac: Buffer;
	/** Bytes. */
	readonly mtu: number;
}

/** undefined: no route, or the destination is on this host. */
export function routeTo(destination: Buffer): Route | undefined {
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
		return undefined; // ENETUNREACH, EHOSTUNREACH, EACCES (prohibit), EINVAL (blackhole)
	}
}

/** The next hop's MAC address; null: not resolved. Starts resolution if the kernel has no confirmed entry. */
export function resolveNextHop(route: Route): Buffer | null {
	const entry = host().neighbour(route.ifindex, route.nextHop);
	if (entry === null || !(entry.state & NUD_CONFIRMED)) host().resolve(route.ifindex, route.nextHop);
	return entry !== null && entry.state & NUD_USABLE ? entry.mac : null;
}
