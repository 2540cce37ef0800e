// failure.ts - how a failed command ends: one sentence, a remedy and an exit status.
//
// Owns: standard error and the exit status in that case. With --json the error is one line, {"error": {...}}, on
// standard error, so that standard output holds answers only.
// Must never: print a stack trace, unless SHUNT_DEBUG is set.

import { CommanderError } from "commander";
import { ShuntError } from "../errors.js";
import { paintFor } from "./paint.js";

/** Prints the error and sets the exit status. */
export function fail(error: unknown, options: { json: boolean; command: string | undefined }): void {
	const known = toShuntError(error);
	if (known === undefined) return;
	const hint = hintOf(known, options.command);
	if (options.json) {
		process.stderr.write(`${JSON.stringify({ error: { ...known.toJSON(), hint } })}\n`);
	} else {
		const paint = paintFor(process.stderr);
		process.stderr.write(`${paint("red", "shunt:")} ${known.message}\n`);
		process.stderr.write(`${paint("dim", `       ${hint}`)}\n`);
	}
	if (process.env.SHUNT_DEBUG) console.error(error);
	process.exitCode = known.exitStatus;
}

/** undefined: commander reports that help was printed, which is not an error. */
function toShuntError(error: unknown): ShuntError | undefined {
	if (error instanceof ShuntError) return error;
	if (error instanceof CommanderError) {
		return error.exitCode === 0 || error.code === "commander.help"
			? undefined
			: new ShuntError("SHUNT_USAGE", { what: sentence(error.message) });
	}
	const why = (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
	return new ShuntError("SHUNT_INTERNAL", { why }, { cause: error });
}

/**
 * "error: unknown command 'statsu'\n(Did you mean status?)" -> "Unknown command 'statsu' (did you mean status?)."
 * "error: option '--use <fraction>' argument '2' is invalid. must be …" -> "Option '--use <fraction>' … is invalid; must be …."
 */
function sentence(message: string): string {
	const text = message
		.replace(/^error: /, "")
		.replace(/\s*\n\(Did/, " (did")
		.replace(/( argument '.*' is invalid)\. /s, "$1; ")
		.replace(/\.$/, "");
	return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function hintOf(error: ShuntError, command: string | undefined): string {
	return error.code === "SHUNT_USAGE" && command !== undefined
		? `shunt ${command} --help shows how it is used.`
		: error.hint;
}
