// status-text.ts - a daemon's status as text: services and their targets, reasons, and the conservation of packets.
//
// Owns: the layout. Must never: query a daemon; it formats what it is given.

import type { ReasonCount, ServiceStatus, Status, TargetStatus } from "../api/types.js";
import { loadLines, ownLoadText } from "./load-text.js";
import { overrideLines } from "./override-text.js";
import type { Paint } from "./paint.js";
import { bar, cut, table, width } from "./table.js";
import { bytes, count, duration, endpoint, number, percent, rate } from "./units.js";

export interface StatusView {
	readonly width: number;
	readonly paint: Paint;
	/** Include services and targets without traffic. */
	readonly all: boolean;
	readonly now: number;
	/** The previous status, for rates. */
	readonly before?: { readonly status: Status; readonly ms: number } | undefined;
}

const BAR = 8;

export function statusLines(status: Status, view: StatusView): string[] {
	return [
		...headLines(status, view),
		"",
		...serviceLines(status, view),
		"",
		...spaced(loadLines(status.loads, view.paint)),
		...spaced([...healthLines(status, view), ...adviceLines(status, view)]),
		...spaced(mptcpLines(status)),
		...spaced(status.drift.map(({ text, unusable }) => view.paint(unusable ? "red" : "yellow", text))),
		...spaced(overrideLines(status.overrides, view.now, view.paint)),
		...reasonLines(status, view),
		...workerLines(status, view),
		...linkLines(status, view),
	];
}

function headLines(status: Status, { paint, now, before }: StatusView): string[] {
	const name = paint("bold", `${status.role} ${status.name}`);
	const facts = `up ${duration(status.uptimeMs)}, tables of epoch ${status.epoch}, process ${status.pid}, shunt ${status.version}`;
	const { live, capacity, sweptAtMs } = status.sessions;
	const counted = sweptAtMs === null ? "not counted yet" : `counted ${duration(Math.max(0, now - sweptAtMs))} ago`;
	const full = capacity === 0 ? 0 : live / capacity;
	const sessions = `${number(live)} of ${number(capacity)} (${percent(full)}), ${counted}`;
	const seconds = before === undefined ? 0 : before.ms / 1000;
	const speed =
		before === undefined || seconds <= 0
			? ""
			: `, now ${rate((status.in.packets - before.status.in.packets) / seconds)}, ${bytes((status.in.bytes - before.status.in.bytes) / seconds)}/s`;
	const by = (verdict: string) => status.reasons.filter((one) => one.verdict === verdict);
	const dropped = sum(by("drop"));
	const missed = status.workers.reduce((total, worker) => total + worker.captureDrops, 0);
	const lost =
		status.engine.mode === "user"
			? `${alarm(missed, paint)} dropped before capture`
			: `${alarm(status.lost, paint)} refused by a driver`;
	const conserved = status.conserved
		? paint("green", "every packet is accounted for")
		: paint("yellow", "some are in flight");
	return [
		`${name}  ${facts}`,
		`engine    ${engineText(status)}`,
		`config    ${status.config}`,
		...databaseLines(status, paint),
		...(status.ready.ready
			? []
			: [`not ready ${paint("yellow", `waiting for ${status.ready.waitingFor.join(", ")}`)}`]),
		`packets   ${number(status.in.packets)} in, ${bytes(status.in.bytes)}${speed}; ${conserved}`,
		`dropped   ${alarm(dropped, paint)} by reason, ${lost}`,
		...answeredLine(sum(by("indicate")), sum(by("return")), sum(by("control"))),
		`sessions  ${full > 0.9 ? paint("yellow", sessions) : sessions}`,
		...(status.role === "backend" ? [`answers   ${answersText(status.sent)}`] : []),
		...(status.role === "backend" ? [`load      ${ownLoadText(status.load, paint)}`] : []),
	];
}

function databaseLines({ database }: Status, paint: Paint): string[] {
	if (database === null) return [];
	const { name, version, copied, problem, forMs, ageMs, invalid, refused } = database;
	const copy = `version ${version}, confirmed ${duration(ageMs)} ago`;
	return [
		problem === null
			? `database  ${name}: version ${version}`
			: paint("yellow", `database  does not answer for ${duration(forMs)}, its copy serves: ${copy}: ${problem}`),
		...(refused === null ? [] : [paint("red", `database  version ${copied} is refused: ${refused.split("\n")[0]}`)]),
		...invalid.map(({ key, problem: why, before }) =>
			paint("red", `database  ${key} is invalid, ${before ? "its last valid value serves" : "it is left out"}: ${why}`),
		),
	];
}

/** Packets that the packet program has answered itself, if any. */
function answeredLine(indicated: number, returned: number, control: number): string[] {
	if (indicated + returned + control === 0) return [];
	return [`answered  ${number(indicated)} indicated, ${number(returned)} returned, ${number(control)} control`];
}

function answersText({ packets, made }: Status["sent"]): string {
	const began = made === 0 ? "" : `; ${number(made)} of them began a session`;
	return `${count(packets, "packet")} to clients${began}`;
}

function spaced(lines: readonly string[]): string[] {
	return lines.length === 0 ? [] : [...lines, ""];
}

function engineText({ engine }: Status): string {
	const name = engine.mode === "user" ? `user space, ${engine.capture} capture` : `${engine.mode} XDP`;
	return `${name} (${engine.why})${engine.adopted ? "; sessions of an earlier daemon" : ""}`;
}

function alarm(value: number, paint: Paint): string {
	return value > 0 ? paint("red", number(value)) : number(value);
}

function sum(counts: readonly { packets: number }[]): number {
	return counts.reduce((total, one) => total + one.packets, 0);
}

// ---- services and their targets

function serviceLines(status: Status, view: StatusView): string[] {
	const { paint } = view;
	if (status.services.length === 0) return ["no services"];
	// A backend counts by session; targets are shown on gateways only.
	const isGateway = status.role === "gateway";
	const unreachable = (target: TargetStatus) => isGateway && target.share > 0 && target.nextHop === null;
	const busy = (service: ServiceStatus) =>
		service.sessions > 0 || sum(service.targets) > 0 || service.targets.some(unreachable);
	const shown = status.services
		.filter((service) => view.all || busy(service))
		.sort((a, b) => sum(b.targets) - sum(a.targets) || b.sessions - a.sessions);
	const rows: { cells: string[]; style?: "bold" }[] = [];
	for (const service of shown) {
		const packets = sum(service.targets);
		const octets = service.targets.reduce((total, target) => total + target.bytes, 0);
		const title = `${service.name} ${service.protocol} ${endpoint(service.address, service.ports)}`;
		const totals = isGateway ? [number(packets), bytes(octets)] : [];
		rows.push({ cells: [title, "", "", number(service.sessions), ...totals], style: "bold" });
		if (!isGateway) continue;
		if (service.targetsOf !== null) rows.push({ cells: [`  counted under ${service.targetsOf}`, "", "", "", "", ""] });
		const targets = service.targets.filter(
			(target) => view.all || target.share > 0 || target.packets > 0 || target.sessions > 0,
		);
		for (const target of targets) rows.push({ cells: targetCells(target, packets, paint) });
	}
	const head = ["service and targets", "traffic", "share", "sessions", ...(isGateway ? ["packets", "bytes"] : [])];
	const cells = [head, ...rows.map((row) => row.cells)];
	const [title, ...body] = isGateway
		? table(["left", "left", "right", "right", "right", "right"], cells)
		: table(["left", "right"], [["service", "sessions"], ...cells.slice(1).map((row) => [row[0] ?? "", row[3] ?? ""])]);
	const lines = body.map((line, i) => (rows[i]?.style === undefined ? line : paint(rows[i].style, line)));
	const idle = status.services.filter((service) => !shown.includes(service));
	return [...(shown.length > 0 ? [paint("dim", title ?? ""), ...lines] : []), ...idleLine(idle, shown.length, view)];
}

function targetCells(target: TargetStatus, of: number, paint: Paint): string[] {
	const part = of === 0 ? 0 : target.packets / of;
	// Only active targets have a share of new sessions; the state of others is shown instead.
	const share = target.share > 0 ? percent(target.share) : "by rule";
	const nextHop = target.nextHop === null ? paint("red", " no next hop") : "";
	return [
		`  ${target.backend} ${endpoint(target.address, target.port === 0 ? "any" : target.port)}${nextHop}`,
		paint("cyan", bar(part, BAR)),
		shareText(target, share, paint),
		number(target.sessions),
		number(target.packets),
		bytes(target.bytes),
	];
}

/** A target whose health is not believed, for too few are healthy, has a share. */
function shareText({ state, health, share: part }: TargetStatus, share: string, paint: Paint): string {
	if (health === "unhealthy" && part === 0) return paint("red", "unhealthy");
	return state === "active" || part > 0 ? share : paint("yellow", state);
}

function idleLine(idle: readonly ServiceStatus[], shown: number, view: StatusView): string[] {
	if (idle.length === 0) return [];
	const names = [...new Set(idle.map((service) => service.name))].join(", ");
	const what = `${count(idle.length, shown > 0 ? "other service" : "service")} without traffic (--all): ${names}`;
	return [view.paint("dim", cut(what, view.width))];
}

// ---- unhealthy backends, and services in which health is not believed

/** Services that are unhealthy at a backend which is not. */
function unhealthyTargets({ loads, services }: Status): string[] {
	const dead = new Set(loads.filter(({ health }) => health === "unhealthy").map(({ server }) => server));
	return services.flatMap((service) =>
		service.targets
			.filter(({ backend, health }) => health === "unhealthy" && !dead.has(backend))
			.map(({ backend, state, healthReason }) => {
				const name = `${service.name} ${service.protocol} ${endpoint(service.address, service.ports)}`;
				const sessions = state === "draining" ? "its sessions stay, new ones go elsewhere" : "its sessions move";
				return `${name} at ${backend} is unhealthy: ${healthReason}; ${sessions}`;
			}),
	);
}

function mptcpLines({ mptcp }: Status): string[] {
	if (mptcp === null) return [];
	const { connections, direct, subflows, joined, bytesReceived, bytesSent } = mptcp;
	const now = `${number(direct)} of ${count(connections, "connection")} direct, by ${count(subflows, "subflow")}`;
	const carried = `${bytes(bytesReceived)} received past the gateway, ${bytes(bytesSent)} sent`;
	return [`MPTCP: ${now}; ${count(joined, "subflow")} since the start: ${carried}`];
}

function adviceLines({ advice }: Status, { paint }: StatusView): string[] {
	return advice.map((text) => paint("yellow", text));
}

function healthLines(status: Status, { paint }: StatusView): string[] {
	const { loads, services } = status;
	const unhealthy = loads.filter(({ health }) => health === "unhealthy");
	const panics = services.flatMap(({ name, protocol, address, ports, panics: prefixes }) =>
		prefixes.map((prefix) => {
			const from = prefix === "" ? "" : ` from ${prefix}`;
			return `${name} ${protocol} ${endpoint(address, ports)}${from}: too few backends are healthy; all of them are used`;
		}),
	);
	return [
		...unhealthy.map(({ server, reason, drains }) => {
			const sessions = drains ? "its sessions stay, new ones go elsewhere" : "its sessions move";
			return paint(drains ? "yellow" : "red", `${server} is unhealthy: ${reason}; ${sessions}`);
		}),
		...[...new Set(unhealthyTargets(status))].map((text) => paint("red", text)),
		...panics.map((text) => paint("red", text)),
	];
}

// ---- reasons

function reasonLines(status: Status, view: StatusView): string[] {
	const { paint } = view;
	if (status.reasons.length === 0) return [paint("dim", "no packet has come yet")];
	const cells = status.reasons.map((one) => [one.reason, painted(one, paint), number(one.packets), bytes(one.bytes)]);
	const lines = table(["left", "left", "right", "right"], [["reason", "verdict", "packets", "bytes"], ...cells]);
	const broad = Math.max(...lines.map(width));
	const room = view.width - broad - 2;
	return lines.map((line, i) => {
		const reason = status.reasons[i - 1];
		if (reason === undefined) return paint("dim", line);
		if (room < 16) return line;
		return `${line}${" ".repeat(broad - width(line) + 2)}${paint("dim", cut(reason.text, room))}`;
	});
}

function painted(reason: ReasonCount, paint: Paint): string {
	if (reason.verdict === "drop") return paint("red", reason.verdict);
	return reason.verdict === "forward" ? paint("green", reason.verdict) : reason.verdict;
}

// ---- workers, if there are several or one has ended

function workerLines(status: Status, { paint }: StatusView): string[] {
	const lines = status.workers.flatMap((worker, i) => {
		const name = `worker ${i} on ${worker.interface}`;
		if (worker.error) return [paint("red", `${name} has ended: ${worker.error}`)];
		if (worker.error !== null) return [paint("red", `${name} has ended`)];
		const counts = `${number(worker.in.packets)} packets, ${number(worker.captureDrops)} dropped before capture`;
		return status.workers.length > 1 ? [`${name}: ${counts}`] : [];
	});
	return lines.length === 0 ? [] : ["", ...lines];
}

// ---- links that are down or lose packets

function linkLines(status: Status, { paint }: StatusView): string[] {
	const lines = status.links.flatMap(({ interface: name, up, rx, tx, queues }) => {
		if (!up) return [paint("red", `link ${name} is down`)];
		const lost = rx.dropped + rx.errors + tx.dropped + tx.errors;
		if (lost === 0) return [];
		const worst = queues
			.map(({ queue, ...of }) => ({ queue, dropped: (of.rx.dropped ?? 0) + (of.tx.dropped ?? 0) }))
			.sort((a, b) => b.dropped - a.dropped)[0];
		const where = worst !== undefined && worst.dropped > 0 ? `, most in queue ${worst.queue}` : "";
		const dropped = `${number(rx.dropped)} received and ${number(tx.dropped)} transmitted packets dropped${where}`;
		return [paint("yellow", `link ${name}: ${dropped}; ${number(rx.errors + tx.errors)} errors`)];
	});
	return lines.length === 0 ? [] : ["", ...lines];
}
