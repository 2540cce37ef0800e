/**
 * `shunt reload`: have a daemon read its configuration again.
 */
import { say, sayJson } from "./print.js";
import { client } from "./socket.js";

export async function reload(options: { socket?: string; json?: boolean }): Promise<void> {
	const done = await client(options).reload();
	if (options.json) return sayJson(done);
	say(
		`Tables ${done.epoch}: ${done.changed.length === 0 ? "nothing has changed" : `changed ${done.changed.join(", ")}`}.`,
	);
}
