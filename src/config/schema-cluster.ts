// schema-cluster.ts - the fields that hold for the whole cluster: keys and ports, sessions, load, engine.
//
// Owns: their shape, defaults and documentation. Must never: compare fields; that is build.ts.

import { z } from "zod";
import { choice, duration, flag, mac, map, mustBe, name, port, secret, text, weight, whole } from "./field-types.js";
import { healthSchema } from "./schema-health.js";

const key = map({
	id: whole(0, 255, "a key id").describe("The key's id, as the redirection header carries it."),
	secret: secret().optional().describe("128 bits as 32 hex digits, in quotes."),
	secretFile: name("file")
		.optional()
		.describe(
			"A file that holds the 32 hex digits, relative to this file's folder and readable by its owner only; instead of secret.",
		),
});

const indications = map({
	source: whole(1, 100_000).default(8).describe("Redirects per second to one source address."),
	burst: whole(1, 100_000).default(32).describe("Redirects to one source address before that rate applies."),
	all: whole(1, 10_000_000).default(10_000).describe("Redirects per second to all sources together."),
});

export const clusterSchema = map({
	name: text("a name", (value) => (value === "" ? "empty; must be a name" : undefined))
		.default("shunt")
		.describe("The cluster's name, shown in logs and answers."),
	seed: text("any text, the same on every member", (value) =>
		value === "" ? "empty; must be any text, the same on every member; the longer the better" : undefined,
	).describe("Any text, the same on every member; the secret seeds of all hashing are derived from it."),
	keys: z
		.array(key, { error: mustBe("a list of keys { id, secret }") })
		.min(1, { error: () => "an empty list; must hold at least one key { id, secret }" })
		.describe("Keys that headers are verified with; two at once while keys are rotated."),
	sign: whole(0, 255, "a key id")
		.optional()
		.describe("Id of the key that headers are signed with. Default: the last of keys."),
	window: duration(1000, 3_600_000, "of whole seconds from 1s to 1h", 1000)
		.default("30s")
		.describe("Largest difference between a header's time of issue and the receiver's clock."),
	tunnelPort: port().default(6081).describe("UDP port of the tunnel between members."),
	tunnelFrom: choice(["members", "any"])
		.default("members")
		.describe(
			"Source addresses that backends accept the tunnel from. members: those of gateways and backends, if each gateway has an address of each family that backends have. any: all.",
		),
	controlPort: port()
		.default(3575)
		.describe("UDP port at each service's address where gateways answer redirecting clients."),
	indications: indications.prefault({}).describe("Rate limits of the redirects that a gateway sends."),
	hops: whole(1, 5).default(5).describe("How many times one packet may be forwarded."),
});

/** What a database may hold of this section: no secret, and nothing that names one. */
const { seed: _seed, keys: _keys, sign: _sign, ...sharedCluster } = clusterSchema.shape;

export const sessionsSchema = map({
	capacity: whole(1024, 2 ** 28)
		.default(1_048_576)
		.describe("IPv4 sessions; 16 bytes each."),
	capacityIpv6: whole(1024, 2 ** 27)
		.default(262_144)
		.describe("IPv6 sessions; 32 bytes each, in a table that is at most half full."),
	check: duration(10, 60_000, "from 10ms to 1m").default("1s").describe("Interval of the search for idle sessions."),
});

export const loadSchema = map({
	report: duration(100, 60_000, "from 100ms to 1m").default("1s").describe("Interval of a backend's load reports."),
	smooth: duration(0, 600_000, "from 0ms to 10m")
		.default("3s")
		.describe("Time constant of the smoothing: a step shows to two thirds after this time. 0ms: no smoothing."),
	stale: duration(200, 3_600_000, "from 200ms to 1h")
		.default("5s")
		.describe("Age at which a report expires; the load is then unknown and counts as the others' mean."),
	port: port().default(3576).describe("UDP port where backends answer load queries."),
	capacity: whole(1, 2 ** 31)
		.default(10_000)
		.describe("Sessions that make a backend full."),
	udp: weight("of a UDP session").default(1).describe("Weight of a UDP session."),
	tcp: weight("of a TCP session").default(1).describe("Weight of a TCP session."),
	cpu: weight("of the processors' use").default(0).describe("Weight of the processors' use. 0: not counted."),
	link: weight("of the links' use").default(0).describe("Weight of the busiest uplink's use. 0: not counted."),
});

/** The database's record of what all members have in common. */
export const settingsSchema = map({
	cluster: map(sharedCluster).optional(),
	load: loadSchema.optional(),
	health: healthSchema.optional(),
});

const STATIONS = "any, or a list of MAC addresses such as 00:00:5e:00:01:33";

export const engineSchema = map({
	mode: choice(["auto", "native", "generic", "user"])
		.default("auto")
		.describe(
			"native: XDP in the driver. generic: XDP in the kernel's receive path. user: user space. auto: the first of these that works.",
		),
	workers: whole(1, 64).default(1).describe("User space: worker threads per interface."),
	busyPoll: duration(0, 100, "from 0us to 100ms", 0.001)
		.default("0us")
		.describe("User space: SO_BUSY_POLL of the capture socket. 0us: off."),
	stations: z
		.union(
			[
				choice(["any"]),
				z
					.array(mac(), { error: mustBe(STATIONS) })
					.max(7, { error: () => "more than 7 MAC addresses; list at most 7, or write any" }),
			],
			{
				error: mustBe(STATIONS),
			},
		)
		.default([])
		.describe(
			"MAC addresses whose frames are handled, besides the receiving interface's own: a virtual router's (VRRP, 00:00:5e:00:01:xx), broadcast or multicast. any: all of them. In user space a change takes effect at the next start.",
		),
	qdiscBypass: flag().default(false).describe("User space: transmit without the queueing discipline."),
});
