/**
 * The state machine of one address's health: unknown → healthy ⇄ unhealthy, with hysteresis and flap damping.
 *
 *   unknown    first answer → healthy
 *   healthy    `fall` polls unanswered, or `refusals` refused, or a farewell → unhealthy
 *   unhealthy  `rise` answers (one, where its sessions stayed), and the hold-down has passed → healthy
 *
 * Each fall within `dampMs` of the previous recovery doubles the hold-down, up to `longestHoldMs`.
 *
 * Owns: thresholds, counters, the hold-down.
 * Must never: let an address that was never heard fall, or read a clock: same input, same output.
 */
import type { Evidence, TargetHealth } from "./health.js";

export interface HealthRules {
	/** Answers in a row. */
	readonly rise: number;
	/** Unanswered polls in a row. */
	readonly fall: number;
	/** Refused polls in a row. */
	readonly refusals: number;
	/** A silence shorter than this is none, however many polls it took. */
	readonly shortestSilenceMs: number;
	/** The first hold-down. */
	readonly holdMs: number;
	readonly longestHoldMs: number;
	readonly dampMs: number;
}

export const RULES: HealthRules = {
	rise: 2,
	fall: 3,
	refusals: 2,
	shortestSilenceMs: 1500,
	holdMs: 1000,
	longestHoldMs: 60_000,
	dampMs: 60_000,
};

/** One address's health and what its next step starts from. */
export interface Assessed extends TargetHealth {
	/** In a row. */
	readonly answers: number;
	readonly misses: number;
	readonly refused: number;
	readonly answeredAt: number;
	/** Its data plane outlives its daemon, by its last report. */
	readonly survives: boolean;
	/** Falls, each within `dampMs` of the recovery before. */
	readonly falls: number;
	readonly recoveredAt: number;
	readonly heldUntil: number;
}

export type AssessedState = ReadonlyMap<string, Assessed>;

/** One step: the state that follows from the previous one and from what was observed since, in order. */
export function assess(
	before: AssessedState,
	evidence: readonly Evidence[],
	rules: HealthRules = RULES,
): AssessedState {
	if (evidence.length === 0) return before;
	const after = new Map(before);
	for (const one of evidence) {
		const next = step(after.get(one.subject), one, rules);
		if (next !== undefined) after.set(one.subject, next);
	}
	return after;
}

/** The subjects whose health or whose sessions' fate differs. */
export function changedSubjects(before: AssessedState, after: AssessedState): string[] {
	return [...after].flatMap(([subject, { health, drains }]) => {
		const was = before.get(subject);
		return was?.health === health && was.drains === drains ? [] : [subject];
	});
}

function step(was: Assessed | undefined, evidence: Evidence, rules: HealthRules): Assessed | undefined {
	if (evidence.passed) return was === undefined ? first(evidence) : answered(was, evidence, rules);
	return was === undefined ? undefined : failed(was, evidence, rules);
}

function first({ at, survives = false }: Evidence): Assessed {
	const never = Number.NEGATIVE_INFINITY;
	const counts = { answers: 1, misses: 0, refused: 0, falls: 0 };
	const times = { since: at, answeredAt: at, recoveredAt: never, heldUntil: never };
	return { health: "healthy", reason: "its load reports arrive", drains: false, survives, ...counts, ...times };
}

function answered(was: Assessed, { at, survives = false }: Evidence, { rise }: HealthRules): Assessed {
	const answers = was.answers + 1;
	const now = { ...was, answers, misses: 0, refused: 0, answeredAt: at, survives };
	// One that drains has forwarded all the time: the first word of its daemon is enough.
	const enough = was.drains ? 1 : rise;
	if (was.health === "healthy" || answers < enough || at < was.heldUntil) return now;
	return {
		...now,
		health: "healthy",
		since: at,
		reason: "its load reports arrive again",
		drains: false,
		recoveredAt: at,
	};
}

function failed(was: Assessed, evidence: Evidence, rules: HealthRules): Assessed {
	const { kind, at, detail } = evidence;
	// A refusal shows that the host answers: it ends a silence.
	const refused = kind === "packet-error" ? was.refused + 1 : was.refused;
	const misses = kind === "packet-error" ? 0 : kind === "load-report" ? was.misses + 1 : was.misses;
	const now = { ...was, answers: 0, misses, refused };
	const silent = misses >= rules.fall && at - was.answeredAt >= rules.shortestSilenceMs;
	if (kind === "farewell") return down(now, at, detail, false, rules);
	if (silent) return down(now, at, `${detail}, ${misses} polls unanswered`, false, rules);
	if (refused >= rules.refusals && was.health === "healthy") return down(now, at, detail, was.survives, rules);
	return now;
}

/** It falls; or, if it has fallen and drains, its sessions move now. */
function down(was: Assessed, at: number, reason: string, drains: boolean, rules: HealthRules): Assessed {
	if (was.health === "unhealthy") return was.drains && !drains ? { ...was, drains, reason } : was;
	const falls = at - was.recoveredAt <= rules.dampMs ? was.falls + 1 : 1;
	const heldUntil = at + Math.min(rules.longestHoldMs, rules.holdMs * 2 ** (falls - 1));
	return { ...was, health: "unhealthy", since: at, reason, drains, falls, heldUntil };
}
