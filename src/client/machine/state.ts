// state.ts - the states of the machine.
//
// A flow to a service has three regions, each a state machine of its own, because a lease is renewed and a new target
// is probed while the old target is in use (make before break):
//
//   region  state       meaning                                next state
//   path    gateway     datagrams go to the gateway            bound: a trial succeeds
//           bound       datagrams go to a target               watched: datagrams unanswered, or suspicion
//                                                              gateway: lease ends, revoke, refusal, answer declined
//           watched     as bound; the target is probed         bound: probe-ack or reply
//                                                              gateway: as from bound, or no probe-ack
//   query   none        nothing is asked                       capability, renewal, failure
//           capability  the gateway is asked for a target      none: redirect, refusal, or the last timeout
//           renewal     the gateway is asked to renew          none: as from capability
//           failure     a failed target is reported            none: as from capability
//   trial   none        no target is on trial                  probing: a redirect is accepted, or a cached one is taken
//           probing     a target is probed before it is bound  none: bound, refused, revoked, expired, or no probe-ack
//
// The name of the whole (StateName) follows from the regions and from the cache, the first that holds:
//
//   bound     path is bound or watched
//   probing   trial is probing
//   failing   query is failure
//   asking    query is capability or renewal
//   staying   cached: the service stays with its gateway
//   plain     cached: the gateway has no capability
//   idle      else
//
// Owns: the state and its names. Must never: change by itself; path.ts, query.ts and trial.ts hold the transitions.

import type { Endpoint, Header } from "../../wire/index.js";
import type { Binding, ServiceCache } from "../cache.js";
import { type Counters, type Effect, type Notification, zeroCounters } from "./events.js";
import type { Settings } from "./settings.js";

export type StateName = "idle" | "asking" | "probing" | "bound" | "failing" | "plain" | "staying";

/** Transmissions so far, and when the last one times out. */
export interface Attempts {
	readonly sent: number;
	readonly due: number;
}

interface Redirected {
	readonly binding: Binding;
	readonly renewAt: number;
	/** A datagram has gone to the target since the binding was made or renewed. */
	readonly used: boolean;
	/** When the first datagram went there that no sign of life has followed. */
	readonly unansweredSince: number | undefined;
	/** Multiplies the tolerated silence. Doubled by each probe-ack while nothing else is received, as for a service
	 * that never replies. */
	readonly silenceFactor: number;
}
export type Bound = Redirected & { readonly state: "bound" };
export type Watched = Redirected & { readonly state: "watched"; readonly attempts: Attempts };
export type Path = { readonly state: "gateway" } | Bound | Watched;

export type Query =
	| { readonly state: "none" }
	| (Attempts & { readonly state: "capability" | "renewal" | "failure"; readonly header: Header });

export type Trial =
	| { readonly state: "none" }
	| {
			readonly state: "probing";
			readonly binding: Binding;
			readonly attempts: Attempts;
			/** A returned datagram was sent there, so that a reply may come before the probe-ack. */
			readonly replayed: boolean;
	  };

export const AT_GATEWAY: Path = { state: "gateway" };
export const NO_QUERY: Query = { state: "none" };
export const NO_TRIAL: Trial = { state: "none" };

/** All state of one flow. */
export class FlowState {
	path: Path = AT_GATEWAY;
	query: Query = NO_QUERY;
	trial: Trial = NO_TRIAL;
	/** Nonces that have been answered, the latest last. */
	answeredNonces: readonly bigint[] = [];
	/** When once-redirections were accepted: they count for this flow only. */
	onceRedirections: readonly number[] = [];
	/** When to look again whether another flow's query has ended. */
	recheckAt = Infinity;
	lastNow = Number.NEGATIVE_INFINITY;
	readonly counters: Counters = zeroCounters();

	constructor(
		readonly service: Endpoint,
		readonly settings: Settings,
		/** Shared by all flows to the service. */
		readonly cache: ServiceCache,
	) {}

	/** A query or a trial is open. */
	get busy(): boolean {
		return this.query.state !== "none" || this.trial.state !== "none";
	}

	/** Of the flows that share a cache, one queries at a time; the others take its result. */
	get otherQueries(): boolean {
		const { querying } = this.cache;
		return querying !== undefined && querying !== this && querying.busy;
	}

	get control(): Endpoint {
		return { address: this.service.address, port: this.settings.controlPort };
	}

	name(now: number): StateName {
		const { path, query, trial, cache } = this;
		if (path.state !== "gateway" && now < path.binding.until) return "bound";
		if (trial.state === "probing") return "probing";
		if (query.state !== "none") return query.state === "failure" ? "failing" : "asking";
		if (cache.stayUntil > now) return "staying";
		if (cache.plainUntil > now) return "plain";
		return "idle";
	}
}

/** The handling of one event: the flow's state, the time, and the effects so far. */
export class Step {
	readonly effects: Effect[] = [];

	constructor(
		readonly flow: FlowState,
		readonly now: number,
		readonly random: () => bigint,
	) {}

	notify(event: Notification): void {
		this.effects.push({ do: "notify", event });
	}
}
