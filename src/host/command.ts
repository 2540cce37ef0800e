/**
 * The host's own programs (ip, ethtool, nft), asked with argument lists.
 *
 * Owns: running one to its end, and the sentence when it fails.
 * Must never: hand anything to a shell.
 */
import { execFile } from "node:child_process";
import { ShuntError } from "../errors.js";

const TIMEOUT_MS = 5000;
/** Debian keeps these outside an ordinary user's PATH. */
const PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;

/** What it wrote to its standard output. Throws SHUNT_COMMAND_FAILED with what it said. */
export function command(program: string, args: readonly string[]): Promise<string> {
	return new Promise((resolve, reject) => {
		execFile(
			program,
			[...args],
			{ timeout: TIMEOUT_MS, env: { ...process.env, PATH, LC_ALL: "C" } },
			(error, stdout, stderr) => {
				if (error === null) return resolve(stdout);
				const why = stderr.trim().split("\n").at(-1) || error.message;
				reject(new ShuntError("SHUNT_COMMAND_FAILED", { command: [program, ...args].join(" "), why }));
			},
		);
	});
}

/** The same for programs that answer in JSON. */
export async function commandJson<T>(program: string, args: readonly string[]): Promise<T> {
	const text = await command(program, args);
	return JSON.parse(text.trim() || "[]") as T;
}
