// config-changes.ts - what differs between two configurations, by name, for the log and the answer to a reload.

import type { Config } from "../config/index.js";

/** Sorted: "backend b3", "cluster", "service dns udp/203.0.113.53/53". */
export function changedParts(before: Config, after: Config): string[] {
	const a = parts(before);
	const b = parts(after);
	return [...new Set([...a.keys(), ...b.keys()])].filter((name) => a.get(name) !== b.get(name)).sort();
}

function parts(config: Config): Map<string, string> {
	return new Map<string, string>([
		["cluster", JSON.stringify(config.cluster)],
		["sessions", JSON.stringify(config.sessions)],
		["health", JSON.stringify(config.health)],
		["engine", JSON.stringify(config.engine)],
		...config.backends.map((one): [string, string] => [`backend ${one.name}`, JSON.stringify(one)]),
		...config.gateways.map((one): [string, string] => [`gateway ${one.name}`, JSON.stringify(one)]),
		...config.services.map((one): [string, string] => [`service ${one.name} ${one.key}`, JSON.stringify(one)]),
	]);
}
