// path.ts - transitions of the region "path": where datagrams go.

import { type Endpoint, sameEndpoint } from "../../wire/index.js";
import type { Binding } from "../cache.js";
import { AT_GATEWAY, type Bound, type FlowState, NO_TRIAL, type Step, type Watched } from "./state.js";

const MAX_SILENCE_FACTOR = 32;

/** Any state → bound to this target. */
export function bind(step: Step, { target, term, until, ticket }: Binding): void {
	const { flow } = step;
	const binding = { target, term, until, ticket };
	const previous = flow.path.state === "gateway" ? undefined : flow.path.binding.target;
	if (previous !== undefined) step.effects.push({ do: "unbind", target: previous });
	flow.trial = NO_TRIAL;
	flow.path = {
		state: "bound",
		binding,
		renewAt: renewalTime(step, binding),
		used: false,
		unansweredSince: undefined,
		silenceFactor: 1,
	};
	shareBinding(step, binding);
	flow.cache.plainUntil = 0;
	step.effects.push({ do: "bind", target });
	step.notify({ name: "redirect", target, term, ...(previous === undefined ? {} : { previous }) });
	if (term === "leased") step.notify({ name: "lease", target, change: "granted", until });
}

/** bound, watched → gateway. */
export function unbind(step: Step): void {
	const { flow } = step;
	if (flow.path.state === "gateway") return;
	const { binding } = flow.path;
	flow.path = AT_GATEWAY;
	if (binding.term !== "once") forgetBinding(step, binding.target);
	step.effects.push({ do: "unbind", target: binding.target });
}

/** bound, watched → the same state, on the terms that the gateway has granted now. */
export function renew(step: Step, path: Bound | Watched, granted: Binding): void {
	const { flow } = step;
	flow.counters.renewals++;
	flow.path = { ...path, binding: granted, renewAt: renewalTime(step, granted), used: false };
	flow.trial = NO_TRIAL;
	shareBinding(step, granted);
	const { target, until } = granted;
	if (granted.term === "leased") step.notify({ name: "lease", target, change: "renewed", until });
}

/** bound, watched → bound: the target has replied. */
export function onPathReply(flow: FlowState, path: Bound | Watched): void {
	confirmAlive(flow, path, 1);
}

/** bound, watched → bound: the target has answered a probe. */
export function onPathProbeAck(step: Step, path: Bound | Watched): void {
	const { state, silenceFactor } = path;
	confirmAlive(step.flow, path, state === "watched" ? Math.min(silenceFactor * 2, MAX_SILENCE_FACTOR) : silenceFactor);
}

function confirmAlive(flow: FlowState, { binding, renewAt, used }: Bound | Watched, silenceFactor: number): void {
	flow.path = { state: "bound", binding, renewAt, used, unansweredSince: undefined, silenceFactor };
	if (binding.term !== "once") flow.cache.verified = true;
}

/** The gateway has not answered. The binding holds until it ends; the next attempt to renew it is half way there. */
export function postponeRenewal(step: Step, path: Bound | Watched): void {
	const rest = path.binding.until - step.now;
	const renewAt = rest > 2000 && rest !== Infinity ? step.now + rest / 2 : Infinity;
	step.flow.path = { ...path, unansweredSince: undefined, renewAt };
}

/** Half of the time that is left, ±10 %. Only leases are renewed. */
export function renewalTime(step: Step, binding: Binding): number {
	if (binding.term !== "leased") return Infinity;
	const fraction = Number(BigInt.asUintN(32, step.random())) / 2 ** 32;
	return step.now + (binding.until - step.now) * (0.45 + 0.1 * fraction);
}

/** Makes a binding available to other flows, and to later ones. */
function shareBinding(step: Step, binding: Binding): void {
	if (binding.term === "once") return;
	step.flow.cache.binding = binding;
	step.flow.cache.verified = true;
}

export function forgetBinding(step: Step, target: Endpoint): void {
	const { cache } = step.flow;
	if (cache.binding !== undefined && sameEndpoint(cache.binding.target, target)) cache.binding = undefined;
}
