/**
 * Which daemon is meant: the one at --socket, or the only one under /run/shunt.
 */
import { readdirSync } from "node:fs";
import { ApiClient, SOCKET_FOLDER } from "../api/index.js";
import { ShuntError } from "../errors.js";

export function client(options: { socket?: string }): ApiClient {
	if (options.socket !== undefined) return new ApiClient(options.socket);
	const found = sockets();
	if (found.length === 1) return new ApiClient(`${SOCKET_FOLDER}/${found[0]}`);
	if (found.length === 0)
		throw new ShuntError("SHUNT_DAEMON_UNREACHABLE", { socket: `${SOCKET_FOLDER}/*.sock`, why: "there is none" });
	throw new ShuntError("SHUNT_USAGE", {
		what: `Several daemons run here; say which with --socket: ${found.map((name) => `${SOCKET_FOLDER}/${name}`).join(", ")}.`,
	});
}

function sockets(): string[] {
	try {
		return readdirSync(SOCKET_FOLDER)
			.filter((name) => name.endsWith(".sock"))
			.sort();
	} catch {
		return [];
	}
}
