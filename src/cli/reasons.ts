// reasons.ts - `shunt reasons`: every reason by which a packet can leave.
//
// Must never: hold a list of its own; the addon has the packet program's.

import { reasons } from "../engine/index.js";
import { paintFor, widthOf } from "./paint.js";
import { table, wrap } from "./table.js";

export async function listReasons(options: { readonly json?: boolean }): Promise<void> {
	const all = reasons();
	if (options.json) {
		process.stdout.write(`${JSON.stringify({ reasons: all })}\n`);
		return;
	}
	const paint = paintFor(process.stdout);
	const taken = Math.max(...all.map((one) => one.name.length)) + Math.max(...all.map((one) => one.verdict.length)) + 4;
	const rows = all.flatMap((one) =>
		wrap(one.text, Math.max(30, widthOf(process.stdout) - taken)).map((line, i) =>
			i === 0 ? [one.name, paint(one.verdict === "drop" ? "red" : "green", one.verdict), line] : ["", "", line],
		),
	);
	const lines = table(["left", "left", "left"], [["reason", "verdict", ""], ...rows]);
	process.stdout.write(`${[paint("dim", lines[0] ?? ""), ...lines.slice(1)].join("\n")}\n`);
}
