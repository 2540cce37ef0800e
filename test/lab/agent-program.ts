// agent-program.ts - `shunt client` on the lab's client.

import { onTestFailed } from "vitest";
import { CLI } from "./cluster.js";
import type { Lab, LabProcess } from "./lab.js";

/** A process may take long to start on a loaded machine. */
const START_MS = 60_000;

/** The agent, ready. */
export async function startAgent(lab: Lab, source: string, ...services: string[]): Promise<LabProcess> {
	const agent = lab.start("client", [
		process.execPath,
		...[CLI, "client", "--json", "-i", "eth0", "--service", ...services],
		...["--target-prefix", "10.77.0.0/16", "fd77::/16", "--source", source],
	]);
	onTestFailed(async () => {
		console.error(agent.stdout);
		await agent.stop();
	});
	await agent.saysOnStdout(/"event":"ready"/, START_MS);
	return agent;
}

/** What it has printed. */
export function eventsOf(agent: LabProcess): Record<string, unknown>[] {
	return agent.stdout
		.split("\n")
		.filter((line) => line.startsWith("{"))
		.map((line) => JSON.parse(line));
}
