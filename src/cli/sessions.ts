// sessions.ts - `shunt sessions`: who is there, with whom, and for how long yet; how many; and their end by hand.

import type { Expired, Session, SessionCount, SessionList } from "../api/types.js";
import { ShuntError } from "../errors.js";
import { paintFor } from "./paint.js";
import { table } from "./table.js";
import { count, duration, endpoint, number } from "./units.js";
import { daemonOf, type Which } from "./which-daemon.js";

export interface SessionsOptions extends Which {
	readonly service?: string;
	readonly backend?: string;
	readonly source?: string;
	/** Milliseconds. */
	readonly idle?: number;
	readonly limit?: number;
	readonly count?: boolean;
	readonly expire?: boolean;
	readonly all?: boolean;
	readonly json?: boolean;
}

export async function sessions(options: SessionsOptions): Promise<void> {
	const { service, backend, source, idle, limit } = options;
	const filter = { service, backend, source, idle };
	const named = Object.values(filter).some((one) => one !== undefined);
	if (options.expire && !named && !options.all)
		throw new ShuntError("SHUNT_USAGE", { what: "Say which sessions are to end, or --all." });
	const daemon = await daemonOf(options, "sessions");
	if (options.expire)
		return tell(await daemon.expireSessions({ ...filter, all: named ? undefined : "" }), options, ended);
	if (options.count) return tell(await daemon.countSessions(filter), options, counted);
	return tell(await daemon.sessions({ ...filter, limit }), options, listed);
}

function tell<T>(answer: T, { json }: SessionsOptions, inWords: (answer: T) => string[]): void {
	process.stdout.write(`${json ? JSON.stringify(answer) : inWords(answer).join("\n")}\n`);
}

function ended({ expired }: Expired): string[] {
	return [
		expired === 0 ? "no session matched" : `${count(expired, "session")} ended; each one's next packet chooses anew`,
	];
}

function counted({ total, groups }: SessionCount): string[] {
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

function listed(answer: SessionList): string[] {
	const paint = paintFor(process.stdout);
	const lastFirst = [...answer.sessions].sort((a, b) => a.idleMs - b.idleMs);
	const total = count(lastFirst.length, "session");
	const [title, ...body] = table(
		["left", "left", "left", "left", "left", "right", "right", "right"],
		[["service", "on", "source", "backend", "at", "idle", "left", "seen"], ...lastFirst.map(cells)],
	);
	return [
		...(body.length > 0 ? [paint("dim", title ?? ""), ...body] : []),
		answer.truncated ? `${total} shown, and there are more: --limit` : total,
	];
}

function cells(session: Session): string[] {
	return [
		session.service,
		session.protocol,
		endpoint(session.source, session.sourcePort),
		session.backend ?? "this host",
		session.target ?? "",
		duration(session.idleMs),
		duration(session.leftMs),
		session.proven ? "often" : "once",
	];
}
