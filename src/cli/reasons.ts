/**
 * `shunt reasons` and `shunt version`.
 */
import { VERSION } from "../api/version.js";
import { reasons } from "../engine/index.js";
import { say, sayJson, table } from "./print.js";

export function showReasons(options: { json?: boolean }): void {
	if (options.json) sayJson(reasons());
	else
		say(
			table(reasons(), [
				{ title: "REASON", of: (one) => one.name },
				{ title: "VERDICT", of: (one) => one.verdict },
				{ title: "WHAT IT MEANS", of: (one) => one.text },
			]),
		);
}

export function showVersion(options: { json?: boolean }): void {
	if (options.json) sayJson({ version: VERSION, node: process.version });
	else say(`shunt ${VERSION} (Node.js ${process.version})`);
}
