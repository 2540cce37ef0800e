// which-daemon.ts - the daemon that a question is for: --socket, or --name, or the only one on this host.
//
// Owns: that choice. Must never: ask the daemon anything but whether it is there.

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
	needAccess(socket, command);
	return new ApiClient(socket);
}

/** `folder` is another one in tests only. */
export async function socketOf(which: Which, folder = SOCKET_FOLDER): Promise<string> {
	if (which.socket !== undefined) return which.socket;
	if (which.name !== undefined) return join(folder, `${which.name}.sock`);
	const sockets = socketsIn(folder);
	// A daemon that was killed leaves its socket behind; with one alone, its absence is the better complaint.
	const answering = sockets.length > 1 ? await filterAnswering(sockets) : sockets;
	const [only, ...more] = answering.length > 0 ? answering : sockets.slice(0, 1);
	if (only === undefined)
		throw new ShuntError("SHUNT_DAEMON_UNREACHABLE", {
			socket: join(folder, "*.sock"),
			why: "there is no such socket",
		});
	if (more.length > 0) {
		const names = answering.map((path) => basename(path, ".sock")).join(", ");
		throw new ShuntError("SHUNT_USAGE", { what: `Several daemons run on this host: say with --name which: ${names}.` });
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
	const there = await Promise.all(sockets.map(answers));
	return sockets.filter((_, i) => there[i]);
}

function answers(socket: string): Promise<boolean> {
	return new Promise((resolve) => {
		const end = (there: boolean) => {
			connection.destroy();
			resolve(there);
		};
		const connection = connect(socket, () => end(true));
		// Not allowed to ask is not the same as gone.
		connection.on("error", (error: NodeJS.ErrnoException) => end(error.code === "EACCES"));
	});
}

function needAccess(socket: string, command: string): void {
	try {
		accessSync(socket, constants.R_OK | constants.W_OK);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "EACCES")
			throw new ShuntError("SHUNT_NOT_ROOT", { command: `shunt ${command}` });
	}
}
