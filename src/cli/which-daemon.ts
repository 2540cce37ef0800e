// which-daemon.ts - the daemon that a query goes to: by --socket, by --name, or the only one on this host.
//
// Owns: that choice. Must never: query the daemon; it only connects, to find out whether one answers.

import { accessSync, constants, readdirSync } from "node:fs";
import { connect } from "node:net";
import { basename, join } from "node:path";
import { ApiClient, SOCKET_FOLDER } from "../api/client.js";
import { ShuntError } from "../errors.js";

export interface Which {
	readonly socket?: string;
	readonly name?: string;
}

export async function daemonOf(which: Which, command: string): Promise<ApiClient> {
	const socket = await socketOf(which);
	requireAccess(socket, command);
	return new ApiClient(socket);
}

/** Tests alone set `folder`. */
export async function socketOf(which: Which, folder = SOCKET_FOLDER): Promise<string> {
	if (which.socket !== undefined) return which.socket;
	if (which.name !== undefined) return join(folder, `${which.name}.sock`);
	const sockets = socketsIn(folder);
	// A killed daemon leaves its socket behind. A single socket is returned in any case: connecting gives the better
	// error.
	const answering = sockets.length > 1 ? await filterAnswering(sockets) : sockets;
	const [only, ...more] = answering.length > 0 ? answering : sockets.slice(0, 1);
	if (only === undefined)
		throw new ShuntError("SHUNT_DAEMON_UNREACHABLE", {
			socket: join(folder, "*.sock"),
			why: "there is no such socket",
		});
	if (more.length > 0) {
		const names = answering.map((path) => basename(path, ".sock")).join(", ");
		throw new ShuntError("SHUNT_USAGE", {
			what: `Several daemons run on this host; choose one of ${names} with --name.`,
		});
	}
	return only;
}

function socketsIn(folder: string): string[] {
	try {
		const names = readdirSync(folder).filter((name) => name.endsWith(".sock"));
		return names.sort().map((name) => join(folder, name));
	} catch {
		return [];
	}
}

async function filterAnswering(sockets: readonly string[]): Promise<string[]> {
	const answering = await Promise.all(sockets.map(answers));
	return sockets.filter((_, i) => answering[i]);
}

function answers(socket: string): Promise<boolean> {
	return new Promise((resolve) => {
		const end = (answered: boolean) => {
			connection.destroy();
			resolve(answered);
		};
		const connection = connect(socket, () => end(true));
		// A socket that this user may not open can belong to a live daemon.
		connection.on("error", (error: NodeJS.ErrnoException) => end(error.code === "EACCES"));
	});
}

function requireAccess(socket: string, command: string): void {
	try {
		accessSync(socket, constants.R_OK | constants.W_OK);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "EACCES")
			throw new ShuntError("SHUNT_NOT_ROOT", { command: `shunt ${command}` });
	}
}
