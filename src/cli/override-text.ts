// override-text.ts - the overrides in a status: what differs from the file at run time.

import type { OverrideStatus } from "../api/types.js";
import type { Paint } from "./paint.js";
import { count } from "./units.js";

export function overrideLines(overrides: readonly OverrideStatus[], now: number, paint: Paint): string[] {
	return overrides.map((one) => paint("yellow", overrideText(one, now)));
}

function overrideText(
	{ backend, service, state, weight, since, until, by, file, sessions }: OverrideStatus,
	now: number,
) {
	const origin = `by ${by === "command" ? "command" : "its own report"} since ${timeText(since, now)}`;
	const left = `${count(sessions, "session")} left`;
	const says = `the file says ${file}`;
	if (state === null) return `${backend} has weight ${weight} in ${service} ${origin}; ${says}`;
	if (state === "inactive") return `${backend} is out of service ${origin}, its deadline is over, ${left}; ${says}`;
	const end = until === null ? "" : ` until ${timeText(until, now)}`;
	return `${backend} drains ${origin}${end}, ${left}; ${says}`;
}

/** "12:01:07", of local time; with the date if it is another day. */
function timeText(at: number, now: number): string {
	const date = new Date(at);
	const time = date.toTimeString().slice(0, 8);
	return date.toDateString() === new Date(now).toDateString() ? time : `${date.toISOString().slice(0, 10)} ${time}`;
}
