/**
 * The daemon: one member of the cluster and its control socket, from the command line to a clean end.
 *
 * Owns: signals (SIGINT and SIGTERM end it, SIGUSR2 ends it and leaves the engine, SIGHUP reloads), the order of start and end, and the events that it tells.
 * Must never: end without undoing what the member did to its host, unless it was told to leave.
 */

import { BackendRole } from "../backend/role.js";
import { readConfig } from "../config/index.js";
import { ShuntError } from "../errors.js";
import { GatewayRole } from "../gateway/role.js";
import { engineName } from "../member/engines.js";
import { Member, type MemberEvent, type Role } from "../member/member.js";
import { answersOf } from "./answers.js";
import { SOCKET_FOLDER } from "./client.js";
import { serve } from "./server.js";

export interface DaemonOptions {
	/** Path of the configuration. */
	config: string;
	/** As which member; may be left out where the configuration has only one of the role. */
	name?: string | undefined;
	/** Default /run/shunt/<name>.sock. */
	socket?: string | undefined;
	/** Told as things happen; the first is `ready`. */
	onEvent: (event: DaemonEvent) => void;
}

export type DaemonEvent = MemberEvent | { event: "stopping" | "stopped"; [detail: string]: unknown };

export function runGateway(options: DaemonOptions): Promise<void> {
	return run("gateway", options, (config, name) => new GatewayRole(config, name, options.onEvent));
}

export function runBackend(options: DaemonOptions): Promise<void> {
	return run("backend", options, (config, name) => new BackendRole(config, name, options.onEvent));
}

/** Ends the daemon and leaves the kernel's engine at work, for the next daemon to take over: an upgrade without a loss. */
const LEAVE = "SIGUSR2";

/** Resolves when the daemon has ended and, unless it was told to leave, the host is as it was. */
async function run(
	kind: "gateway" | "backend",
	options: DaemonOptions,
	roleOf: (config: ReturnType<typeof readConfig>, name: string) => Role,
): Promise<void> {
	if (process.getuid?.() !== 0) throw new ShuntError("SHUNT_NOT_ROOT", { command: `shunt ${kind}` });
	const config = readConfig(options.config);
	const name = nameOf(kind, config, options.name);
	const socket = options.socket ?? `${SOCKET_FOLDER}/${name}.sock`;
	// The signals first: one that comes while the host is being set up must not leave it half set up.
	const stop = new Promise<string>((resolve) => {
		for (const signal of ["SIGINT", "SIGTERM", LEAVE] as const) process.once(signal, () => resolve(signal));
	});
	let signal: string | undefined;
	let member: Member | undefined;
	const api = await serve(
		socket,
		answersLater(() => member),
	);
	try {
		member = await Member.start(() => roleOf(config, name), config, options.onEvent);
		const serving = member;
		process.on("SIGHUP", () => {
			serving.reload().catch((error: unknown) => options.onEvent({ event: "refused", problem: messageOf(error) }));
		});
		options.onEvent({
			event: "ready",
			role: kind,
			name,
			pid: process.pid,
			socket,
			services: config.services.length,
			epoch: member.epoch,
			engine: engineName(member.kind),
			why: member.why,
			adopted: member.engine.kernel()?.adopted ?? false,
		});
		signal = await stop;
		options.onEvent({ event: "stopping", signal });
	} finally {
		await (signal === LEAVE ? member?.leave() : member?.close());
		await api.close();
		process.removeAllListeners("SIGHUP");
	}
	options.onEvent({ event: "stopped", left: signal === LEAVE && member?.kind !== "user" });
}

/** The socket is there before the member is, so that a second daemon of this name is refused before it touches the host. */
function answersLater(member: () => Member | undefined): ReturnType<typeof answersOf> {
	const now = () => {
		const one = member();
		if (!one) throw new ShuntError("SHUNT_ENGINE_FAILED", { step: "starting", why: "it is not ready yet" });
		return answersOf(one);
	};
	return {
		status: () => now().status(),
		sessions: async (query) => now().sessions(query),
		countSessions: async (filter) => now().countSessions(filter),
		expireSessions: async (filter) => now().expireSessions(filter),
		explain: (query) => now().explain(query),
		reload: () => now().reload(),
	};
}

function nameOf(kind: "gateway" | "backend", config: ReturnType<typeof readConfig>, given: string | undefined): string {
	const members = kind === "gateway" ? config.gateways : config.backends;
	const known = members.map((one) => one.name).join(", ") || "none";
	if (given === undefined && members.length === 1) return (members[0] as { name: string }).name;
	if (given === undefined)
		throw new ShuntError("SHUNT_USAGE", { what: `Say with --name which ${kind} this host is: ${known}.` });
	if (!members.some((one) => one.name === given))
		throw new ShuntError("SHUNT_UNKNOWN_SERVER", { file: config.file, role: kind, name: given, known });
	return given;
}

function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}
