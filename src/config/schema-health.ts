// schema-health.ts - the fields of health: of the whole cluster, and of one service.
//
// Owns: their shape, defaults and documentation. Must never: compare fields; that is build.ts.

import { choice, duration, map, share, whole } from "./field-types.js";

const bound = () => choice(["auto", "require", "ignore"]);
const fail = () => choice(["open", "refuse"]);
const slowStart = () => duration(0, 600_000, "from 0ms to 10m");

export const healthSchema = map({
	rise: whole(1, 100).default(2).describe("Answers in a row that make an unhealthy backend healthy."),
	fall: whole(1, 100)
		.default(3)
		.describe("Failures in a row that make a backend unhealthy: load queries without an answer."),
	hold: duration(0, 600_000, "from 0ms to 10m")
		.default("1s")
		.describe("An unhealthy backend stays so for at least this time; twice as long after each fall that follows soon."),
	bound: bound()
		.default("auto")
		.describe(
			"What a backend's daemon says of a service's port there. auto: if no socket has it any more, the backend is unhealthy for the service. require: also if no socket ever had it. ignore: nothing follows.",
		),
	slowStart: slowStart()
		.default("10s")
		.describe("A backend that is healthy again gets its share of new sessions in steps over this time. 0ms: at once."),
	panic: share()
		.default("50%")
		.describe("If less than this share of the active backends of a redirection are usable, all of them are used."),
	fail: fail()
		.default("open")
		.describe(
			"open: the panic threshold applies, and if no backend is usable, all are used. refuse: unhealthy backends are never used; if no other is left, packets are dropped.",
		),
});

export const serviceHealthSchema = map({
	bound: bound().optional().describe("As health.bound, which is its default."),
	slowStart: slowStart().optional().describe("As health.slowStart, which is its default."),
	panic: share().optional().describe("As health.panic, which is its default."),
	fail: fail().optional().describe("As health.fail, which is its default."),
});
