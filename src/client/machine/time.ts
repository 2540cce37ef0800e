// time.ts - what time brings about. Every event begins with advance(): what has expired is gone before anything is
// decided.

import type { Binding } from "../cache.js";
import { unbind } from "./path.js";
import { retryQuery, startQuery } from "./query.js";
import { issuedAt } from "./rules.js";
import { adopt, follow } from "./sharing.js";
import type { Bound, FlowState, Step, Watched } from "./state.js";
import { expireTrial, probePath, probeTrial } from "./trial.js";

export function advance(step: Step): void {
	adjustClock(step.flow, step.now);
	expirePath(step);
	expireTrial(step);
	retryQuery(step);
	probeTrial(step);
	watchPath(step);
}

/** When the machine needs a "time" event. */
export function nextDue(flow: FlowState): number {
	const { path, query, trial, settings } = flow;
	let due = flow.recheckAt;
	if (query.state !== "none") due = Math.min(due, query.due);
	if (trial.state !== "none") due = Math.min(due, trial.attempts.due);
	if (path.state === "gateway") return due;
	due = Math.min(due, path.binding.until);
	if (path.state === "watched") due = Math.min(due, path.attempts.due);
	if (path.used && query.state === "none") due = Math.min(due, path.renewAt);
	const silentSince = unansweredSince(flow, path);
	return silentSince === undefined ? due : Math.min(due, silentSince + settings.silenceMs * path.silenceFactor);
}

/** The application sends a datagram. path gateway: takes a cached target, or queries. bound, watched: renews if it is
 * time. */
export function onDatagram(step: Step): void {
	const { flow, now } = step;
	if (flow.path.state === "gateway" && !flow.busy && !adopt(step)) {
		if (flow.name(now) === "idle" && !flow.otherQueries) startQuery(step, "capability");
	}
	if (flow.path.state === "gateway") return;
	const path = { ...flow.path, used: true, unansweredSince: flow.path.unansweredSince ?? now };
	flow.path = path;
	if (now >= path.renewAt && flow.query.state === "none") requestRenewal(step, path.binding);
}

/** bound → watched: datagrams are unanswered for too long; watched: the next probe; bound and used: renewal in time. */
export function watchPath(step: Step): void {
	const { flow, now } = step;
	const { path } = flow;
	if (path.state === "gateway") return;
	const silentSince = unansweredSince(flow, path);
	if (silentSince !== undefined && now >= silentSince + flow.settings.silenceMs * path.silenceFactor) {
		// A ticket that is no longer in force is not answered, however healthy the target is: get a new one first.
		if (isInForce(path.binding, now, flow.settings.windowMs)) watch(step, path);
		else startQuery(step, "renewal");
	}
	if (flow.path.state === "watched") probePath(step);
	else if (path.used && now >= path.renewAt && flow.query.state === "none") requestRenewal(step, path.binding);
}

/** bound → watched; the first probe is due at once. */
export function watch(step: Step, path: Bound | Watched): void {
	step.flow.path = { ...path, state: "watched", attempts: { sent: 0, due: step.now } };
}

/** bound, watched → gateway: the lease has ended and no other flow has renewed it, or another flow has found that the
 * target fails. */
function expirePath(step: Step): void {
	const { flow, now } = step;
	if (flow.path.state !== "gateway" && now >= flow.path.binding.until && !follow(step)) {
		const { target, until } = flow.path.binding;
		flow.counters.leasesEnded++;
		step.notify({ name: "lease", target, change: "ended", until });
		unbind(step);
	}
	if (flow.path.state !== "gateway" && flow.cache.isBarred(flow.path.binding.target, now)) unbind(step);
}

function requestRenewal(step: Step, { term }: Binding): void {
	if (!follow(step) && (term === "once" || !step.flow.otherQueries)) startQuery(step, "renewal");
}

/** Since when datagrams to the target are unanswered, if that is to be acted on: not while it is probed, or a query is
 * open. */
function unansweredSince(flow: FlowState, path: Bound | Watched): number | undefined {
	return path.state === "bound" && flow.query.state === "none" ? path.unansweredSince : undefined;
}

/** Whether a backend accepts the ticket (docs/protocol.md, section 7), without allowance for clock differences. */
function isInForce({ term, ticket }: Binding, now: number, windowMs: number): boolean {
	return term !== "once" || now < issuedAt(ticket, now) + windowMs;
}

/** A clock that was set back must not lengthen anything: all times are set back with it. */
function adjustClock(flow: FlowState, now: number): void {
	flow.cache.adjustClock(now);
	const by = now - flow.lastNow;
	flow.lastNow = now;
	if (by >= -1000) return;
	const { path, query, trial } = flow;
	if (query.state !== "none") flow.query = { ...query, due: query.due + by };
	if (trial.state !== "none") {
		const { binding, attempts } = trial;
		flow.trial = { ...trial, binding: earlier(binding, by), attempts: { ...attempts, due: attempts.due + by } };
	}
	if (path.state !== "gateway") {
		const since = path.unansweredSince;
		const moved = {
			binding: earlier(path.binding, by),
			renewAt: path.renewAt + by,
			unansweredSince: since === undefined ? undefined : since + by,
		};
		if (path.state === "bound") flow.path = { ...path, ...moved };
		else flow.path = { ...path, ...moved, attempts: { ...path.attempts, due: path.attempts.due + by } };
	}
	flow.onceRedirections = flow.onceRedirections.map((at) => at + by);
}

function earlier(binding: Binding, by: number): Binding {
	return { ...binding, until: binding.until + by };
}
