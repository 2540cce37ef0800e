import { describe, expect, test } from "vitest";
import { ALL_UNKNOWN, type Health, healthOf, type TargetHealth, unhealthyAddresses } from "../../src/health/index.js";

const TARGETS = [
	{ key: "udp/203.0.113.53/53>b1/10.77.3.11/53", address: "10.77.3.11" },
	{ key: "tcp/203.0.113.80/80>b1/10.77.3.11/80", address: "10.77.3.11" },
	{ key: "udp/203.0.113.53/53>b2/10.77.3.12/53", address: "10.77.3.12" },
] as const;

const state = (...healths: (Health | undefined)[]) =>
	new Map(
		TARGETS.flatMap(({ key }, i): [string, TargetHealth][] => {
			const health = healths[i];
			return health === undefined ? [] : [[key, { health, since: 1000, reason: "no answer to 3 probes" }]];
		}),
	);

describe("health of targets", () => {
	test("a target without evidence is unknown", () => {
		expect(healthOf(ALL_UNKNOWN, TARGETS[0].key)).toBe("unknown");
		expect(healthOf(state("healthy"), TARGETS[0].key)).toBe("healthy");
		expect(healthOf(state("healthy"), TARGETS[1].key)).toBe("unknown");
	});

	test("unknown and healthy targets take no address out of service", () => {
		expect(unhealthyAddresses(TARGETS, ALL_UNKNOWN)).toEqual(new Set());
		expect(unhealthyAddresses(TARGETS, state("healthy", "unknown", "healthy"))).toEqual(new Set());
	});

	test("an address is out of service when all of its targets are unhealthy", () => {
		expect(unhealthyAddresses(TARGETS, state(undefined, undefined, "unhealthy"))).toEqual(new Set(["10.77.3.12"]));
		expect(unhealthyAddresses(TARGETS, state("unhealthy", "healthy"))).toEqual(new Set());
		expect(unhealthyAddresses(TARGETS, state("unhealthy", undefined))).toEqual(new Set());
		expect(unhealthyAddresses(TARGETS, state("unhealthy", "unhealthy"))).toEqual(new Set(["10.77.3.11"]));
	});
});
