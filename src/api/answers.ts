/**
 * What a member answers over its control socket: its counters, sessions and tables, in an operator's words.
 *
 * Owns: the translation of ids, ticks and 16-byte addresses back into names, and the sentences of `explain`.
 * Must never: change anything; that a question was asked must not be seen in a packet.
 */
import { PROTOCOL_NUMBER, parseAddress, type Service } from "../config/index.js";
import { type Target, termsText } from "../database/index.js";
import { LOCAL_TARGET, type Explanation as NativeExplanation, reasons } from "../engine/index.js";
import { ShuntError } from "../errors.js";
import type { Member } from "../member/member.js";
import { ROLE } from "../policy/index.js";
import { formatAddress } from "../wire/index.js";
import { linksOf } from "./links.js";
import { loadsOfBackends, ownLoad } from "./loads.js";
import { endpoint, Names } from "./names.js";
import type { Answers, FlowQuery } from "./server.js";
import { countSessions, expireSessions, listSessions, sessionOf } from "./session-list.js";
import type { Count, Explanation, ReasonCount, Status, TargetStatus, Weighed } from "./types.js";
import { VERSION } from "./version.js";
import { rowText, weighedOf } from "./weighing.js";

export function answersOf(member: Member): Answers {
	return {
		status: () => statusOf(member),
		sessions: ({ limit, ...filter }) => listSessions(member, filter, limit),
		countSessions: (filter) => countSessions(member, filter),
		expireSessions: (filter) => expireSessions(member, filter),
		explain: (query) => explain(member, query),
		reload: () => member.reload(),
	};
}

function statusOf(member: Member): Status {
	const names = new Names(member);
	const { statistics } = member.engine;
	const counters = statistics.counters();
	const counts = member.engine.sessionCounts();
	const table = member.engine.sessionTable();
	const byReason = reasonCounts(counters.reasons);
	return {
		role: member.role.kind,
		name: member.role.name,
		version: VERSION,
		pid: process.pid,
		engine: {
			mode: member.kind,
			capture: member.kind === "user" ? "pcap" : "xdp",
			why: member.why,
			adopted: member.engine.kernel()?.adopted ?? false,
		},
		config: member.config.file,
		epoch: member.epoch,
		uptimeMs: Date.now() - member.startedAt,
		in: { packets: counters.packetsIn, bytes: counters.bytesIn },
		reasons: byReason,
		sent: { packets: counters.sent, made: counters.sentMade, told: counters.told },
		lost: counters.lost,
		conserved: byReason.reduce((sum, one) => sum + one.packets, 0) === counters.packetsIn,
		services: [...names.services].map(([id, service]) => ({
			name: service.name,
			address: service.address,
			port: service.port,
			protocol: service.protocol,
			idleMs: service.idleMs,
			sessions: counts.services[id] ?? 0,
			targets: targetsOfService(member, names, service, counts.targets),
		})),
		load: ownLoad(member),
		loads: loadsOfBackends(member),
		links: linksOf(member),
		sessions: {
			live: member.sweep?.live ?? 0,
			capacity: table.capacity,
			sweptAtMs: member.sweep?.finishedAt ?? null,
		},
		workers: member.kind === "user" ? workersOf(member) : processorsOf(member),
	};
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
				error: member.ended.get(i) ?? null,
			};
		}),
	);
}

/** One for each processor that packets have come to. Whether the program still is where it was attached, each of them says. */
function processorsOf(member: Member): Status["workers"] {
	const { statistics } = member.engine;
	const off = member.engine.kernel()?.links.filter((link) => !link.attached) ?? [];
	const error = off.length === 0 ? null : `the program is no longer on ${off.map((link) => link.interface).join(", ")}`;
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

function targetsOfService(member: Member, names: Names, service: Service, sessions: Uint32Array): TargetStatus[] {
	const rows = rowsByTarget(member, service);
	const total = [...rows.values()].reduce((sum, count) => sum + count, 0);
	return [...names.targets]
		.filter(([, target]) => target.service === service.key)
		.map(([id, target]) => ({
			backend: target.backend,
			address: target.address,
			port: target.port,
			state: member.balancing?.balance?.down.has(target.address) ? "inactive" : target.state,
			share: total === 0 ? 0 : (rows.get(id) ?? 0) / total,
			sessions: sessions[id] ?? 0,
			nextHop: macText(member.compiled?.tables.targets.find((one) => one.id === id)?.nextHop ?? null),
			...member.engine.statistics.target(id),
		}));
}

/** Rows of the service's own forwarding table, by target id. */
function rowsByTarget(member: Member, service: Service): Map<number, number> {
	const { tables } = member.compiled ?? {};
	const id = member.ids.services.get(service.key);
	const index = tables?.services.find((one) => one.id === id)?.redirection;
	const counts = new Map<number, number>();
	for (const target of (index === undefined ? undefined : tables?.redirections[index]?.rows) ?? [])
		counts.set(target, (counts.get(target) ?? 0) + 1);
	return counts;
}

function macText(mac: Buffer | null): string | null {
	return mac === null ? null : [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** A backend may be several targets of a service, so by its address too. */
function targetName(names: Names, id: number): string {
	const target = names.targets.get(id);
	return target ? `${target.backend} at ${endpoint(target.address, target.port)}` : "a target that is gone";
}

function explain(member: Member, query: FlowQuery): Explanation {
	const source = parseAddress(query.source);
	const destination = parseAddress(query.destination);
	if (!source) throw new ShuntError("SHUNT_ADDRESS_INVALID", { text: query.source });
	if (!destination) throw new ShuntError("SHUNT_ADDRESS_INVALID", { text: query.destination });
	if (source.family !== destination.family)
		throw new ShuntError("SHUNT_USAGE", { what: `${source.text} and ${destination.text} are of different families.` });
	const names = new Names(member);
	const native = member.engine.explain({
		source: source.bytes,
		sourcePort: query.sourcePort,
		destination: destination.bytes,
		destinationPort: query.destinationPort,
		protocol: PROTOCOL_NUMBER[query.protocol],
		family: source.family,
	});
	const reason = reasons()[native.reason];
	const service = names.services.get(native.service);
	const target = names.targets.get(native.target);
	const rule = ruleText(native, source.family);
	const weighed = native.choice ? weighedOf(native.choice, (id) => targetName(names, id)) : null;
	const session =
		native.session && service && !native.session.expired
			? sessionOf(names, {
					source: source.bytes,
					sourcePort: query.sourcePort,
					service: native.service,
					target: native.session.target,
					family: source.family,
					proven: native.session.proven,
					idleMs: native.session.idleMs,
				})
			: undefined;
	return {
		flow: { ...query, source: source.text, destination: destination.text },
		verdict: reason?.verdict ?? "drop",
		reason: reason?.name ?? "unknown",
		text: reason?.text ?? "",
		service: service ? { name: service.name, id: native.service } : null,
		rule,
		row: native.choice && native.choice.rows > 0 ? { index: native.choice.row, rows: native.choice.rows } : null,
		weighed,
		session: session ?? null,
		target: target
			? {
					backend: target.backend,
					address: target.address,
					port: target.port,
					state: target.state,
					terms: termsText(target.terms),
				}
			: null,
		why: sentences(member, names, native, { query, service, target, rule, weighed }),
	};
}

/** The rule's prefix as it was configured: the mapped form of an IPv4 prefix is 96 bits longer. */
function ruleText(native: NativeExplanation, family: 4 | 6): string | null {
	const { prefix, prefixLength } = native.choice ?? {};
	if (prefix === undefined || prefixLength === undefined) return null;
	return `${formatAddress(prefix)}/${family === 4 ? prefixLength - 96 : prefixLength}`;
}

function sentences(
	member: Member,
	names: Names,
	native: NativeExplanation,
	of: {
		query: FlowQuery;
		service: Service | undefined;
		target: Target | undefined;
		rule: string | null;
		weighed: Weighed[] | null;
	},
): string[] {
	const { query, service, target, rule, weighed } = of;
	const to = `${query.protocol} ${endpoint(query.destination, query.destinationPort)}`;
	const reason = reasons()[native.reason]?.name;
	if (reason === "direct" || reason === "uninvited")
		return [
			`${to} is where the service ${service?.name ?? "(gone)"} listens on this backend itself: its clients come straight here.`,
			reason === "direct"
				? "The session table notes it, and the host's own stack has the packet."
				: "It takes only clients that have shown that they were redirected (uninvited: drop), and this one has not.",
		];
	if (!(native.own & ROLE.gateway))
		return [`${query.destination} is no service's address here: the host's own stack has the packet.`];
	if (service === undefined)
		return [
			`${query.destination} is a service's address, but ${to} is no service: the host's own stack has the packet.`,
		];
	const why = [`${to} is the service ${service.name}.`];
	if (native.session?.expired)
		why.push(
			`It had a session, which is idle for ${seconds(native.session.idleMs)}, longer than ${seconds(service.idleMs)}.`,
		);
	else if (native.session) {
		const held =
			native.session.target === LOCAL_TARGET ? "this host" : names.targets.get(native.session.target)?.backend;
		why.push(`It has a session with ${held ?? "a target that is gone"}, idle for ${seconds(native.session.idleMs)}.`);
	} else why.push("It has no session.");
	const stays = native.session && !native.session.expired && native.session.target === native.target;
	if (!stays && native.choice) {
		why.push(
			rule === null
				? "No rule names its source: the service's own redirection answers."
				: `The rule for ${rule} names its source.`,
		);
		why.push(
			native.choice.rows === 0
				? "That redirection has no active target."
				: rowText(service.spread, native.choice.rows, native.choice.row, weighed),
		);
	}
	if (target) {
		why.push(
			`It goes to ${target.backend} at ${endpoint(target.address, target.port)} (${target.state}; ${termsText(target.terms)}).`,
		);
		if (member.compiled?.unresolved.includes(target.address))
			why.push("The next hop on that way has not answered yet.");
	}
	return why;
}

function seconds(ms: number): string {
	return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}
