// schema.ts - the shape of the configuration file: every field, its type, its default, and what to say when it is wrong.
//
// Owns: shape and spelling of single fields. The JSON Schema for editors and the tables of docs/configuration.md are
// made from this. Must never: look from one field at another; that is build.ts.

import { z } from "zod";
import { DEFAULT_STRATEGY, STRATEGIES, STRATEGY_NAMES } from "../policy/strategy/index.js";
import { parseAddress, parsePrefix, unfitAddress } from "./address.js";
import { DURATION_PATTERN, parseDuration, parseShare, parseSpeed, SHARE_PATTERN, SPEED_PATTERN } from "./quantities.js";

export const SECRET_PATTERN = /^[0-9a-fA-F]{32}$/;

type Fault = { readonly input?: unknown };

/** "is missing; X", or "5 is not right; X" where X says what would be right. */
function say(right: string): (fault: Fault) => string {
	return ({ input }) =>
		input === undefined ? `is missing; it must be ${right}` : `is ${shown(input)}; it must be ${right}`;
}

function shown(input: unknown): string {
	if (input === null) return "empty";
	if (Array.isArray(input)) return "a list";
	if (typeof input === "object") return "a map";
	return typeof input === "string" ? JSON.stringify(input) : String(input);
}

/** A string whose content is looked at by `fault`: what is wrong with it, or undefined. */
function text(right: string, fault: (value: string) => string | undefined, pattern?: string) {
	const schema = z.string({ error: say(right) }).superRefine((value, context) => {
		const wrong = fault(value);
		if (wrong !== undefined) context.addIssue({ code: "custom", message: wrong });
	});
	return pattern === undefined ? schema : schema.meta({ pattern });
}

/** A map with exactly these fields. The message of an unknown one lists the known ones, for problems.ts. */
function map<T extends z.ZodRawShape>(shape: T) {
	return z.strictObject(shape, {
		error: (issue) =>
			issue.code === "unrecognized_keys" ? Object.keys(shape).join(", ") : say("a map of fields")(issue),
	});
}

function whole(low: number, high: number, what = "a whole number") {
	const error = say(`${what} from ${low} to ${high}`);
	return z.int({ error }).min(low, { error }).max(high, { error });
}

function choice<const T extends readonly string[]>(values: T) {
	return z.enum(values, { error: say(values.length === 2 ? values.join(" or ") : `one of ${values.join(", ")}`) });
}

function flag() {
	return z.boolean({ error: say("true or false") });
}

/** What `oneOrMore` accepted, as a list; empty if the field was left out. */
export function list<T>(value: T | readonly T[] | undefined): T[] {
	if (value === undefined) return [];
	return Array.isArray(value) ? [...value] : [value as T];
}

/** One of them, or a list of at least one. */
function oneOrMore<T extends z.ZodType>(schema: T, right: string) {
	const many = z.array(schema, { error: say(right) }).min(1, { error: () => `is an empty list; it must be ${right}` });
	return z.union([schema, many], { error: say(right) });
}

function named<T extends z.ZodType>(value: T, what: string) {
	const right = `1 to 64 letters, digits, dots, dashes or underscores, beginning with a letter or digit`;
	const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
		error: ({ input }) => `${JSON.stringify(input)} cannot be a ${what}'s name; a name is ${right}`,
	});
	return z.record(name, value, { error: say(`a map from each ${what}'s name to its fields`) });
}

function duration(low: number, high: number, range: string, stepMs = 1) {
	const right = `a duration ${range}, with its unit, such as 500ms, 30s, 2m or 1h`;
	return text(
		right,
		(value) => {
			const ms = parseDuration(value);
			const steps = (ms ?? 0) / stepMs; // 0.029 / 0.001 is not quite 29 in binary
			const good = ms !== undefined && ms >= low && ms <= high && Math.abs(steps - Math.round(steps)) < 1e-6;
			return good ? undefined : say(right)({ input: value });
		},
		DURATION_PATTERN,
	);
}

const weight = (what: string) => {
	const error = say(`a weight ${what}, from 0 to 1000`);
	return z.number({ error }).min(0, { error }).max(1000, { error });
};

function speed() {
	const right = "a speed above 0 with its unit, such as 100Mbit or 10Gbit";
	return text(right, (value) => (parseSpeed(value) ? undefined : say(right)({ input: value })), SPEED_PATTERN);
}

function percent() {
	const right = "a share above 0% and up to 100%, such as 95%";
	return text(right, (value) => (parseShare(value) ? undefined : say(right)({ input: value })), SHARE_PATTERN);
}

const port = () => whole(1, 65535, "a port");
const name = (what: string) => text(`the name of a ${what}`, (v) => (v === "" ? "is an empty name" : undefined));

const address = () =>
	text("an IPv4 or IPv6 address", (value) => {
		const parsed = parseAddress(value);
		if (parsed === undefined) {
			const hint = value.includes("/") ? ", without a prefix length" : value.includes("%") ? ", without a zone" : "";
			return `${say("an IPv4 or IPv6 address")({ input: value })}${hint}`;
		}
		const unfit = unfitAddress(parsed);
		return unfit === undefined ? undefined : `${value} ${unfit}; it must be a unicast address of a host`;
	});

const prefix = () =>
	text("a prefix such as 198.51.100.0/24 or 2001:db8::/32, or one address", (value) => {
		const parsed = parsePrefix(value);
		if (parsed === undefined)
			return say("a prefix such as 198.51.100.0/24 or 2001:db8::/32, or one address")({ input: value });
		if (parsed.hostBits) return `${value} has bits set beyond its length; it must be ${parsed.text}`;
		if (parsed.family === 6 && unfitAddress(parsed) === "is an IPv4 address in IPv6 clothes") {
			return `${value} is an IPv4 prefix in IPv6 clothes; it must be written as IPv4`;
		}
		return undefined;
	});

// A secret must not find its way into an error message, so its value is never shown.
const SECRET = "32 hex digits in quotes (openssl rand -hex 16 makes them)";
const secret = () =>
	z
		.string({ error: () => `is not a text; it must be ${SECRET}` })
		.regex(SECRET_PATTERN, { error: () => `is not 32 hex digits; it must be ${SECRET}` });

const key = map({
	id: whole(0, 255, "a key id").describe("The key id in the header."),
	secret: secret().optional().describe("128 bits as 32 hex digits, in quotes."),
	secretFile: name("file")
		.optional()
		.describe("A file that holds those digits instead, relative to this file's folder."),
});

const terms = () =>
	map({
		clients: flag()
			.optional()
			.describe("Clients are expected to redirect themselves (the header's R flag). Default false."),
		term: choice(["once", "leased", "permanent"])
			.optional()
			.describe("For one flow, for as long as the lease, or for good. Default once."),
		lease: duration(1000, 65_535_000, "of whole seconds from 1s to 65535s", 1000)
			.optional()
			.describe("Length of the lease; only with term: leased. Default 60s."),
		answer: choice(["forward", "forward-and-indicate", "indicate", "return"])
			.optional()
			.describe(
				"What a gateway does with a packet that carries a capability; only with clients: true. forward: sends it on. forward-and-indicate: sends it on, and the backend tells the client in its reply. indicate: tells the client instead. return: tells the client and gives the packet back. Default: forward-and-indicate.",
			),
	});

const backendChoice = z.union(
	[
		name("backend"),
		map({
			name: name("backend").describe("The backend's name, as under backends."),
			port: port().optional().describe("The service's port at this backend. Default: the service's own port."),
			weight: whole(1, 1000, "a weight").default(1).describe("Share of new sessions, relative to the others."),
		}),
	],
	{ error: say("a backend's name, or a map { name, port, weight }") },
);

const choices = () =>
	z
		.array(backendChoice, { error: say("a list of backends") })
		.min(1, { error: () => "is an empty list; it must name at least one backend" });

const rule = map({
	from: oneOrMore(prefix(), "a prefix or a list of prefixes").describe("Sources: prefixes or single addresses."),
	backends: choices().optional().describe("Who serves these sources. Default: the service's own backends."),
	redirect: terms().optional().describe("What these clients are told; fields left out are the service's own."),
});

export const serviceSchema = map({
	address: oneOrMore(address(), "an address or a list of addresses").describe(
		"The service's address (VIP), one or several.",
	),
	port: port().describe("The port that clients use."),
	protocol: oneOrMore(choice(["udp", "tcp"]), "udp, tcp or [udp, tcp]").describe(
		"Which protocols; each is a service of its own.",
	),
	idle: duration(10, 86_400_000, "from 10ms to 24h")
		.default("30s")
		.describe("A session expires this long after its last packet."),
	idleSent: duration(0, 86_400_000, "from 0ms to 24h")
		.optional()
		.describe(
			"The same after the last packet that a backend sent to the client; the later of both ends holds. Default: as idle. 0ms: what is sent keeps no session alive.",
		),
	count: choice(["flow", "source"])
		.default("flow")
		.describe("What one UDP session is in the load: a flow of its own, or all flows of one source address together."),
	spread: choice(["flow", "source"])
		.default("flow")
		.describe("flow: every 5-tuple for itself. source: all flows of one source address go to one backend."),
	choose: choice(STRATEGY_NAMES)
		.default(DEFAULT_STRATEGY)
		.describe(
			`How a new session finds its backend. ${STRATEGIES.map(({ name, summary }) => `${name}: ${summary}.`).join(" ")}`,
		),
	via: choice(["ipv4", "ipv6"])
		.optional()
		.describe(
			"Which of a backend's addresses the tunnel uses. Default: the service's family if the backend has it, else the other.",
		),
	uninvited: choice(["accept", "drop"])
		.default("accept")
		.describe("Packets that come straight to a backend's own address from clients that were not redirected."),
	backends: choices().describe("Who serves it."),
	redirect: terms().optional().describe("What a redirecting client is told."),
	sources: z
		.array(rule, { error: say("a list of rules") })
		.default([])
		.describe("Rules by source; the longest prefix decides, down to one address."),
});

const uplink = map({
	address: oneOrMore(address(), "an address or a list of addresses").describe(
		"Those of the backend's addresses that are reached by this link.",
	),
	interface: name("network interface")
		.optional()
		.describe("Whose counters and speed are read. Default: the interface that carries the address."),
	speed: speed().optional().describe("Such as 100Mbit or 10Gbit, in each direction. Default: what the driver says."),
	cost: whole(1, 1000, "a cost")
		.default(1)
		.describe("Relative price of the link: at twice the cost it gets half of what its headroom would give it."),
	cap: percent()
		.default("95%")
		.describe("From this use on the link is handed out no more, as long as another of the backend's is below its own."),
});

const interfaces = () => oneOrMore(name("network interface"), "an interface's name or a list of names");

export const backendSchema = map({
	address: oneOrMore(address(), "an address or a list of addresses").describe(
		"The backend's own addresses; several of one family share its weight (one per uplink).",
	),
	interface: interfaces()
		.optional()
		.describe("Where the tunnel arrives. Default: the interface that carries the address."),
	state: choice(["active", "draining", "inactive"])
		.default("active")
		.describe("active: gets new sessions. draining: keeps those it has. inactive: gets nothing."),
	capacity: whole(1, 2 ** 31)
		.optional()
		.describe("How many sessions make this backend full. Default: that of load."),
	uplinks: z
		.array(uplink, { error: say("a list of uplinks { address, interface, speed, cost, cap }") })
		.default([])
		.describe(
			"What is known of the links that the addresses are on. Which address is handed out follows their headroom.",
		),
});

export const loadSchema = map({
	report: duration(100, 60_000, "from 100ms to 1m").default("1s").describe("How often a server reports its load."),
	smooth: duration(0, 600_000, "from 0ms to 10m")
		.default("3s")
		.describe("Time constant of the smoothing; 0ms: none. A rise or fall is told to two thirds after this time."),
	stale: duration(200, 3_600_000, "from 200ms to 1h")
		.default("5s")
		.describe("A report that is older says nothing any more: the load is unknown, and counts as the others' mean."),
	port: port().default(3576).describe("UDP port at which gateways take reports."),
	capacity: whole(1, 2 ** 31)
		.default(10_000)
		.describe("How many sessions make a server full."),
	udp: weight("of a UDP session").default(1).describe("What a UDP session counts."),
	tcp: weight("of a TCP session").default(1).describe("What a TCP session counts."),
	cpu: weight("of the processors' use").default(0).describe("0: not counted. 1: busy processors make a server full."),
	link: weight("of the links' use").default(0).describe("0: not counted. 1: a full uplink makes a server full."),
});

export const gatewaySchema = map({
	interface: interfaces().describe("Where packets for services arrive."),
	address: oneOrMore(address(), "an address or a list of addresses")
		.optional()
		.describe("Source addresses of the tunnel. Default: those of the interface."),
});

const indications = map({
	source: whole(1, 100_000).default(8).describe("To one source address, per second."),
	burst: whole(1, 100_000).default(32).describe("To one source address at first, before that rate holds."),
	all: whole(1, 10_000_000).default(10_000).describe("To all sources together, per second."),
});

export const clusterSchema = map({
	name: text("a name", (v) => (v === "" ? "is an empty name" : undefined))
		.default("shunt")
		.describe("For people and logs."),
	seed: text("any text, the same on every member", (v) =>
		v === "" ? "is empty; any text will do, the longer the better" : undefined,
	).describe("Any text; the secret seeds of all hashing are derived from it. The same on every member."),
	keys: z
		.array(key, { error: say("a list of keys { id, secret }") })
		.min(1, { error: () => "is an empty list; it must hold at least one key { id, secret }" })
		.describe("Keys under which headers are verified; two at once while keys are rotated."),
	sign: whole(0, 255, "a key id")
		.optional()
		.describe("Id of the key under which headers are signed. Default: the last of keys."),
	window: duration(1000, 3_600_000, "of whole seconds from 1s to 1h", 1000)
		.default("30s")
		.describe("How far a header's time of issue may be from now."),
	tunnelPort: port().default(6081).describe("UDP port of the tunnel between servers."),
	controlPort: port()
		.default(3575)
		.describe("UDP port at a service's address where gateways answer redirecting clients."),
	indications: indications.prefault({}).describe("How many redirects a gateway sends at most."),
	hops: whole(1, 5).default(5).describe("How often one packet may be forwarded again."),
});

export const sessionsSchema = map({
	capacity: whole(1024, 2 ** 28)
		.default(1_048_576)
		.describe("IPv4 sessions; 16 bytes each."),
	capacityIpv6: whole(1024, 2 ** 27)
		.default(262_144)
		.describe("IPv6 sessions; 32 bytes each, in a table that is more than half empty."),
	check: duration(10, 60_000, "from 10ms to 1m").default("1s").describe("How often idle sessions are looked for."),
});

export const engineSchema = map({
	mode: choice(["auto", "native", "generic", "user"])
		.default("auto")
		.describe(
			"native: XDP, in the driver. generic: XDP, in the kernel's receive path. user: in user space. auto: the first of these that works here.",
		),
	capture: choice(["ring", "pcap"]).default("ring").describe("How user space captures: AF_PACKET ring or libpcap."),
	workers: whole(1, 64).default(1).describe("User space: worker threads per interface."),
	busyPoll: duration(0, 100, "from 0us to 100ms", 0.001)
		.default("0us")
		.describe("User space: SO_BUSY_POLL on the capture socket; 0us: off."),
	qdiscBypass: flag().default(false).describe("User space: transmit past the queueing discipline."),
});

export const configSchema = map({
	version: z.literal(1, { error: say("1, the only version there is") }).describe("Version of this file's format."),
	cluster: clusterSchema.describe("What all members share."),
	sessions: sessionsSchema.prefault({}).describe("The session table."),
	load: loadSchema.prefault({}).describe("What a server's load is, and how it is told."),
	engine: engineSchema.prefault({}).describe("The packet engine."),
	gateways: named(gatewaySchema, "gateway").default({}).describe("Servers that receive packets for services."),
	backends: named(backendSchema, "backend").describe("Servers that can serve."),
	services: named(serviceSchema, "service").describe("What clients use."),
});

export type ServiceFields = z.output<typeof serviceSchema>;
export type BackendFields = z.output<typeof backendSchema>;
export type GatewayFields = z.output<typeof gatewaySchema>;
export type ClusterFields = z.output<typeof clusterSchema>;
export type SessionsFields = z.output<typeof sessionsSchema>;
export type LoadFields = z.output<typeof loadSchema>;
export type EngineFields = z.output<typeof engineSchema>;
export type TermsFields = z.output<ReturnType<typeof terms>>;
export type ChoiceFields = z.output<typeof backendChoice>;
