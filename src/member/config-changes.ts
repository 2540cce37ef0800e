// config-changes.ts - what differs between two configurations, by name, for the log and the answer to a reload.

import { type Config, fingerprintOf } from "../config/index.js";

/** Sorted: "backend b3", "cluster", "service dns udp/203.0.113.53/53". */
export function changedParts(before: Config, after: Config): string[] {
	const a = parts(before);
	const b = parts(after);
	return [...new Set([...a.keys(), ...b.keys()])].filter((name) => !equal(a.get(name), b.get(name))).sort();
}

function parts(config: Config): Map<string, object> {
	return new Map<string, object>([
		["cluster", config.cluster],
		["sessions", config.sessions],
		["health", config.health],
		["engine", config.engine],
		...config.backends.map((one): [string, object] => [`backend ${one.name}`, one]),
		...config.gateways.map((one): [string, object] => [`gateway ${one.name}`, one]),
		...config.services.map((one): [string, object] => [`service ${one.name} ${one.key}`, one]),
	]);
}

function equal(a: object | undefined, b: object | undefined): boolean {
	if (a === undefined || b === undefined) return false;
	return a === b || fingerprintOf(a) === fingerprintOf(b);
}
