// query.ts - transitions of the region "query": queries to the gateway.

import { capability, FLAG } from "../../wire/index.js";
import type { Binding } from "../cache.js";
import { postponeRenewal } from "./path.js";
import { NO_QUERY, type Query, type Step } from "./state.js";

const MAX_ANSWERED = 16;

/** none → capability or renewal. */
export function startQuery(step: Step, state: "capability" | "renewal"): void {
	const { flow } = step;
	const nonce = BigInt.asUintN(64, step.random()) || 1n; // 0 means none
	flow.cache.querying = flow;
	send(step, { state, header: capability(nonce), sent: 0, due: step.now });
}

/** Any state → failure: reports the target of this ticket. The ticket's nonce may be answered once more. */
export function reportFailure(step: Step, { ticket }: Binding): void {
	const { flow } = step;
	const flags = (ticket.flags | FLAG.failure) & ~FLAG.packet;
	flow.cache.querying = flow;
	send(step, { state: "failure", header: { ...ticket, type: "failure", flags }, sent: 0, due: step.now });
}

/** On time: the next transmission, or, after the last timeout, none. */
export function retryQuery(step: Step): void {
	const { query, settings } = step.flow;
	if (query.state === "none" || step.now < query.due) return;
	if (query.sent >= settings.queryTimeoutsMs.length) endUnanswered(step);
	else send(step, query);
}

/** Any state → none: the gateway has no capability, or does not answer at present. */
export function endUnanswered(step: Step): void {
	const { flow, now } = step;
	const { query, path, cache } = flow;
	flow.query = NO_QUERY;
	if (path.state !== "gateway") {
		postponeRenewal(step, path);
		return;
	}
	if (flow.trial.state !== "none") return;
	cache.plainUntil = now + plainFor(step, query.state);
	step.notify({ name: "plain", why: "no-capability", until: cache.plainUntil });
}

/** After a query that led nowhere. A gateway that has redirected before is queried again sooner: it has the capability,
 * and neither lost queries nor that it knows no other target last. */
export function plainFor({ flow }: Step, query: Query["state"]): number {
	const { settings, cache } = flow;
	return query === "capability" && cache.redirections.length === 0 ? settings.plainMs : settings.barMs;
}

/** Any state → none: the query with this nonce is answered. */
export function endAnswered(step: Step, nonce: bigint): void {
	const { flow } = step;
	flow.query = NO_QUERY;
	flow.answeredNonces = [...flow.answeredNonces.filter((one) => one !== nonce).slice(1 - MAX_ANSWERED), nonce];
}

function send(step: Step, query: Exclude<Query, { state: "none" }>): void {
	const { flow } = step;
	const timeout = flow.settings.queryTimeoutsMs[query.sent] as number;
	flow.query = { ...query, sent: query.sent + 1, due: step.now + timeout };
	if (query.state === "failure") flow.counters.failures++;
	else flow.counters.questions++;
	step.effects.push({ do: "query", to: flow.control, header: query.header });
}
