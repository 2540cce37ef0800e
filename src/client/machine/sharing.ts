// sharing.ts - what a flow takes over from the other flows to its service, and from an earlier run of the program.

import { sameEndpoint } from "../../wire/index.js";
import { isPermittedTarget } from "../targets.js";
import { bind, renewalTime } from "./path.js";
import type { Step } from "./state.js";
import { startTrial } from "./trial.js";

/** Takes the cached binding: binds it if its target has answered since this process began, else probes it. */
export function adopt(step: Step): boolean {
	const { flow, now } = step;
	const { cache, settings, service } = flow;
	const cached = cache.binding;
	if (cached === undefined || cache.stayUntil > now) return false;
	const usable =
		cached.until > now &&
		isPermittedTarget(service.address, cached.target.address, settings.targets) &&
		!cache.isBarred(cached.target, now);
	if (!usable) {
		cache.binding = undefined;
		return false;
	}
	const binding = { ...cached, until: Math.min(cached.until, now + settings.permanentMs) };
	if (cache.verified) bind(step, binding);
	else startTrial(step, binding);
	return true;
}

/** Takes a lease that another flow has renewed, or its new target. True if what is bound now lasts longer than
 * before. */
export function follow(step: Step): boolean {
	const { flow, now } = step;
	const { path, cache } = flow;
	const cached = cache.binding;
	if (path.state === "gateway" || path.binding.term === "once" || cached === undefined) return false;
	if (cached.until <= Math.max(now, path.binding.until)) return false;
	if (!sameEndpoint(cached.target, path.binding.target))
		return adopt(step) && flow.path.state !== "gateway" && flow.path.binding.until > now;
	flow.path = { ...path, binding: cached, renewAt: renewalTime(step, cached), used: false };
	return true;
}
