// cli.ts - runs the built command as a user would, without colours and in one time zone.

import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dirname, "../..");
const main = join(root, "dist/cli/main.js");

export interface Said {
	status: number;
	stdout: string;
	stderr: string;
}

export function shunt(words: readonly string[], options: { input?: Uint8Array; env?: object } = {}): Promise<Said> {
	if (!existsSync(main)) throw new Error("dist/cli/main.js is not there: npm run build");
	return new Promise((resolve) => {
		const child = execFile(
			process.execPath,
			[main, ...words],
			{ cwd: root, timeout: 15_000, env: { ...process.env, TZ: "UTC", NO_COLOR: "1", ...options.env } },
			(error, stdout, stderr) => {
				resolve({ status: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
			},
		);
		child.stdin?.on("error", () => {}); // a command that does not read it
		child.stdin?.end(options.input);
	});
}

/** Whether this host has a program. */
export function has(program: string): boolean {
	try {
		execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
		return true;
	} catch {
		return false;
	}
}
