// daemon.ts - `shunt gateway` and `shunt backend`: run a daemon in the foreground and print its events.
//
// Owns: the daemon's standard output: a line for each event, or with --json an object for each.
// Must never: do the daemon's work; daemon/ does.

import { type DaemonEvent, type DaemonOptions, runBackend, runGateway } from "../daemon/index.js";
import { ShuntError } from "../errors.js";
import { type Paint, paintFor } from "./paint.js";
import { count, duration } from "./units.js";

export interface DaemonCommandOptions {
	readonly config?: string;
	/** URL of the database, in place of a configuration; with the file of the cluster's keys. */
	readonly join?: string;
	readonly keys?: string;
	readonly address?: readonly string[];
	readonly name?: string;
	readonly socket?: string;
	readonly json?: boolean;
}

export async function daemon(role: "gateway" | "backend", options: DaemonCommandOptions): Promise<void> {
	const paint = paintFor(process.stdout);
	const onEvent = (event: DaemonEvent) => {
		const line = options.json
			? JSON.stringify({ time: new Date().toISOString(), ...event })
			: `${role}: ${eventText(event, paint)}`;
		process.stdout.write(`${line}\n`);
	};
	const { name, socket } = options;
	const config = sourceOf(options);
	await (role === "gateway" ? runGateway : runBackend)({ config, name, socket, onEvent });
}

function sourceOf({ config, join, keys, address }: DaemonCommandOptions): DaemonOptions["config"] {
	if (join === undefined) {
		if (config !== undefined) return config;
		throw new ShuntError("SHUNT_USAGE", { what: "Required option '-c, --config <file>' not specified." });
	}
	if (keys === undefined)
		throw new ShuntError("SHUNT_USAGE", { what: "--join needs --keys FILE, the cluster's keys." });
	return { join, keys, addresses: address };
}

function eventText(event: DaemonEvent, paint: Paint): string {
	const problem = String(event.problem ?? "");
	const changed = Array.isArray(event.changed) ? event.changed.join(", ") : "";
	switch (event.event) {
		case "started": {
			const what = `${event.name} takes packets: ${count(Number(event.services), "service")}, tables of epoch ${event.epoch}`;
			const sessions = event.adopted ? ", with the sessions of an earlier daemon" : "";
			const engine = `${event.engine} (${event.why})${sessions}`;
			return `${what}; ${engine}; process ${event.pid}, control socket ${event.socket}`;
		}
		case "ready": {
			const unknown = Array.isArray(event.unknown) && event.unknown.length > 0 ? event.unknown.join(", ") : undefined;
			const ready = paint("green", `${event.name} is ready`);
			return unknown === undefined ? ready : `${ready}, ${paint("yellow", `without ${unknown}`)}`;
		}
		case "reloaded":
			return `reloaded: tables of epoch ${event.epoch}; ${changed === "" ? "nothing has changed" : `changed: ${changed}`}`;
		case "refused":
			return paint("red", `the new configuration is invalid, nothing has changed:\n${problem}`);
		case "worker-ended":
			return paint("red", `worker ${event.worker} has ended${problem === "" ? "" : `: ${problem}`}`);
		case "next-hop":
			return paint("yellow", `the next hop to ${event.address} ${problem}`);
		case "warning":
			return paint("yellow", problem);
		case "health": {
			const style = event.health === "healthy" ? "green" : event.sessions === "stay" ? "yellow" : "red";
			const sessions = event.sessions === undefined ? "" : `; its sessions ${event.sessions}`;
			return paint(style, `${event.backend} is ${event.health}: ${event.reason}${sessions}`);
		}
		case "database": {
			const copy = `the copy of version ${event.version} serves, as of ${duration(Number(event.ageMs))} ago`;
			return event.connected
				? paint("green", `the redirection database answers again: ${event.database}`)
				: paint("yellow", `the redirection database does not answer; ${copy}: ${problem}`);
		}
		case "drift":
			return paint(event.begins ? "yellow" : "green", String(event.text));
		case "panic":
			return event.begins
				? paint("red", `${event.redirection}: too few backends are healthy; all of them are used`)
				: paint("green", `${event.redirection}: enough backends are healthy again`);
		case "stopping":
			return `${event.signal}: stopping`;
		case "stopped":
			return event.left
				? "stopped; the kernel engine continues, and the next daemon takes over"
				: "stopped; the host is restored";
	}
}
