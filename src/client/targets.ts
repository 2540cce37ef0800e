// targets.ts - which addresses may be a target of which service (docs/protocol.md, section 8).
//
// Owns: the address ranges that are never a target, or only if listed. Must never: resolve a name.

import { type Prefix, parseAddress, parsePrefix, prefixContains } from "../wire/index.js";
import { embeddedIpv4 } from "./embedded.js";

function ranges(...texts: string[]): readonly Prefix[] {
	return texts.map((text) => parsePrefix(text) as Prefix);
}

const LOOPBACK = ranges("127.0.0.0/8", "::1/128");
/** Unspecified, link-local, multicast, reserved, broadcast, and IPv4-compatible IPv6 addresses. */
const NEVER = ranges("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/96", "fe80::/10", "fec0::/10", "ff00::/8");
/** RFC 1918, RFC 6598 (carrier-grade NAT), RFC 4193. */
const PRIVATE = ranges("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7");

const inAny = (list: readonly Prefix[], address: Uint8Array) => list.some((prefix) => prefixContains(prefix, address));

/** Whether `target` may serve `service`. `listed`: the prefixes that the application allows; undefined: every target
 * that needs no listing. */
export function isPermittedTarget(service: string, target: string, listed: readonly Prefix[] | undefined): boolean {
	const from = parseAddress(service);
	const to = parseAddress(target);
	if (from === undefined || to === undefined) return false;
	// Within one host: a service on loopback may have a loopback target that a prefix within loopback lists.
	if (inAny(LOOPBACK, to)) return inAny(LOOPBACK, from) && listedWithin(LOOPBACK, listed, to);
	if (inAny(NEVER, to)) return false;
	if (listed !== undefined && !inAny(listed, to)) return false;
	// What a translator or relay would deliver to, listed or not.
	const behind = embeddedIpv4(to);
	if (behind.some((address) => inAny(LOOPBACK, address) || inAny(NEVER, address))) return false;
	if (behind.some((address) => inAny(PRIVATE, address)) && !inAny(PRIVATE, from)) return false;
	if (!inAny(PRIVATE, to) || inAny(PRIVATE, from) || inAny(LOOPBACK, from)) return true;
	return listedWithin(PRIVATE, listed, to);
}

/** Whether a listed prefix contains `to` and lies within one of the ranges: 0.0.0.0/0 does not list 10.0.0.1. */
function listedWithin(list: readonly Prefix[], listed: readonly Prefix[] | undefined, to: Uint8Array): boolean {
	return (listed ?? []).some(
		(prefix) =>
			prefixContains(prefix, to) &&
			list.some((range) => range.mappedLength <= prefix.mappedLength && prefixContains(range, prefix.bytes)),
	);
}
