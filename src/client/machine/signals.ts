// signals.ts - the other events from the network: probe-ack, revoke, reply, refusal, suspicion.

import { type Endpoint, endpointOf, type Header, sameEndpoint } from "../../wire/index.js";
import { bind, forgetBinding, onPathProbeAck, onPathReply, unbind } from "./path.js";
import { endUnanswered, startQuery } from "./query.js";
import { isGateway, isInWindow } from "./rules.js";
import { NO_TRIAL, type Step } from "./state.js";
import { watch } from "./time.js";
import { failPath, failTrial, probePath } from "./trial.js";

/** probing → bound; watched → bound. */
export function onProbeAck(step: Step, header: Header, from: Endpoint): void {
	const { path, trial, counters, settings } = step.flow;
	if (!isInWindow(header, step.now, settings)) {
		counters.ignoredWindow++;
		return;
	}
	const ofTrial = trial.state !== "none" && trial.binding.ticket.nonce === header.nonce;
	const ofPath = path.state !== "gateway" && path.binding.ticket.nonce === header.nonce;
	if (!ofTrial && !ofPath) {
		counters.ignoredNonce++;
		return;
	}
	if (!sameEndpoint(endpointOf(header.address, header.port), from)) counters.ignoredSource++;
	else if (ofTrial && sameEndpoint(trial.binding.target, from)) {
		counters.acks++;
		bind(step, trial.binding);
	} else if (ofPath && sameEndpoint(path.binding.target, from)) {
		counters.acks++;
		onPathProbeAck(step, path);
	} else counters.ignoredSource++;
}

/** The target of this nonce is left, and the gateway is queried again. */
export function onRevoke(step: Step, header: Header, from: Endpoint): void {
	const { flow, now } = step;
	const { path, trial, counters, service, settings } = flow;
	const ofPath = path.state !== "gateway" && path.binding.ticket.nonce === header.nonce;
	const ofTrial = trial.state !== "none" && trial.binding.ticket.nonce === header.nonce;
	const binding = ofPath ? path.binding : ofTrial ? trial.binding : undefined;
	if (binding === undefined) {
		counters.ignoredNonce++;
		return;
	}
	const { target } = binding;
	const named = sameEndpoint(target, endpointOf(header.address, header.port));
	if (!named || !(isGateway(from, service, settings) || sameEndpoint(from, target))) {
		counters.ignoredSource++;
		return;
	}
	if (!isInWindow(header, now, settings)) {
		counters.ignoredWindow++;
		return;
	}
	counters.revokes++;
	if (ofPath) {
		step.notify({ name: "lease", target, change: "revoked", until: now });
		unbind(step);
	} else {
		flow.trial = NO_TRIAL;
		forgetBinding(step, target);
	}
	if (flow.query.state === "none") startQuery(step, "capability");
}

/** probing, with a returned datagram replayed → bound; watched → bound. */
export function onReply(step: Step, from: Endpoint): void {
	const { path, trial } = step.flow;
	if (trial.state !== "none" && trial.replayed && sameEndpoint(trial.binding.target, from)) bind(step, trial.binding);
	else if (path.state !== "gateway" && sameEndpoint(path.binding.target, from)) onPathReply(step.flow, path);
}

/** probing → none; bound, watched → gateway; or, at the control port, the query → none. */
export function onRefusal(step: Step, at: Endpoint): void {
	const { path, trial, query, control } = step.flow;
	if (trial.state !== "none" && sameEndpoint(trial.binding.target, at)) failTrial(step, trial.binding, "refused");
	else if (path.state !== "gateway" && sameEndpoint(path.binding.target, at)) failPath(step, path.binding, "refused");
	else if (query.state !== "none" && sameEndpoint(at, control)) endUnanswered(step);
}

/** bound → watched. An attacker who has guessed two ports can send such an error, so the target is probed: if it is
 * gone, its host refuses the probe, which comes from a port that the attacker does not know (RFC 5927). */
export function onSuspicion(step: Step, at: Endpoint): void {
	const { path, query } = step.flow;
	if (path.state !== "bound" || query.state !== "none" || !sameEndpoint(path.binding.target, at)) return;
	watch(step, path);
	probePath(step);
}
