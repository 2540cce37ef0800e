/**
 * Runs the host's own programs (ip, nft, mount) with argument lists.
 *
 * Owns: one run to its end, and the error when it fails.
 * Must never: pass anything to a shell.
 */
import { execFile } from "node:child_process";
import { ShuntError } from "../errors.js";

const TIMEOUT_MS = 5000;

/** For child processes: sbin is not in an ordinary user's PATH on Debian; messages are untranslated. */
export function commandEnvironment(): NodeJS.ProcessEnv {
	return { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" };
}

/** Standard output. Throws SHUNT_COMMAND_FAILED with the last line of standard error; also after TIMEOUT_MS. `input`: its
 * standard input. */
export function command(program: string, args: readonly string[], input = ""): Promise<string> {
	return new Promise((resolve, reject) => {
		const child = execFile(
			program,
			[...args],
			{ timeout: TIMEOUT_MS, env: commandEnvironment() },
			(error, stdout, stderr) => {
				if (error === null) return resolve(stdout);
				const why = stderr.trim().split("\n").at(-1) || error.message;
				reject(new ShuntError("SHUNT_COMMAND_FAILED", { command: [program, ...args].join(" "), why }));
			},
		);
		child.stdin?.on("error", () => {}); // its end reports it
		child.stdin?.end(input);
	});
}

/** The same for a program that writes JSON; no output at all is an empty list. */
export async function commandJson<T>(program: string, args: readonly string[]): Promise<T> {
	const text = await command(program, args);
	return JSON.parse(text.trim() || "[]") as T;
}
