#!/usr/bin/env node
// main.ts - the command `shunt`: reads the command line, runs one command, and ends with its exit status.

import { fail } from "./failure.js";
import { buildProgram } from "./program.js";

// The reader of our output has gone (`shunt sessions | head`): nothing is left to be done.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
	if (error.code === "EPIPE") process.exit(0);
	throw error;
});

const words = process.argv.slice(2);
const program = buildProgram();
const command = program.commands.find((one) => one.name() === words[0])?.name();

try {
	await program.parseAsync(words.length === 0 ? ["--help"] : words, { from: "user" });
} catch (error) {
	// The command line may be what is wrong, so it is looked at as it stands.
	fail(error, { json: command !== "lab" && words.includes("--json"), command });
}
