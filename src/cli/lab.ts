/**
 * `shunt lab`: the lab of network namespaces that comes with the package.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export function lab(args: string[]): Promise<void> {
	const script = fileURLToPath(new URL("../../scripts/lab", import.meta.url));
	return new Promise((resolve, reject) => {
		const child = spawn(script, args, { stdio: "inherit" });
		child.once("error", reject);
		child.once("exit", (status) => {
			process.exitCode = status ?? 1;
			resolve();
		});
	});
}
