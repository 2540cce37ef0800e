// lab.ts - `shunt lab`: hands over to scripts/lab, which stands in the package.
//
// Must never: understand a word of what it hands over.

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { ShuntError } from "../errors.js";

export async function lab(words: readonly string[]): Promise<void> {
	const script = fileURLToPath(new URL("../../scripts/lab", import.meta.url));
	// A terminal's Ctrl-C reaches the script as well; its end is ours.
	const stay = () => {};
	process.on("SIGINT", stay);
	process.on("SIGTERM", stay);
	process.exitCode = await new Promise<number>((resolve, reject) => {
		const child = spawn(script, words, { stdio: "inherit" });
		child.on("error", (error) =>
			reject(new ShuntError("SHUNT_COMMAND_FAILED", { command: "scripts/lab", why: error.message })),
		);
		child.on("exit", (status, signal) => resolve(status ?? 128 + (signal === null ? 0 : constants.signals[signal])));
	});
}
