// sessions.ts - `shunt sessions`: lists, counts or expires live sessions.

import type { Expired, Session, SessionCount, SessionList, UnhealthyTarget } from "../api/types.js";
import { ShuntError } from "../errors.js";
import { type Paint, paintFor } from "./paint.js";
import { table } from "./table.js";
import { count, duration, endpoint, number } from "./units.js";
import { daemonOf, type Which } from "./which-daemon.js";

export interface SessionsOptions extends Which {
	readonly service?: string;
	readonly backend?: string;
	readonly source?: string;
	/** Milliseconds. */
	readonly idle?: number;
	readonly unhealthy?: boolean;
	readonly limit?: number;
	readonly count?: boolean;
	readonly expire?: boolean;
	readonly all?: boolean;
	readonly json?: boolean;
}

export async function sessions(options: SessionsOptions): Promise<void> {
	const { service, backend, source, idle, limit } = options;
	const filter = { service, backend, source, idle, unhealthy: options.unhealthy ? "" : undefined };
	const named = Object.values(filter).some((one) => one !== undefined);
	if (options.expire && !named && !options.all)
		throw new ShuntError("SHUNT_USAGE", {
			what: "--expire needs a selection: --service, --backend, --source, --idle or --unhealthy; or --all for every session.",
		});
	const daemon = await daemonOf(options, "sessions");
	if (options.expire)
		return print(await daemon.expireSessions({ ...filter, all: named ? undefined : "" }), options, expiredLines);
	if (options.count) return print(await daemon.countSessions(filter), options, countLines);
	return print(await daemon.sessions({ ...filter, limit }), options, listLines);
}

function print<T>(answer: T, { json }: SessionsOptions, linesOf: (answer: T) => string[]): void {
	process.stdout.write(`${json ? JSON.stringify(answer) : linesOf(answer).join("\n")}\n`);
}

function expiredLines({ expired }: Expired): string[] {
	return [
		expired === 0
			? "no session matched"
			: `${count(expired, "session")} expired; each one's next packet is placed anew`,
	];
}

function countLines({ total, groups }: SessionCount): string[] {
	const rows = groups.map((one) => [
		one.service,
		one.protocol,
		endpoint(one.destination, one.destinationPort),
		one.backend ?? "this host",
		number(one.sessions),
	]);
	const head = ["service", "on", "at", "backend", "sessions"];
	const [title, ...body] = table(["left", "left", "left", "left", "right"], [head, ...rows]);
	const paint = paintFor(process.stdout);
	return [...(body.length > 0 ? [paint("dim", title ?? ""), ...body] : []), count(total, "session")];
}

function listLines(answer: SessionList): string[] {
	const paint = paintFor(process.stdout);
	const latestFirst = [...answer.sessions].sort((a, b) => a.idleMs - b.idleMs);
	const total = count(latestFirst.length, "session");
	const marked = answer.unhealthy.length > 0;
	const head = ["service", "on", "source", "backend", "at", "idle", "left", "packets", ...(marked ? ["health"] : [])];
	const [title, ...body] = table(
		["left", "left", "left", "left", "left", "right", "right", "right", "left"],
		[head, ...latestFirst.map((session) => cells(session, paint))],
	);
	return [
		...(body.length > 0 ? [paint("dim", title ?? ""), ...body] : []),
		answer.truncated ? `${total} shown of more; raise --limit to see them` : total,
		...answer.unhealthy.map((one) => paint(one.stays ? "yellow" : "red", unhealthyLine(one))),
	];
}

function unhealthyLine({ service, protocol, backend, target, reason, stays }: UnhealthyTarget): string {
	const sessions = stays ? "its sessions stay" : "each of its sessions moves at its next packet";
	return `${service} ${protocol} at ${backend} ${target} is unhealthy: ${reason}; ${sessions}`;
}

function cells(session: Session, paint: Paint): string[] {
	return [
		session.service,
		session.protocol,
		endpoint(session.source, session.sourcePort),
		session.backend ?? "this host",
		session.target ?? "",
		duration(session.idleMs),
		duration(session.leftMs),
		session.state ?? (session.proven ? "several" : "one"),
		...(session.health === "unhealthy" ? [paint("red", "unhealthy")] : []),
	];
}
