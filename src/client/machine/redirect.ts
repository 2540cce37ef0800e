// redirect.ts - the event "control" with a redirect: the gateway's answer to a query.

import { type Endpoint, type Header, sameEndpoint } from "../../wire/index.js";
import type { Term } from "../cache.js";
import type { Declined } from "./events.js";
import { renew, unbind } from "./path.js";
import { endAnswered, plainFor, reportFailure } from "./query.js";
import { grantedBy, isGateway, isInWindow, reasonToDecline } from "./rules.js";
import { NO_TRIAL, type Query, type Step } from "./state.js";
import { watchPath } from "./time.js";
import { startTrial } from "./trial.js";

/** capability, renewal, failure → none, and by what is granted: path is renewed, a trial begins, or the answer is
 * declined. */
export function onRedirect(step: Step, header: Header, from: Endpoint): void {
	const { flow, now } = step;
	const { counters, service, settings, query, path } = flow;
	if (!isGateway(from, service, settings)) {
		counters.ignoredSource++;
		return;
	}
	if (query.state === "none" || query.header.nonce !== header.nonce) {
		if (flow.answeredNonces.includes(header.nonce)) counters.ignoredAnswered++;
		else counters.ignoredNonce++;
		return;
	}
	if (!isInWindow(header, now, settings)) {
		counters.ignoredWindow++;
		return;
	}
	endAnswered(step, header.nonce);

	const granted = grantedBy(header, now, settings);
	const declined = reasonToDecline(granted, service, settings, now);
	if (declined !== undefined) decline(step, declined, query.state);
	else if (path.state !== "gateway" && sameEndpoint(path.binding.target, granted.target)) {
		renew(step, path, granted);
		if (path.state === "bound") watchPath(step);
	} else if (!countRedirection(step, granted.term)) decline(step, "limit", query.state);
	else if (flow.cache.isBarred(granted.target, now)) {
		counters.declinedBarred++;
		reportFailure(step, granted);
	} else {
		counters.redirects++;
		startTrial(step, granted);
	}
}

/** Counts a redirection, if the limit allows one more. Once-redirections count for the flow, the others for the
 * service. */
function countRedirection({ flow, now }: Step, term: Term): boolean {
	const { maxRedirections, stayMs } = flow.settings;
	const recent = (list: readonly number[]) => list.filter((at) => now < at + stayMs);
	const ofFlow = recent(flow.onceRedirections);
	const ofService = recent(flow.cache.redirections);
	const allowed = ofFlow.length + ofService.length < maxRedirections;
	if (allowed) (term === "once" ? ofFlow : ofService).push(now);
	flow.onceRedirections = ofFlow;
	flow.cache.redirections = ofService;
	return allowed;
}

const DECLINED_COUNTER = {
	"not-expected": "declinedNotExpected",
	forbidden: "declinedForbidden",
	limit: "declinedLimit",
	ended: "declinedEnded",
} as const;

/** The service stays with its gateway. A binding is kept, unless the answer was that no redirection is expected, or the
 * limit is reached. */
function decline(step: Step, why: Declined, query: Query["state"]): void {
	const { flow, now } = step;
	const { settings, cache, path } = flow;
	flow.counters[DECLINED_COUNTER[why]]++;
	if (path.state !== "gateway" && (why === "forbidden" || why === "ended")) {
		flow.path = { ...path, renewAt: Infinity, unansweredSince: undefined };
		return;
	}
	unbind(step);
	flow.trial = NO_TRIAL;
	let until = now + settings.stayMs;
	if (why === "not-expected") until = cache.plainUntil = now + plainFor(step, query);
	else cache.stayUntil = until;
	step.notify({ name: "plain", why, until });
}
