/**
 * `shunt gateway` and `shunt backend`: the daemon in the foreground, telling its events.
 *
 * Must never: go to the background by itself; that is for systemd, or the shell.
 */
import { type DaemonEvent, runBackend, runGateway } from "../api/index.js";
import { endpoint, paint, say } from "./print.js";

interface Options {
	config: string;
	name?: string;
	socket?: string;
	json?: boolean;
}

export function daemon(role: "gateway" | "backend", options: Options): Promise<void> {
	const run = role === "gateway" ? runGateway : runBackend;
	const onEvent = options.json ? (event: DaemonEvent) => say(JSON.stringify(event)) : tell;
	return run({ config: options.config, name: options.name, socket: options.socket, onEvent });
}

function tell(event: DaemonEvent): void {
	const at = paint("dim", new Date().toISOString().slice(11, 23));
	say(`${at} ${sentence(event)}`);
}

function sentence(event: DaemonEvent): string {
	switch (event.event) {
		case "ready":
			return `${paint("green", "ready")}: ${event.role} ${event.name}, ${event.services} services, control socket ${event.socket}`;
		case "reloaded": {
			const changed = event.changed as string[];
			return `reloaded, tables ${event.epoch}: ${changed.length === 0 ? "nothing has changed" : changed.join(", ")}`;
		}
		case "refused":
			return `${paint("red", "reload refused")}, nothing has changed: ${event.problem}`;
		case "next-hop":
			return `${paint("yellow", "next hop")} towards ${endpoint(String(event.address), 0).replace(/:0$/, "")} ${event.problem}`;
		case "worker-ended":
			return `${paint("red", `worker ${event.worker} ended`)}: ${event.problem}`;
		case "warning":
			return `${paint("yellow", "warning")}: ${event.problem}`;
		case "stopping":
			return `stopping (${event.signal})`;
		default:
			return String(event.event);
	}
}
