// freshness.ts - what a gateway believes of each backend's load, from a report that is already some time old.
//
//   0 ── fresh ── stale/2 ── fading ── stale ── unknown
//
// A fresh report is believed, and what this gateway has itself added since is added to it: a gateway that sends all new
// sessions to the backend that reported little, until the next report, makes a herd of its own (Mitzenmacher, "How useful is old
// information?", 2000). A fading one gives way to the mean of those that are known. An unknown one is that mean: never idle,
// which would draw all new sessions to a server that cannot report.
//
// Must never: tell apart servers that nothing is known of.

export type Known = "fresh" | "fading" | "unknown";

export interface Heard {
	readonly name: string;
	/** Sessions that make it full. */
	readonly capacity: number;
	/** This gateway's sessions with it, now. */
	readonly sessions: number;
	/** undefined: there has been none. */
	readonly report?:
		| {
				/** As `now`. */
				readonly receivedAt: number;
				readonly total: number;
				/** Those of this gateway's sessions with it that the report has: smoothed like it. */
				readonly sessions: number;
		  }
		| undefined;
}

export interface Believed {
	/** undefined: no backend has reported. */
	readonly load: number | undefined;
	/** The same without what this gateway has added since: steadier, and the same for every gateway. */
	readonly reported: number | undefined;
	readonly known: Known;
}

export function believed(backends: readonly Heard[], now: number, staleMs: number): Map<string, Believed> {
	const trusts = backends.map(({ report }) => (report === undefined ? 0 : trust(now - report.receivedAt, staleMs)));
	const totals = backends.map(({ report }) => report?.total ?? 0);
	const loads = backends.map(({ report, sessions, capacity }) =>
		report === undefined ? 0 : Math.max(0, report.total + (sessions - report.sessions) / capacity),
	);
	const all = trusts.reduce((sum, one) => sum + one, 0);
	const faded = (values: readonly number[]) => {
		const usual = usualOf(values, trusts);
		return values.map((value, i) => (all === 0 ? undefined : usual + (value - usual) * trusts[i]!));
	};
	const load = faded(loads);
	const reported = faded(totals);
	return new Map(
		backends.map(({ name }, i) => {
			const known: Known = trusts[i] === 1 ? "fresh" : trusts[i] === 0 ? "unknown" : "fading";
			return [name, { load: load[i], reported: reported[i], known }];
		}),
	);
}

function usualOf(values: readonly number[], trusts: readonly number[]): number {
	const known = values.map((value, i) => ({ value, trust: trusts[i]! })).filter(({ trust }) => trust > 0);
	const all = known.reduce((sum, { trust }) => sum + trust, 0);
	const mean = known.reduce((sum, { value, trust }) => sum + value * trust, 0) / all;
	let below = 0;
	for (const { value, trust } of known.sort((a, b) => a.value - b.value)) {
		below += trust;
		if (below >= all / 2) return Math.max(mean, value);
	}
	return mean;
}

/** 1 to half of the time after which a report says nothing any more, then falling to 0. */
function trust(ageMs: number, staleMs: number): number {
	return Math.min(1, Math.max(0, 2 - (2 * ageMs) / staleMs));
}
