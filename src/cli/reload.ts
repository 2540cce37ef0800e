// reload.ts - `shunt reload`: makes a daemon read its configuration again.

import { printAnswer } from "./answer.js";
import { daemonOf, type Which } from "./which-daemon.js";

export async function reload(options: Which & { readonly json?: boolean }): Promise<void> {
	const daemon = await daemonOf(options, "reload");
	const answer = await daemon.reload();
	const changed = answer.changed.length === 0 ? ["nothing has changed"] : answer.changed.map((one) => `  ${one}`);
	const lines = [`tables of epoch ${answer.epoch} are in force`, ...changed];
	printAnswer(options, answer, () => lines.join("\n"));
}
