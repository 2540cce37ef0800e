/**
 * What a member answers over its control socket: its status, sessions and tables, by name.
 *
 * Owns: the content of `status`.
 * Must never: change how a packet is handled by answering a question.
 */
import { identityOf } from "../config/index.js";
import { reasons, type SessionCounts } from "../engine/index.js";
import type { Member } from "../member/member.js";
import { explain } from "./explain.js";
import { linksOf } from "./links.js";
import { loadsOfBackends, ownLoad } from "./loads.js";
import { Names, stateOf } from "./names.js";
import { override, overridesOf } from "./overrides.js";
import type { Answers } from "./server.js";
import { countSessions, expireSessions, listSessions } from "./session-list.js";
import type { Count, HealthAnswer, Ready, ReasonCount, Status } from "./types.js";
import { VERSION } from "./version.js";

export function answersOf(member: Member): Answers {
	return {
		status: () => statusOf(member),
		health: () => healthOf(member),
		sessions: ({ limit, ...filter }) => listSessions(member, filter, limit),
		countSessions: (filter) => countSessions(member, filter),
		expireSessions: (filter) => expireSessions(member, filter),
		explain: (query) => explain(member, query),
		reload: () => member.reload(),
		override: (command) => override(member, command),
	};
}

function statusOf(member: Member): Status {
	const names = new Names(member);
	const { statistics } = member.engine;
	const { counters, conserved } = statistics.accounted();
	const counts = member.engine.sessionCounts();
	const table = member.engine.sessionTable();
	const byReason = reasonCounts(counters.reasons);
	return {
		role: member.role.kind,
		name: member.role.name,
		version: VERSION,
		pid: process.pid,
		engine: {
			mode: member.mode,
			capture: member.mode === "user" ? "pcap" : "xdp",
			why: member.modeReason,
			outlivesDaemon: member.outlivesDaemon,
			adopted: member.engine.kernel()?.adopted ?? false,
		},
		config: member.config.file,
		database: databaseOf(member),
		digest: identityOf(member.fileConfig).config,
		ready: readyOf(member),
		epoch: member.epoch,
		uptimeMs: Date.now() - member.startedAt,
		in: { packets: counters.packetsIn, bytes: counters.bytesIn },
		reasons: byReason,
		sent: { packets: counters.sent, made: counters.sentMade, told: counters.told },
		lost: counters.lost,
		conserved,
		services: servicesOf(member, names, counts),
		load: ownLoad(member),
		loads: loadsOfBackends(member),
		overrides: overridesOf(member),
		drift: member.role.drift(),
		links: linksOf(member),
		advice: [...member.role.advice()],
		mptcp: member.role.mptcp(),
		sessions: {
			live: member.sweep?.live ?? 0,
			capacity: table.capacity,
			sweptAtMs: member.sweep?.finishedAt ?? null,
		},
		workers: member.mode === "user" ? workersOf(member) : processorsOf(member),
	};
}

function databaseOf({ database }: Member): Status["database"] {
	if (database === undefined) return null;
	const { name, version, copied, why, since, confirmedAt, invalid, refused } = database;
	const now = Date.now();
	return {
		name,
		version,
		copied,
		connected: why === undefined,
		problem: why ?? null,
		forMs: Math.max(0, now - since),
		ageMs: Math.max(0, now - confirmedAt),
		invalid: [...invalid],
		refused: refused ?? null,
	};
}

function readyOf({ readiness: { since, waitingFor } }: Member): Ready {
	return { ready: since !== undefined, sinceMs: since === undefined ? null : Date.now() - since, waitingFor };
}

function healthOf({ role }: Member): HealthAnswer {
	const checks = (role.backends?.checks() ?? []).map((check) => ({ ...check }));
	return { role: role.kind, name: role.name, checks, advice: [...role.advice()] };
}

function workersOf(member: Member): Status["workers"] {
	const { statistics } = member.engine;
	const { workers } = member.config.engine;
	return member.interfaces.flatMap((name, group) =>
		Array.from({ length: workers }, (_, n) => {
			const i = group * workers + n;
			const of = statistics.counters(i);
			return {
				interface: name,
				capture: "pcap",
				in: { packets: of.packetsIn, bytes: of.bytesIn },
				captureDrops: of.captureDropped,
				error: member.workerErrors.get(i) ?? null,
			};
		}),
	);
}

/** One for each processor that has received packets. Each reports an interface from which the program has been
 * detached. */
function processorsOf(member: Member): Status["workers"] {
	const { statistics } = member.engine;
	const detached = member.engine.kernel()?.links.filter((link) => !link.attached) ?? [];
	const error =
		detached.length === 0
			? null
			: `the XDP program is no longer attached to ${detached.map((link) => link.interface).join(", ")}`;
	return Array.from({ length: statistics.workers }, (_, i) => statistics.counters(i))
		.filter((of, i) => of.packetsIn > 0 || i === 0)
		.map((of) => ({
			interface: member.interfaces.join(", "),
			capture: "xdp",
			in: { packets: of.packetsIn, bytes: of.bytesIn },
			captureDrops: 0,
			error,
		}));
}

function reasonCounts(counted: Record<string, Count>): ReasonCount[] {
	return reasons()
		.filter(({ name }) => counted[name] !== undefined)
		.map(({ name, verdict, text }) => ({ reason: name, verdict, text, ...(counted[name] as Count) }))
		.sort((a, b) => b.packets - a.packets);
}

function servicesOf(member: Member, names: Names, counts: SessionCounts): Status["services"] {
	const { compiled, snapshot } = member;
	const nextHops = new Map(compiled?.tables.targets.map(({ id, nextHop }) => [id, nextHop]));
	const published = new Map(compiled?.tables.services.map((one) => [one.id, one.redirection]));
	const bySet = grouped(names.targets, ([, { set }]) => set);
	const panics = grouped(compiled?.panics ?? [], ({ service }) => service);
	return [...names.services].map(([id, service]) => {
		const { name, first } = snapshot.targetSets?.get(service.key) ?? { name: service.key, first: service };
		const listed = first === service ? (bySet.get(name) ?? []) : [];
		const rows = rowsByTarget(listed.length === 0 ? [] : compiled?.tables.redirections[published.get(id) ?? -1]?.rows);
		const total = [...rows.values()].reduce((sum, count) => sum + count, 0);
		return {
			name: service.name,
			address: service.address,
			port: service.port,
			ports: service.ports,
			protocol: service.protocol,
			idleMs: service.idleMs,
			sessions: counts.services[id] ?? 0,
			targets: listed.map(([target, { backend, address, port }]) => ({
				backend,
				address,
				port,
				...stateOf(member, names.targets.get(target)!),
				share: total === 0 ? 0 : (rows.get(target) ?? 0) / total,
				sessions: counts.targets[target] ?? 0,
				nextHop: macText(nextHops.get(target) ?? null),
				...member.engine.statistics.target(target),
			})),
			targetsOf: first === service ? null : first.key,
			panics: (panics.get(service.key) ?? []).map((one) => one.rule ?? ""),
		};
	});
}

function grouped<V>(values: Iterable<V>, keyOf: (value: V) => string): Map<string, V[]> {
	const groups = new Map<string, V[]>();
	for (const value of values) {
		const group = groups.get(keyOf(value));
		if (group === undefined) groups.set(keyOf(value), [value]);
		else group.push(value);
	}
	return groups;
}

/** Rows of a forwarding table, by target id. */
function rowsByTarget(rows: Iterable<number> = []): Map<number, number> {
	const counts = new Map<number, number>();
	for (const target of rows) counts.set(target, (counts.get(target) ?? 0) + 1);
	return counts;
}

function macText(mac: Buffer | null): string | null {
	return mac === null ? null : [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
