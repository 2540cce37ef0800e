/**
 * `shunt sessions`: the clients that are there, and who serves them.
 */
import { duration, endpoint, paint, say, sayJson, table } from "./print.js";
import { client } from "./socket.js";

interface Options {
	service?: string;
	backend?: string;
	source?: string;
	limit: string;
	socket?: string;
	json?: boolean;
}

export async function sessions(options: Options): Promise<void> {
	const { service, backend, source, limit } = options;
	const list = await client(options).sessions({ service, backend, source, limit });
	if (options.json) return sayJson(list);
	if (list.sessions.length === 0) return say("There are no sessions.");
	say(
		table(list.sessions, [
			{ title: "CLIENT", of: (one) => endpoint(one.source, one.sourcePort) },
			{
				title: "SERVICE",
				of: (one) => `${one.service} ${one.protocol} ${endpoint(one.destination, one.destinationPort)}`,
			},
			{ title: "BACKEND", of: (one) => one.backend ?? "here", style: () => "green" },
			{ title: "IDLE", of: (one) => duration(one.idleMs), right: true },
			{ title: "LEFT", of: (one) => duration(one.leftMs), right: true },
			{ title: "", of: (one) => (one.proven ? "" : "one packet"), style: () => "dim" },
		]),
	);
	if (list.truncated) say(paint("dim", `… and more; --limit shows more than ${limit}`));
}
