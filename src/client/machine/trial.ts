// trial.ts - transitions of the region "trial", and probes: a target is probed before it is bound, and when it is
// silent.

import { FLAG } from "../../wire/index.js";
import type { Binding } from "../cache.js";
import type { FailureCause } from "./events.js";
import { forgetBinding, unbind } from "./path.js";
import { reportFailure } from "./query.js";
import { type Attempts, NO_TRIAL, type Step } from "./state.js";

/** Any state → probing this target. */
export function startTrial(step: Step, binding: Binding): void {
	step.flow.trial = { state: "probing", binding, attempts: { sent: 0, due: step.now }, replayed: false };
	probeTrial(step);
}

/** probing → none: the binding has ended, or another flow has found that the target fails. */
export function expireTrial(step: Step): void {
	const { flow, now } = step;
	if (flow.trial.state === "none") return;
	const { binding } = flow.trial;
	if (now >= binding.until || flow.cache.isBarred(binding.target, now)) flow.trial = NO_TRIAL;
}

/** probing → probing, with the next probe if it is due; after the last timeout the target has failed. */
export function probeTrial(step: Step): void {
	const { trial } = step.flow;
	if (trial.state === "none") return;
	const attempts = probe(step, trial.binding, trial.attempts);
	if (attempts === undefined) failTrial(step, trial.binding, "silent");
	else step.flow.trial = { ...trial, attempts };
}

/** watched → watched, with the next probe if it is due; after the last timeout the target has failed. */
export function probePath(step: Step): void {
	const { path } = step.flow;
	if (path.state !== "watched") return;
	const attempts = probe(step, path.binding, path.attempts);
	if (attempts === undefined) failPath(step, path.binding, "silent");
	else step.flow.path = { ...path, attempts };
}

/** probing → none. */
export function failTrial(step: Step, binding: Binding, cause: FailureCause): void {
	fail(step, binding, cause, () => {
		step.flow.trial = NO_TRIAL;
	});
}

/** bound, watched → gateway. */
export function failPath(step: Step, binding: Binding, cause: FailureCause): void {
	fail(step, binding, cause, () => unbind(step));
}

/** The target is barred, left and reported; what was sent to it may be sent again. */
function fail(step: Step, binding: Binding, cause: FailureCause, leave: () => void): void {
	const { flow, now } = step;
	const { target } = binding;
	flow.counters.failovers++;
	flow.cache.bar(target, now, flow.settings.barMs, flow.settings.maxBarMs);
	forgetBinding(step, target);
	leave();
	step.notify({ name: "failover", target, cause });
	reportFailure(step, binding);
	step.effects.push({ do: "resend", target, cause });
}

/** Sends a probe if one is due. undefined: all have timed out. */
function probe(step: Step, { target, ticket }: Binding, attempts: Attempts): Attempts | undefined {
	const { settings, counters } = step.flow;
	if (step.now < attempts.due) return attempts;
	const timeout = settings.probeTimeoutsMs[attempts.sent];
	if (timeout === undefined) return undefined;
	counters.probes++;
	const flags = ticket.flags & ~(FLAG.failure | FLAG.packet);
	step.effects.push({ do: "probe", to: target, header: { ...ticket, type: "probe", flags } });
	return { sent: attempts.sent + 1, due: step.now + timeout };
}
