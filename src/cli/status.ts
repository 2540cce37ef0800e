/**
 * `shunt status`: who serves whom, and how every packet left.
 */
import type { ReasonCount, ServiceStatus, Status, TargetStatus } from "../api/index.js";
import { bar, bytes, count, duration, endpoint, paint, say, sayJson, table } from "./print.js";
import { client } from "./socket.js";

const VERDICT_STYLE = {
	forward: "green",
	return: "green",
	indicate: "green",
	pass: "gray",
	control: "yellow",
	drop: "red",
} as const;

export async function status(options: { socket?: string; json?: boolean; watch?: boolean }): Promise<void> {
	const daemon = client(options);
	do {
		const now = await daemon.status();
		if (options.json) sayJson(now);
		else say((options.watch ? "\u001b[2J\u001b[H" : "") + render(now));
		if (options.watch) await new Promise((resolve) => setTimeout(resolve, 1000));
	} while (options.watch);
}

export function render(now: Status): string {
	const parts = [head(now)];
	const services = now.services.flatMap((service) => service.targets.map((target) => ({ service, target })));
	if (services.length > 0) parts.push(now.role === "gateway" ? servedBy(services) : served(now.services));
	parts.push(reasonTable(now));
	return parts.join("\n\n");
}

function head(now: Status): string {
	const lost = now.workers.reduce((sum, worker) => sum + worker.captureDrops, 0);
	const lines = [
		`${paint("bold", `${now.role} ${now.name}`)}  up ${duration(now.uptimeMs)}, tables ${now.epoch}, ${now.config}`,
		`engine: ${now.engine.mode}, capture by ${now.engine.capture} (${now.engine.why})`,
		`sessions: ${count(now.sessions.live)} of ${count(now.sessions.capacity)}`,
		`packets: ${count(now.in.packets)} in (${bytes(now.in.bytes)}), ${
			now.conserved ? paint("green", "every one accounted for") : paint("yellow", "some still on their way")
		}${lost > 0 ? paint("red", `; ${count(lost)} more lost before us, for want of room`) : ""}`,
	];
	for (const worker of now.workers)
		if (worker.error !== null) lines.push(paint("red", `worker on ${worker.interface} ended: ${worker.error}`));
	return lines.join("\n");
}

interface ServedRow {
	service: ServiceStatus;
	target: TargetStatus;
}

function servedBy(rows: readonly ServedRow[]): string {
	const most = Math.max(1, ...rows.map(({ target }) => target.packets));
	// A service's name once, above its targets.
	const first = (row: ServedRow) => row.service.targets[0] === row.target;
	return table(rows, [
		{
			title: "SERVICE",
			of: (row) =>
				first(row)
					? `${row.service.name} ${row.service.protocol} ${endpoint(row.service.address, row.service.port)}`
					: "",
		},
		{ title: "BACKEND", of: ({ target }) => target.backend, style: ({ target }) => stateStyle(target) },
		{ title: "AT", of: ({ target }) => endpoint(target.address, target.port) },
		{ title: "SHARE", of: ({ target }) => `${Math.round(target.share * 100)} %`, right: true },
		{ title: "SESSIONS", of: ({ target }) => count(target.sessions), right: true },
		{ title: "PACKETS", of: ({ target }) => count(target.packets), right: true },
		{ title: "", of: ({ target }) => bar(target.packets / most, 10), style: () => "cyan" },
		{ title: "BYTES", of: ({ target }) => bytes(target.bytes), right: true },
		{ title: "", of: ({ target }) => note(target), style: () => "yellow" },
	]);
}

function served(services: readonly ServiceStatus[]): string {
	return table(services, [
		{ title: "SERVICE", of: (one) => `${one.name} ${one.protocol} ${endpoint(one.address, one.port)}` },
		{ title: "SESSIONS", of: (one) => count(one.sessions), right: true },
		{ title: "IDLE AFTER", of: (one) => duration(one.idleMs), right: true },
	]);
}

function stateStyle(target: TargetStatus): "green" | "yellow" | "red" {
	return target.state === "active" ? "green" : target.state === "draining" ? "yellow" : "red";
}

function note(target: TargetStatus): string {
	const notes: string[] = target.state === "active" ? [] : [target.state];
	if (target.nextHop === null) notes.push("next hop has not answered");
	return notes.join(", ");
}

function reasonTable(now: Status): string {
	if (now.reasons.length === 0) return "No packet has come yet.";
	return table<ReasonCount>(now.reasons, [
		{ title: "VERDICT", of: (one) => one.verdict, style: (one) => VERDICT_STYLE[one.verdict] },
		{ title: "REASON", of: (one) => one.reason },
		{ title: "PACKETS", of: (one) => count(one.packets), right: true },
		{ title: "BYTES", of: (one) => bytes(one.bytes), right: true },
		{ title: "", of: (one) => one.text, style: () => "dim" },
	]);
}
