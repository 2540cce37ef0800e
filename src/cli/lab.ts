// lab.ts - `shunt lab`: runs scripts/lab of the package with the same arguments.
//
// Must never: interpret the arguments.

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { ShuntError } from "../errors.js";

export async function lab(args: readonly string[]): Promise<void> {
	const script = fileURLToPath(new URL("../../scripts/lab", import.meta.url));
	// Ctrl-C on a terminal reaches the script too; this process ends when the script does.
	const ignore = () => {};
	process.on("SIGINT", ignore);
	process.on("SIGTERM", ignore);
	process.exitCode = await new Promise<number>((resolve, reject) => {
		const child = spawn(script, args, { stdio: "inherit" });
		child.on("error", (error) =>
			reject(new ShuntError("SHUNT_COMMAND_FAILED", { command: "scripts/lab", why: error.message })),
		);
		child.on("exit", (status, signal) => resolve(status ?? 128 + (signal === null ? 0 : constants.signals[signal])));
	});
}
