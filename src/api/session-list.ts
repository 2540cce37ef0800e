/**
 * Sessions: listed, counted, and ended by an operator.
 *
 * Owns: what a filter matches, and the walk over the table in slices, which yields to the event loop between them.
 * Must never: change a session outside expireSessions().
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Service } from "../config/index.js";
import { LOCAL_TARGET, type SessionFilter as NativeFilter, type SessionRow } from "../engine/index.js";
import type { Member } from "../member/member.js";
import { TARGET_STATE } from "../policy/index.js";
import { formatAddress } from "../wire/index.js";
import { bytesOf, endpoint, Names } from "./names.js";
import type { Session, SessionCount, SessionList, UnhealthyTarget } from "./types.js";

/** An absent field matches every session. */
export interface SessionFilter {
	service?: string;
	backend?: string;
	/** One address. */
	source?: string;
	/** Least idle time, in milliseconds. */
	idleMs?: number;
	/** With an unhealthy target. */
	unhealthy?: true;
}

/** Rows fetched at once: one to two milliseconds. */
const PAGE = 2048;

export async function listSessions(member: Member, filter: SessionFilter, limit: number): Promise<SessionList> {
	const names = new Names(member);
	const sessions: Session[] = [];
	const unhealthy = new Map<number, UnhealthyTarget>();
	let truncated = false;
	for await (const row of rowsOf(member, names, filter, Math.min(limit, PAGE))) {
		const session = sessionOf(names, row);
		if (session === undefined) continue;
		truncated = sessions.length === limit;
		if (truncated) break;
		sessions.push(session);
		if (session.health === "unhealthy" && !unhealthy.has(row.target))
			unhealthy.set(row.target, unhealthyTarget(names, row.target, session));
	}
	return { sessions, truncated, unhealthy: [...unhealthy.values()] };
}

function unhealthyTarget(names: Names, id: number, { service, protocol, backend, target }: Session): UnhealthyTarget {
	const { reason, since } = names.healthOf(id)!;
	const published = names.member.compiled?.tables.targets.find((one) => one.id === id);
	return {
		service,
		protocol,
		backend: backend!,
		target: target!,
		reason,
		forMs: Number.isFinite(since) ? Math.round(performance.now() - since) : null,
		stays: published?.state !== TARGET_STATE.inactive,
	};
}

export async function countSessions(member: Member, filter: SessionFilter): Promise<SessionCount> {
	const names = new Names(member);
	const groups = new Map<string, SessionCount["groups"][number]>();
	let total = 0;
	for await (const row of rowsOf(member, names, filter, PAGE)) {
		const service = names.services.get(row.service);
		if (service === undefined) continue;
		const backend = backendOf(names, row);
		const key = `${service.key} ${backend}`;
		const group = groups.get(key) ?? {
			service: service.name,
			protocol: service.protocol,
			destination: service.address,
			destinationPort: service.port,
			backend,
			sessions: 0,
		};
		group.sessions++;
		groups.set(key, group);
		total++;
	}
	return { total, groups: [...groups.values()].sort((a, b) => b.sessions - a.sessions) };
}

/** Ends every session that matches; the next packet of each chooses anew. */
export async function expireSessions(member: Member, filter: SessionFilter): Promise<{ expired: number }> {
	let expired = 0;
	for (const native of nativeFilters(new Names(member), filter)) {
		let from = 0;
		do {
			const slice = member.engine.removeSessions({ ...native, from });
			expired += slice.removed;
			from = slice.next;
			await turn();
		} while (from !== 0);
	}
	return { expired };
}

async function* rowsOf(member: Member, names: Names, filter: SessionFilter, limit: number): AsyncGenerator<SessionRow> {
	for (const native of nativeFilters(names, filter)) {
		let from = 0;
		do {
			const page = member.engine.sessions({ ...native, limit, from });
			yield* page.rows;
			from = page.next;
			await turn();
		} while (from !== 0);
	}
}

/** One filter per service id: a name may stand for several services. */
function nativeFilters(names: Names, filter: SessionFilter): NativeFilter[] {
	const { service, source, idleMs } = filter;
	const targets = targetsOf(names, filter);
	if (targets?.length === 0) return [];
	const common: NativeFilter = {
		...(targets === undefined ? {} : { targets }),
		...(source === undefined ? {} : { source: bytesOf(source) }),
		...(idleMs === undefined ? {} : { idleAtLeastMs: idleMs }),
	};
	if (service === undefined) return [common];
	return names.serviceIds(service).map((id) => ({ ...common, service: id }));
}

/** undefined: those of all targets. */
function targetsOf(names: Names, { backend, unhealthy }: SessionFilter): number[] | undefined {
	const ofBackend = backend === undefined ? undefined : names.targetIds(backend);
	if (!unhealthy) return ofBackend;
	return (ofBackend ?? [...names.targets.keys()]).filter((id) => names.healthOf(id)?.health === "unhealthy");
}

/** undefined: a record of a service that is no longer configured; the next sweep frees it. */
export function sessionOf(names: Names, row: SessionRow): Session | undefined {
	const service = names.services.get(row.service);
	if (service === undefined) return undefined;
	const target = names.targets.get(row.target);
	const health = names.healthOf(row.target)?.health;
	return {
		service: service.name,
		protocol: service.protocol,
		source: formatAddress(row.source),
		sourcePort: row.sourcePort,
		destination: service.address,
		destinationPort: service.port,
		backend: backendOf(names, row),
		target: target ? endpoint(target.address, target.port) : null,
		idleMs: Math.round(row.idleMs),
		leftMs: Math.max(0, Math.round(periodOf(service, row) - row.idleMs)),
		proven: row.proven,
		...(service.protocol === "tcp" ? { state: row.state } : {}),
		...(health === undefined ? {} : { health }),
	};
}

/** How long the session may be idle. */
export function periodOf(service: Service, { state }: Pick<SessionRow, "state">): number {
	return service.protocol === "tcp" && state !== "established" ? service.idleTransitoryMs : service.idleMs;
}

function backendOf(names: Names, row: SessionRow): string | null {
	return row.target === LOCAL_TARGET ? null : (names.targets.get(row.target)?.backend ?? "(gone)");
}
