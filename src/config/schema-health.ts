// schema-health.ts - the fields of health: of the whole cluster, and of one service.
//
// Owns: their shape, defaults and documentation. Must never: compare fields; that is build.ts.

import { choice, duration, map, mustBe, port, share, text, whole } from "./field-types.js";

const bound = () => choice(["auto", "require", "ignore"]);
const fail = () => choice(["open", "refuse"]);
/** One network is never enough. */
const reports = () => {
	const rule = "0, or a whole number from 2 to 32";
	return whole(0, 32).refine((value) => value !== 1, { error: mustBe(rule) });
};
const slowStart = () => duration(0, 600_000, "from 0ms to 10m");

const anyText = (what: string) => text(what, (value) => (value === "" ? `empty; must be ${what}` : undefined));
const HEX = "an even number of hex digits in quotes";
const hex = () =>
	text(HEX, (value) => (/^([0-9a-fA-F]{2})+$/.test(value) ? undefined : `not hex digits; must be ${HEX}`));

const probe = map({
	type: choice(["tcp", "udp", "dns", "http", "https"]).describe(
		"tcp: connect, and send and expect if given. udp: send, and expect. dns: a question. http, https: a request.",
	),
	port: port()
		.optional()
		.describe(
			"A companion port at the backend's own address, asked directly. Default: the service itself, through the tunnel.",
		),
	send: anyText("a text to send").optional().describe("tcp, udp: text to send."),
	sendHex: hex().optional().describe("The same in hex digits."),
	expect: anyText("a text to expect").optional().describe("tcp, udp: text that the answer must contain. Default: any."),
	expectHex: hex().optional().describe("The same in hex digits."),
	name: anyText("a domain name").optional().describe("dns: the name to ask for. Default: the root."),
	record: choice(["A", "AAAA", "NS", "SOA", "TXT"]).default("SOA").describe("dns: the type of record."),
	path: anyText("a path such as /health").default("/").describe("http, https: the path."),
	host: anyText("a host name").optional().describe("http, https: the host name. Default: the service's address."),
	status: whole(100, 599, "a status").optional().describe("http, https: the status. Default: 200 to 399."),
	interval: duration(100, 600_000, "from 100ms to 10m").default("1s").describe("From one probe to the next."),
	timeout: duration(50, 60_000, "from 50ms to 1m").default("500ms").describe("An answer later than this is none."),
	rise: whole(1, 100).optional().describe("Answers in a row that make it healthy again. Default: health.rise."),
	fall: whole(1, 100).optional().describe("Failures in a row that make it unhealthy. Default: health.fall."),
	jitter: share().default("10%").describe("By so much of it an interval varies."),
});

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
	reports: reports()
		.default(3)
		.describe(
			"From so many networks (/24 of IPv4, /48 of IPv6) redirected clients must report within 5 s that a service does not answer at a backend; then it is unhealthy there. 0: reports have no effect.",
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
	probe: probe.optional().describe("What every gateway asks the service at each backend."),
});
