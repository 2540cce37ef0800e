/**
 * Clients' failure reports: when enough networks agree that a service does not answer at a backend.
 *
 *   failure with a valid ticket → a bit for its network, per target → readings → this window → evidence
 *
 * A redirected client reports a target that does not answer it. One client proves nothing: its own path may be broken, and
 * a ticket can be shown as often as its owner likes. So networks are counted, not reports; and a probe of the service that
 * passes after the first report outweighs them: the service answers, and what fails is the clients' direct path.
 *
 * Owns: the window, the count of networks, and how probes weigh against reports.
 * Must never: let one network be enough.
 */

/** Reports farther apart are not of one failure. */
export const REPORT_WINDOW_MS = 5000;

/** What was read at one time. */
export interface ReportReading {
	readonly at: number;
	/** A bit for each network, by a keyed hash: two networks may share one. */
	readonly networks: bigint;
}

/** By service subject: readings of the last REPORT_WINDOW_MS, oldest first. */
export type ReportWindow = ReadonlyMap<string, readonly ReportReading[]>;

/** The window after a reading, which may be empty: what is too old leaves it. */
export function readReports(
	before: ReportWindow,
	read: Iterable<readonly [subject: string, networks: bigint]>,
	now: number,
): ReportWindow {
	const after = new Map<string, readonly ReportReading[]>();
	for (const [subject, readings] of before) {
		const recent = readings.filter(({ at }) => now - at <= REPORT_WINDOW_MS);
		if (recent.length > 0) after.set(subject, recent);
	}
	for (const [subject, networks] of read)
		if (networks !== 0n) after.set(subject, [...(after.get(subject) ?? []), { at: now, networks }]);
	return after;
}

export function networkCount(readings: readonly ReportReading[]): number {
	let bits = readings.reduce((all, { networks }) => all | networks, 0n);
	let count = 0;
	for (; bits !== 0n; bits &= bits - 1n) count++;
	return count;
}

/** The last probe of the service at that backend. */
export interface ProbeWord {
	readonly passed: boolean;
	readonly startedAt: number;
}

/** few: below the quorum. open: a probe that passed shortly before the first report; the next one decides. outweighed: a
 * probe has passed since the first report. failed: the service does not answer there. */
export type ReportVerdict = "few" | "open" | "outweighed" | "failed";

/** `quorum` 0: no number of networks is enough. `probe` undefined: none is configured, or none has ended yet. */
export function reportVerdict(
	readings: readonly ReportReading[],
	quorum: number,
	probe: ProbeWord | undefined,
	now: number,
): ReportVerdict {
	if (quorum < 2 || networkCount(readings) < quorum) return "few";
	if (probe === undefined || !probe.passed) return "failed";
	if (probe.startedAt >= readings[0]!.at) return "outweighed";
	return now - probe.startedAt <= REPORT_WINDOW_MS ? "open" : "failed";
}

/** For an operator: "b2: 5 client networks report that dns does not answer there". */
export function reportsText(backend: string, service: string, networks: number): string {
	return `${backend}: ${networks} client ${networks === 1 ? "network reports" : "networks report"} that ${service} does not answer there`;
}
