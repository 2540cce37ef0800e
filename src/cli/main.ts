#!/usr/bin/env node
// main.ts - the command `shunt`: parses the command line, runs one command and ends with its exit status.

import { fail } from "./failure.js";
import { buildProgram } from "./program.js";

// The reader of the output has closed it (`shunt sessions | head`): end without an error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
	if (error.code === "EPIPE") process.exit(0);
	throw error;
});

const args = process.argv.slice(2);
const program = buildProgram();
const command = program.commands.find((one) => one.name() === args[0])?.name();

try {
	await program.parseAsync(args.length === 0 ? ["--help"] : args, { from: "user" });
} catch (error) {
	// The command line may be what is invalid, so --json is looked up in the raw arguments.
	fail(error, { json: command !== "lab" && args.includes("--json"), command });
}
