// schema.ts - the shape of the configuration file: its sections, and the fields of a service. The fields of the cluster
// and of its members are in schema-cluster.ts and schema-members.ts.
//
// Owns: every field's type, default and documentation. The JSON Schema for editors and the table of
// docs/configuration.md are generated from it. Must never: compare fields; that is build.ts.

import { z } from "zod";
import { DEFAULT_STRATEGY, STRATEGIES, STRATEGY_NAMES } from "../policy/strategy/index.js";
import {
	choice,
	duration,
	flag,
	map,
	mustBe,
	name,
	named,
	oneOrMore,
	port,
	ports,
	prefix,
	serviceAddress,
	whole,
} from "./field-types.js";
import { clusterSchema, engineSchema, loadSchema, sessionsSchema } from "./schema-cluster.js";
import { databaseSchema } from "./schema-database.js";
import { healthSchema, serviceHealthSchema } from "./schema-health.js";
import { backendSchema, gatewaySchema } from "./schema-members.js";

const termsFields = () => ({
	clients: flag()
		.optional()
		.describe("Clients are expected to redirect themselves (the header's R flag). Default: false."),
	term: choice(["once", "leased", "permanent"])
		.optional()
		.describe("Validity: for one flow, for the time of the lease, or without end. Default: once."),
	lease: duration(1000, 65_535_000, "of whole seconds from 1s to 65535s", 1000)
		.optional()
		.describe("Time of the lease; only with term: leased. Default: 60s."),
	answer: choice(["forward", "forward-and-indicate", "indicate", "return"])
		.optional()
		.describe(
			"What a gateway does with a packet that carries a capability, see below; only with clients: true. Default: forward-and-indicate.",
		),
});

const terms = () => map(termsFields());

const backendChoice = z.union(
	[
		name("backend"),
		map({
			name: name("backend").describe("A name under backends."),
			port: port().optional().describe("Port of the service at this backend. Default: the service's port."),
			weight: whole(0, 1000, "a weight")
				.default(1)
				.describe("Relative share of new sessions. 0: keeps its sessions of this service and gets no new ones."),
		}),
	],
	{ error: mustBe("a backend's name, or a map { name, port, weight }") },
);

const choices = () =>
	z
		.array(backendChoice, { error: mustBe("a list of backends") })
		.min(1, { error: () => "an empty list; must name at least one backend" });

const rule = map({
	from: oneOrMore(prefix(), "a prefix or a list of prefixes").describe(
		"Source prefixes, addresses, or ranges of addresses.",
	),
	backends: choices().optional().describe("Backends for these sources. Default: the service's backends."),
	redirect: terms().optional().describe("Redirection of these clients; omitted fields are the service's."),
	action: choice(["allow", "refuse", "silent"])
		.optional()
		.describe(
			"allow: these sources are served. refuse: they are not, and are answered as by refuse: reset of the service. silent: they are not, and their packets are dropped. Default: allow.",
		),
});

export const serviceSchema = map({
	address: oneOrMore(serviceAddress(), "an address, a prefix of addresses, or a list of them").describe(
		"The service's addresses (VIPs); a prefix such as 203.0.113.0/28 is one service at all of its addresses.",
	),
	port: oneOrMore(ports(), 'one port, a range such as 10000-20000, "any", or a list of ports and ranges').describe(
		"Ports that clients use: one, a range such as 10000-20000, any, or a list; each entry becomes a service of its own. Several ports are kept at the backend.",
	),
	protocol: oneOrMore(choice(["udp", "tcp"]), "udp, tcp or [udp, tcp]").describe(
		"Protocols; each becomes a service of its own.",
	),
	idle: duration(10, 86_400_000, "from 10ms to 24h")
		.optional()
		.describe(
			"A session expires this long after the client's last packet. Default: 30s for UDP, 2h4m for TCP (124m; RFC 5382).",
		),
	idleTransitory: duration(10, 86_400_000, "from 10ms to 24h")
		.optional()
		.describe(
			"The same of a TCP session that is half-open (only SYN has come) or closing (FIN or RST has come). Default: 4m, at most idle.",
		),
	idleSent: duration(0, 86_400_000, "from 0ms to 24h")
		.optional()
		.describe(
			"The same after the backend's last packet to the client; the later of both applies. Default: idle. 0ms: egress session refresh is disabled.",
		),
	count: choice(["flow", "source"])
		.default("flow")
		.describe("What counts as one UDP session in the load: each flow, or all flows of one source address."),
	session: choice(["flow", "none"])
		.default("flow")
		.describe("none: each datagram is chosen by itself, and no record is kept; udp only."),
	spread: choice(["flow", "source"])
		.default("flow")
		.describe("flow: each 5-tuple is placed by itself. source: all flows of one source address go to one backend."),
	choose: choice(STRATEGY_NAMES)
		.default(DEFAULT_STRATEGY)
		.describe(
			`How a new session finds its backend. ${STRATEGIES.map(({ name, summary }) => `${name}: ${summary}.`).join(" ")}`,
		),
	via: choice(["ipv4", "ipv6"])
		.optional()
		.describe("Address family of the tunnel. Default: the service's family if the backend has it, else the other."),
	uninvited: choice(["accept", "drop"])
		.default("accept")
		.describe("What a backend does with packets sent to its own address by clients that were not redirected."),
	refuse: choice(["reset", "silent"])
		.default("reset")
		.describe(
			"What a gateway answers where no active target is left. reset: a TCP reset, or port unreachable for UDP. silent: nothing.",
		),
	backends: choices().describe("Backends that serve it."),
	health: serviceHealthSchema.prefault({}).describe("Health of its backends, see docs/health.md."),
	redirect: map({
		...termsFields(),
		mptcp: flag()
			.optional()
			.describe(
				"Clients that speak MPTCP go on straight to their backend, which announces its address to them, see docs/mptcp.md. Default: false.",
			),
	})
		.optional()
		.describe("Redirection of clients."),
	sources: z
		.array(rule, { error: mustBe("a list of rules") })
		.default([])
		.describe("Rules by source; the longest matching prefix decides."),
});

export const configSchema = map({
	version: z.literal(1, { error: mustBe("1, the only version") }).describe("Version of the file format."),
	cluster: clusterSchema.describe("What all members have in common."),
	database: databaseSchema.prefault({}).describe("Where the redirection database is, see docs/database.md."),
	sessions: sessionsSchema.prefault({}).describe("The session table."),
	load: loadSchema.prefault({}).describe("How a backend's load is measured and reported."),
	health: healthSchema.prefault({}).describe("How a gateway judges its backends, see docs/health.md."),
	engine: engineSchema.prefault({}).describe("The packet engine."),
	gateways: named(gatewaySchema, "gateway").default({}).describe("Members that receive packets for services."),
	backends: named(backendSchema, "backend")
		.optional()
		.describe("Members that serve. Required with database.kind: static."),
	services: named(serviceSchema, "service")
		.optional()
		.describe("Services that clients use. Required with database.kind: static."),
});

export type HealthFields = z.output<typeof healthSchema>;
export type ServiceFields = z.output<typeof serviceSchema>;
export type TermsFields = z.output<ReturnType<typeof terms>>;
export type ChoiceFields = z.output<typeof backendChoice>;
