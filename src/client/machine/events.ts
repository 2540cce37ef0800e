// events.ts - the machine's input (events) and output (effects, notifications, counters).

import type { Endpoint, Header } from "../../wire/index.js";
import type { Term } from "../cache.js";

/** Input. Each event carries only data; the time and random numbers come with the Turn. */
export type MachineEvent =
	/** The application sends a datagram, or opens a connection. */
	| { readonly type: "datagram" }
	/** A control datagram's header was received. */
	| { readonly type: "control"; readonly header: Header; readonly from: Endpoint }
	/** Application data were received from this endpoint. */
	| { readonly type: "reply"; readonly from: Endpoint }
	/** A connected socket reported that this endpoint refused a probe, a query or a connection, or that the host could
	 * not send it. */
	| { readonly type: "refusal"; readonly at: Endpoint }
	/** An unauthenticated error (ICMP) claims that this endpoint is unreachable. */
	| { readonly type: "suspicion"; readonly at: Endpoint }
	/** Time has passed. */
	| { readonly type: "time" };

/** The time and randomness of one event. */
export interface Turn {
	/** Milliseconds since 1970. */
	readonly now: number;
	/** 64 random bits. */
	readonly random: () => bigint;
}

export type FailureCause = "refused" | "silent";
/** The reason for which the gateway's answer is not followed. */
export type Declined = "not-expected" | "forbidden" | "limit" | "ended";

/** What the application is notified of. */
export type Notification =
	| { readonly name: "redirect"; readonly target: Endpoint; readonly previous?: Endpoint; readonly term: Term }
	| { readonly name: "failover"; readonly target: Endpoint; readonly cause: FailureCause }
	| {
			readonly name: "lease";
			readonly target: Endpoint;
			readonly change: "granted" | "renewed" | "ended" | "revoked";
			readonly until: number;
	  }
	| { readonly name: "plain"; readonly why: "no-capability" | Declined; readonly until: number };

/** Output, to be carried out in order. */
export type Effect =
	/** Send a control datagram to the gateway, padded, from the flow's own port. */
	| { readonly do: "query"; readonly to: Endpoint; readonly header: Header }
	/** Send a control datagram to a target, from a socket that reports refusals. */
	| { readonly do: "probe"; readonly to: Endpoint; readonly header: Header }
	/** From now on, data of this target are the service's. */
	| { readonly do: "bind"; readonly target: Endpoint }
	| { readonly do: "unbind"; readonly target: Endpoint }
	/** Datagrams sent to this target and not answered may be routed again. */
	| { readonly do: "resend"; readonly target: Endpoint; readonly cause: FailureCause }
	| { readonly do: "notify"; readonly event: Notification };

/** Where a datagram goes: to `to` now; hold: route again after the next event; refuse: nowhere (mode required). */
export type Route =
	| { readonly go: "send"; readonly to: Endpoint; readonly effects: readonly Effect[] }
	| { readonly go: "hold" | "refuse"; readonly effects: readonly Effect[] };

export const COUNTERS = [
	"toGateway",
	"toTarget",
	"questions",
	"failures",
	"probes",
	"redirects",
	"renewals",
	"acks",
	"revokes",
	"failovers",
	"leasesEnded",
	"ignoredNonce",
	"ignoredAnswered",
	"ignoredSource",
	"ignoredWindow",
	"ignoredType",
	"declinedForbidden",
	"declinedBarred",
	"declinedLimit",
	"declinedEnded",
	"declinedNotExpected",
] as const;
export type Counters = Record<(typeof COUNTERS)[number], number>;

export function zeroCounters(): Counters {
	return Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Counters;
}
