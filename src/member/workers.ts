/**
 * The workers of a user-space engine.
 *
 * Owns: how many capture on an interface, and how they share its flows.
 */
import { cpus } from "node:os";
import type { Config } from "../config/index.js";
import type { WorkerOptions } from "../engine/index.js";

/** As many workers on each interface as configured; several on one interface share its flows by PACKET_FANOUT. */
export function workersFor(interfaces: readonly string[], config: Config): WorkerOptions[] {
	const { workers, busyPollUs, stations } = config.engine;
	const processors = cpus().length;
	return interfaces.flatMap((name, group) =>
		Array.from({ length: workers }, (_, i) => ({
			interface: name,
			busyPollUs,
			// The kernel's mark compares with the interface's own address only.
			...(stations === "any" || stations.length > 0 ? { otherStations: true } : {}),
			...(workers > 1 ? { fanout: (process.pid + group) & 0xffff, cpu: i % processors } : {}),
		})),
	);
}
