// rules.ts - the rules by which a redirect is judged (docs/protocol.md, section 8). Functions of their arguments only.

import { type Endpoint, endpointOf, FLAG, type Header, isMapped, sameEndpoint } from "../../wire/index.js";
import type { Binding, Term } from "../cache.js";
import { isPermittedTarget } from "../targets.js";
import type { Declined } from "./events.js";
import type { Settings } from "./settings.js";

const TERMS = FLAG.permanent | FLAG.once | FLAG.leased;

/** `issued` in milliseconds. The field has 32 bits: of the seconds that it can mean, the one nearest to now. */
export function issuedAt(header: Header, now: number): number {
	const seconds = Math.floor(now / 1000);
	return (seconds + ((header.issued - seconds) | 0)) * 1000;
}

export function isInWindow(header: Header, now: number, { windowMs }: Settings): boolean {
	return Math.abs(issuedAt(header, now) - now) <= windowMs;
}

/** Whether the sender is the service's address, at the service's port or the control port. */
export function isGateway(from: Endpoint, service: Endpoint, { controlPort }: Settings): boolean {
	return from.address === service.address && (from.port === service.port || from.port === controlPort);
}

/** What a redirect grants. */
export function grantedBy(ticket: Header, now: number, settings: Settings): Binding {
	return { target: endpointOf(ticket.address, ticket.port), ticket, ...termsOf(ticket, now, settings) };
}

/** A lease counts from its issue, or from now if the server's clock is ahead: it never outlasts its end by either
 * clock. */
function termsOf(ticket: Header, now: number, settings: Settings): { term: Term; until: number } {
	const terms = ticket.flags & TERMS;
	if (terms === FLAG.permanent) return { term: "permanent", until: now + settings.permanentMs };
	if (terms !== FLAG.leased || ticket.lease === 0) return { term: "once", until: Infinity };
	return { term: "leased", until: Math.min(now, issuedAt(ticket, now)) + ticket.lease * 1000 };
}

/** The reason for which the redirect is not followed; undefined if it may be. */
export function reasonToDecline(
	granted: Binding,
	service: Endpoint,
	settings: Settings,
	now: number,
): Declined | undefined {
	const { target, until, ticket } = granted;
	if (!(ticket.flags & FLAG.redirect) || sameEndpoint(target, service)) return "not-expected";
	if (ticket.flags & FLAG.ipv6 && isMapped(ticket.address)) return "forbidden";
	if (settings.sameFamily && target.address.includes(":") !== service.address.includes(":")) return "forbidden";
	if (!isPermittedTarget(service.address, target.address, settings.targets)) return "forbidden";
	return until <= now ? "ended" : undefined;
}
