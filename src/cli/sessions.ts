// sessions.ts - `shunt sessions`: who is there, with whom, and for how long yet.

import type { Session } from "../api/types.js";
import { paintFor } from "./paint.js";
import { table } from "./table.js";
import { count, duration, endpoint } from "./units.js";
import { daemonOf, type Which } from "./which-daemon.js";

export interface SessionsOptions extends Which {
	readonly service?: string;
	readonly backend?: string;
	readonly source?: string;
	readonly limit?: number;
	readonly json?: boolean;
}

export async function sessions(options: SessionsOptions): Promise<void> {
	const { service, backend, source, limit } = options;
	const daemon = await daemonOf(options, "sessions");
	const answer = await daemon.sessions({ service, backend, source, limit });
	if (options.json) {
		process.stdout.write(`${JSON.stringify(answer)}\n`);
		return;
	}
	const paint = paintFor(process.stdout);
	const lastFirst = [...answer.sessions].sort((a, b) => a.idleMs - b.idleMs);
	const total = count(lastFirst.length, "session");
	const [title, ...body] = table(
		["left", "left", "left", "left", "left", "right", "right", "right"],
		[["service", "on", "source", "backend", "at", "idle", "left", "seen"], ...lastFirst.map(cells)],
	);
	const lines = [
		...(body.length > 0 ? [paint("dim", title ?? ""), ...body] : []),
		answer.truncated ? `${total} shown, and there are more: --limit` : total,
	];
	process.stdout.write(`${lines.join("\n")}\n`);
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
