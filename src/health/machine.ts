/**
 * The state machine of one address's health: unknown → healthy ⇄ unhealthy, with hysteresis and flap damping.
 *
 *   unknown    first answer → healthy; of a probe or a port, `fall` failures → unhealthy
 *   healthy    `fall` polls unanswered, or `refusals` refused, or a farewell, or unreachable → unhealthy
 *   unhealthy  `rise` answers (one, where its sessions stayed), and the hold-down has passed → healthy
 *
 * Each fall within `dampMs` of the previous recovery doubles the hold-down, up to `longestHoldMs`.
 *
 * Owns: thresholds, counters, the hold-down.
 * Must never: let an address fall from which no load report ever came, or read a clock: same input, same output.
 */
import type { Evidence, TargetHealth } from "./health.js";

export interface HealthRules {
	/** Answers in a row. */
	readonly rise: number;
	/** Unanswered polls, or other failures, in a row. */
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

/** Of a backend's word about a port: it is right, and at once. */
export const PORT_RULES = { rise: 1, fall: 1, shortestSilenceMs: 0 } as const;

/** Of clients' reports: what is counted is counted before (client-reports.ts). */
export const REPORT_RULES = PORT_RULES;

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
	if (isDirect(evidence)) return directlyFailed(was ?? unheard(evidence), evidence, rules);
	return was === undefined ? undefined : failed(was, evidence, rules);
}

/** What fails is the service itself, not a way of asking for it that may be filtered. */
function isDirect({ kind }: Evidence): boolean {
	return kind === "port" || kind === "probe" || kind === "client-reports";
}

const NEVER = Number.NEGATIVE_INFINITY;

function unheard({ at }: Evidence): Assessed {
	const counts = { answers: 0, misses: 0, refused: 0, falls: 0 };
	const times = { since: at, answeredAt: NEVER, recoveredAt: NEVER, heldUntil: NEVER };
	return { health: "unknown", reason: "not known yet", drains: false, survives: false, ...counts, ...times };
}

function first(evidence: Evidence): Assessed {
	const { at, survives = false } = evidence;
	return {
		...unheard(evidence),
		health: "healthy",
		reason: wellReason(evidence),
		answers: 1,
		answeredAt: at,
		survives,
	};
}

function wellReason({ kind, detail }: Evidence): string {
	return kind === "load-report" ? "its load reports arrive" : detail;
}

function answered(was: Assessed, evidence: Evidence, { rise }: HealthRules): Assessed {
	const { at, survives = false } = evidence;
	const answers = was.answers + 1;
	const now = { ...was, answers, misses: 0, refused: 0, answeredAt: at, survives };
	if (was.health === "unknown") return { ...now, health: "healthy", since: at, reason: wellReason(evidence) };
	// One that drains has forwarded all the time: the first word of its daemon is enough.
	const enough = was.drains ? 1 : rise;
	if (was.health === "healthy" || answers < enough || at < was.heldUntil) return now;
	return {
		...now,
		health: "healthy",
		since: at,
		reason: `${wellReason(evidence)} again`,
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
	if (kind === "farewell" || kind === "unreachable") return down(now, at, detail, false, rules);
	if (silent) return down(now, at, `${detail}, ${misses} polls unanswered`, false, rules);
	if (refused >= rules.refusals && was.health === "healthy") return down(now, at, detail, was.survives, rules);
	return now;
}

function directlyFailed(was: Assessed, evidence: Evidence, rules: HealthRules): Assessed {
	const misses = was.misses + 1;
	const now = { ...was, answers: 0, misses };
	return misses < rules.fall ? now : down(now, evidence.at, evidence.detail, evidence.drains ?? false, rules);
}

/** It falls; or, if it has fallen and drains, its sessions move now. */
function down(was: Assessed, at: number, reason: string, drains: boolean, rules: HealthRules): Assessed {
	if (was.health === "unhealthy") return was.drains && !drains ? { ...was, drains, reason } : was;
	const falls = at - was.recoveredAt <= rules.dampMs ? was.falls + 1 : 1;
	const heldUntil = at + Math.min(rules.longestHoldMs, rules.holdMs * 2 ** (falls - 1));
	return { ...was, health: "unhealthy", since: at, reason, drains, falls, heldUntil };
}
