/**
 * Loads, as they are shown: a server's own, and what a gateway believes of its backends.
 *
 * Must never: weigh; what is believed, gateway/balancing.ts has from policy.
 */
import type { Backend } from "../config/index.js";
import type { LoadReport } from "../load/index.js";
import type { Member } from "../member/member.js";
import type { LoadStatus } from "./types.js";

export function ownLoad(member: Member): LoadStatus | null {
	const report = member.role.load();
	if (report === undefined) return null;
	const ageMs = Date.now() - report.at;
	return { ...reported(report, () => null), known: "fresh", ageMs, load: report.total, factor: null };
}

export function loadsOfBackends(member: Member): LoadStatus[] {
	const { balancing } = member;
	if (balancing === undefined) return [];
	return member.config.backends.map((backend) => {
		const believed = balancing.balance?.loads.get(backend.name);
		const share = (address: string) => shareOf(member, address);
		return {
			...reported(balancing.reports.get(backend.name) ?? silent(backend), share),
			known: believed?.known ?? "unknown",
			ageMs: balancing.age(backend.name) ?? null,
			load: believed?.load ?? null,
			factor: balancing.balance?.factors.get(backend.name)?.factor ?? 1,
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

/** One that has not been heard. */
function silent({ name, uplinks }: Backend): LoadReport {
	const nothing = { up: true, rxBps: 0, txBps: 0, rxPps: 0, txPps: 0, drops: 0, errors: 0 };
	const links = uplinks.map(({ addresses, speedBps }) => ({ addresses, speedBps, ...nothing }));
	return { server: name, at: 0, total: 0, udpSessions: 0, tcpSessions: 0, cpu: null, link: null, uplinks: links };
}

function shareOf({ balancing }: Member, address: string): number | null {
	if (balancing?.balance === undefined) return null;
	return balancing.balance.down.has(address) ? 0 : (balancing.balance.shares.get(address) ?? null);
}
