// check-live.ts - `shunt check --live`: whether a running daemon, its file, and the members that it hears agree.
//
// Owns: the exit status: 1 if anything differs. Must never: change anything, or compare members itself; the daemon does.

import type { Status } from "../api/types.js";
import { identityOf, readConfig } from "../config/index.js";
import { EXIT, ShuntError } from "../errors.js";
import { printAnswer } from "./answer.js";
import { paintFor } from "./paint.js";
import { daemonOf, type Which } from "./which-daemon.js";

interface Finding {
	readonly member: string;
	readonly what: string;
	readonly text: string;
}

export async function checkLive(files: readonly string[], options: Which & { readonly json?: boolean }): Promise<void> {
	if (files.length > 1)
		throw new ShuntError("SHUNT_USAGE", { what: "With --live, one configuration at most is named." });
	const daemon = await daemonOf(options, "check --live");
	const status = await daemon.status();
	const findings: Finding[] = [...fileFindings(status, files[0] ?? status.config), ...unheard(status), ...status.drift];
	const { role, name } = status;
	const paint = paintFor(process.stdout);
	const lines =
		findings.length === 0
			? [`${role} ${name}: ${paint("green", "OK")}, ${heardText(status)}`]
			: findings.map(({ text }) => paint("yellow", text));
	printAnswer(options, { role, name, drift: findings }, () => lines.join("\n"));
	if (findings.length > 0) process.exitCode = EXIT.failed;
}

/** The daemon reads its file at its start and at a reload alone. */
function fileFindings({ name, digest }: Status, file: string): Finding[] {
	const found = (text: string) => [{ member: name, what: "file", text }];
	try {
		const { config } = identityOf(readConfig(file));
		if (config === digest) return [];
		return found(`${name} runs another configuration than ${file} (digest ${digest}, the file's ${config}); reload it`);
	} catch (error) {
		if (!(error instanceof ShuntError)) throw error;
		return found(error.message);
	}
}

/** A backend that was never heard cannot be compared. */
function unheard({ role, loads }: Status): Finding[] {
	if (role !== "gateway") return [];
	const silent = loads.filter(
		({ ageMs, health, known }) => ageMs === null && health === "unknown" && known === "unknown",
	);
	return silent.map(({ server }) => ({
		member: server,
		what: "unheard",
		text: `${server} has not been heard, so it cannot be compared: its daemon does not run, or its load port is filtered`,
	}));
}

function heardText({ role, loads }: Status): string {
	if (role !== "gateway") return "and no gateway's clock is beyond the window";
	return `and ${loads.length === 1 ? "its backend agrees" : `all ${loads.length} backends agree`}`;
}
