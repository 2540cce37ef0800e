/**
 * Loads in `status`: this server's own, and what its role believes of the backends.
 *
 * Must never: evaluate a report; the role's view of the backends has done so.
 */
import type { Backend } from "../config/index.js";
import type { LoadReport } from "../load/index.js";
import type { Member } from "../member/member.js";
import type { LoadStatus } from "./types.js";

export function ownLoad(member: Member): LoadStatus | null {
	const report = member.role.load();
	if (report === undefined) return null;
	const ageMs = Date.now() - report.at;
	const health = { health: "unknown", reason: null, drains: false } as const;
	return { ...reported(report, () => null), known: "fresh", ageMs, load: report.total, factor: null, ...health };
}

export function loadsOfBackends({ role, config }: Member): LoadStatus[] {
	const view = role.backends;
	if (view === undefined) return [];
	return config.backends.map((backend) => {
		const believed = view.believed(backend.name);
		const { health, reason, drains = false } = view.health(backend.name);
		return {
			...reported(view.report(backend.name) ?? noReport(backend), (address) => view.share(address)),
			known: believed?.known ?? "unknown",
			ageMs: view.reportAgeMs(backend.name) ?? null,
			load: believed?.load ?? null,
			factor: view.factor(backend.name),
			health,
			reason,
			drains,
		};
	});
}

function reported(report: LoadReport, share: (address: string) => number | null) {
	const { server, udpSessions, tcpSessions, cpu, link, uplinks } = report;
	return {
		server,
		udpSessions,
		tcpSessions,
		cpu,
		link,
		uplinks: uplinks.map((uplink) => ({ ...uplink, share: share(uplink.addresses[0] as string) })),
	};
}

/** In place of the report of a backend that has sent none. */
function noReport({ name, uplinks }: Backend): LoadReport {
	const nothing = { up: true, rxBps: 0, txBps: 0, rxPps: 0, txPps: 0, drops: 0, errors: 0 };
	const links = uplinks.map(({ addresses, speedBps }) => ({ addresses, speedBps, ...nothing }));
	return { server: name, at: 0, total: 0, udpSessions: 0, tcpSessions: 0, cpu: null, link: null, uplinks: links };
}
