// load-text.ts - the loads of backends, as text.
//
// Owns: the table of loads. Must never: query a daemon; it formats what it is given.

import type { LoadStatus, UplinkStatus } from "../api/types.js";
import type { Paint } from "./paint.js";
import { bar, table } from "./table.js";
import { bps, count, duration, number, percent } from "./units.js";

const BAR = 8;
/** Load from which it is highlighted. */
const NEARLY_FULL = 0.9;

/** A backend's own load, in one line. */
export function ownLoadText(load: LoadStatus | null, paint: Paint): string {
	if (load === null) return "not measured yet";
	const sessions = `${count(load.udpSessions, "UDP session")}, ${count(load.tcpSessions, "TCP session")}`;
	const used = [
		...(load.cpu === null ? [] : [`processors ${percent(load.cpu)}`]),
		...(load.link === null ? [] : [`links ${percent(load.link)}`]),
	];
	const total = load.load ?? 0;
	const full = `${percent(total)} of full`;
	return [total >= NEARLY_FULL ? paint("yellow", full) : full, sessions, ...used].join(", ");
}

/** The loads of a gateway's backends. */
export function loadLines(loads: readonly LoadStatus[], paint: Paint): string[] {
	if (loads.length === 0) return [];
	if (loads.every((one) => one.ageMs === null)) return [paint("dim", "no backend has reported its load yet")];
	const rows = loads.flatMap((one) => [cells(one, paint), ...uplinkCells(one, paint)]);
	const head = ["load of", "", "full", "UDP", "TCP", "CPU", "link", "reported"];
	const [title, ...body] = table(
		["left", "left", "right", "right", "right", "right", "right", "left"],
		[head, ...rows],
	);
	return [paint("dim", title ?? ""), ...body];
}

function cells(one: LoadStatus, paint: Paint): string[] {
	const share = (part: number | null) => (part === null ? "" : percent(part));
	if (one.ageMs === null) return [one.server, "", paint("yellow", "unknown")];
	const load = one.load ?? 0;
	const reported = `${duration(one.ageMs)} ago`;
	return [
		one.server,
		paint(load >= NEARLY_FULL ? "yellow" : "cyan", bar(load, BAR)),
		one.known === "unknown" ? paint("yellow", "unknown") : percent(load),
		number(one.udpSessions),
		number(one.tcpSessions),
		share(one.cpu),
		share(one.link),
		one.known === "fresh" ? reported : paint("yellow", reported),
	];
}

/** Shown if the backend has several uplinks in use, or one that is down. */
function uplinkCells({ uplinks }: LoadStatus, paint: Paint): string[][] {
	const several =
		uplinks.some(({ share }) => share !== null && share < 1 && share > 0) || uplinks.some(({ up }) => !up);
	if (!several) return [];
	return uplinks.map((uplink) => [
		`  ${uplink.addresses[0] ?? ""}`,
		uplink.share === null ? "" : paint("cyan", bar(uplink.share, BAR)),
		uplink.share === null ? "" : percent(uplink.share),
		"",
		"",
		"",
		uplink.speedBps === 0 ? "" : percent(Math.max(uplink.rxBps, uplink.txBps) / uplink.speedBps),
		uplink.up ? linkText(uplink, paint) : paint("red", "down"),
	]);
}

function linkText({ speedBps, rxBps, txBps, drops, errors }: UplinkStatus, paint: Paint): string {
	const speed = speedBps === 0 ? bps(Math.max(rxBps, txBps)) : bps(speedBps);
	const losses = drops + errors > 0 ? paint("red", `, ${number(Math.ceil(drops + errors))}/s lost`) : "";
	return speed + losses;
}
