import { describe, expect, test } from "vitest";
import {
	ALL_UNKNOWN,
	backendHealth,
	type Health,
	healthOf,
	imposedStates,
	serviceSubject,
	type TargetHealth,
	targetHealth,
} from "../../src/health/index.js";

const TARGETS = [
	{
		key: "udp/203.0.113.53/53>b1/10.77.3.11/53",
		backend: "b1",
		address: "10.77.3.11",
		set: "udp/203.0.113.53/53",
		port: 53,
	},
	{
		key: "tcp/203.0.113.80/80>b1/10.77.3.11/80",
		backend: "b1",
		address: "10.77.3.11",
		set: "tcp/203.0.113.80/80",
		port: 80,
	},
	{
		key: "udp/2001:db8::53/53>b1/fd77::11/53",
		backend: "b1",
		address: "fd77::11",
		set: "udp/2001:db8::53/53",
		port: 53,
	},
	{
		key: "udp/203.0.113.53/53>b2/10.77.3.12/53",
		backend: "b2",
		address: "10.77.3.12",
		set: "udp/203.0.113.53/53",
		port: 53,
	},
] as const;
const ADDRESSES: Record<string, string[]> = { b1: ["10.77.3.11", "fd77::11"], b2: ["10.77.3.12"] };

const state = (healths: Record<string, Health | "drains">) =>
	new Map(
		Object.entries(healths).map(([address, health]): [string, TargetHealth] => {
			const reason = `of ${address}`;
			if (health === "drains") return [address, { health: "unhealthy", since: 1000, reason, drains: true }];
			return [address, { health, since: 1000, reason }];
		}),
	);
const imposed = (healths: Record<string, Health | "drains">) => {
	const states = imposedStates(targetHealth(TARGETS, state(healths), (backend) => ADDRESSES[backend]!));
	return TARGETS.map(({ key }) => states.get(key));
};

describe("health of backends and targets", () => {
	test("a target without evidence is unknown", () => {
		expect(healthOf(ALL_UNKNOWN, TARGETS[0].key)).toBe("unknown");
		expect(healthOf(state({ a: "healthy" }), "a")).toBe("healthy");
		expect(healthOf(state({ a: "healthy" }), "b")).toBe("unknown");
	});

	test("R31: unknown and healthy addresses take no target out of service", () => {
		expect(imposed({})).toEqual([undefined, undefined, undefined, undefined]);
		expect(imposed({ "10.77.3.11": "healthy", "fd77::11": "unknown" })).toEqual(Array(4).fill(undefined));
	});

	test("R31: an unhealthy address takes all of its targets out of service, and no other's", () => {
		expect(imposed({ "10.77.3.12": "unhealthy" })).toEqual([undefined, undefined, undefined, "inactive"]);
		expect(imposed({ "10.77.3.11": "unhealthy", "fd77::11": "healthy" })).toEqual([
			"inactive",
			"inactive",
			undefined,
			undefined,
		]);
	});

	test("R31: an address that was never heard follows its backend", () => {
		expect(imposed({ "10.77.3.11": "unhealthy" })).toEqual(["inactive", "inactive", "inactive", undefined]);
		expect(imposed({ "fd77::11": "drains" })).toEqual(["draining", "draining", "draining", undefined]);
	});

	test("R31: a backend is healthy by one address that is, and keeps its sessions where one drains", () => {
		const of = (healths: Record<string, Health | "drains">) => backendHealth(ADDRESSES.b1!, state(healths));
		expect(of({})).toMatchObject({ health: "unknown" });
		expect(of({ "10.77.3.11": "unhealthy", "fd77::11": "healthy" })).toMatchObject({ health: "healthy" });
		expect(of({ "10.77.3.11": "unhealthy" })).toMatchObject({ health: "unhealthy", reason: "of 10.77.3.11" });
		expect(of({ "10.77.3.11": "unhealthy", "fd77::11": "drains" })).toMatchObject({ drains: true });
	});

	test("R31: a service without a socket at one backend leaves that backend's other services alone", () => {
		const views = (healths: Record<string, Health | "drains">) => [state(healths)];
		const of = (healths: Record<string, Health | "drains">, hosts: Record<string, Health | "drains"> = {}) => {
			const found = targetHealth(TARGETS, state(hosts), (backend) => ADDRESSES[backend]!, views(healths));
			return TARGETS.map(({ key }) => imposedStates(found).get(key));
		};
		const dns = serviceSubject("b1", "udp/203.0.113.53/53", 53);
		expect(of({ [dns]: "unhealthy" })).toEqual(["inactive", undefined, undefined, undefined]);
		expect(of({ [dns]: "drains" }, { "10.77.3.11": "healthy" })).toEqual(["draining", undefined, undefined, undefined]);
		expect(of({ [dns]: "healthy" }, { "10.77.3.11": "drains" })[0]).toBe("draining");
		expect(of({ [dns]: "drains" }, { "10.77.3.11": "unhealthy" })[0], "the host is silent").toBe("inactive");
	});
});
