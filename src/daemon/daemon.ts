/**
 * The daemon: one member of the cluster and its control socket, as a process, from the command line to a clean end.
 *
 * Owns: signals (SIGINT and SIGTERM end it, SIGUSR2 ends it and leaves the kernel's engine, SIGHUP reloads), the order
 * of start and end, and the events that it reports: `started` when its engine takes packets, `ready` when routing may
 * lead packets to it, by which a service manager is told, too.
 * Must never: end without undoing what the member did to its host, unless SIGUSR2 ended it.
 */
import { type Answers, answersOf, SOCKET_FOLDER, serve } from "../api/index.js";
import { BackendRole } from "../backend/role.js";
import type { Config } from "../config/index.js";
import { messageOf, ShuntError } from "../errors.js";
import { GatewayRole } from "../gateway/role.js";
import { DaemonLock } from "../host/daemon-lock.js";
import { type OpenedSource, openSource } from "../member/config-source.js";
import { engineName } from "../member/engines.js";
import { joinSource } from "../member/join.js";
import { Member } from "../member/member.js";
import type { MemberEvent, Role } from "../member/role.js";
import { ServiceManager } from "./service-manager.js";
import { stateText } from "./state-text.js";

export interface DaemonOptions {
	/** Path of the configuration; or, without a file, the database and the cluster's keys. */
	config: string | { readonly join: string; readonly keys: string; readonly addresses?: readonly string[] | undefined };
	/** The member's name in the configuration; optional if the configuration has only one of the role. */
	name?: string | undefined;
	/** Default /run/shunt/<name>.sock. */
	socket?: string | undefined;
	/** Called as events happen. */
	onEvent: (event: DaemonEvent) => void;
}

export type DaemonEvent =
	| MemberEvent
	| { event: "started" | "ready" | "stopping" | "stopped"; [detail: string]: unknown };

export function runGateway(options: DaemonOptions): Promise<void> {
	return run("gateway", options, (config, name, emit) => new GatewayRole(config, name, emit));
}

export function runBackend(options: DaemonOptions): Promise<void> {
	return run("backend", options, (config, name, emit) => new BackendRole(config, name, emit));
}

/** Ends the daemon and leaves the kernel's engine running for the next daemon: an upgrade without packet loss. */
const DETACH = "SIGUSR2";

/** Resolves when the daemon has ended and, unless by DETACH, the host is as it was. Rejects with a ShuntError if it
 * cannot start. */
async function run(
	kind: "gateway" | "backend",
	options: DaemonOptions,
	roleOf: (config: Config, name: string, emit: (event: MemberEvent) => void) => Role,
): Promise<void> {
	if (process.getuid?.() !== 0) throw new ShuntError("SHUNT_NOT_ROOT", { command: `shunt ${kind}` });
	const opened = await sourceOf(kind, options);
	try {
		await runFrom(opened, kind, options, roleOf);
	} finally {
		await opened.source.close();
	}
}

async function sourceOf(kind: string, { config, name, onEvent }: DaemonOptions): Promise<OpenedSource> {
	if (typeof config === "string") return openSource(config, name ?? kind, onEvent);
	if (name === undefined) throw new ShuntError("SHUNT_USAGE", { what: "--name is required with --join." });
	return joinSource({ ...config, name }, onEvent);
}

async function runFrom(
	{ source, config }: OpenedSource,
	kind: "gateway" | "backend",
	options: DaemonOptions,
	roleOf: (config: Config, name: string, emit: (event: MemberEvent) => void) => Role,
): Promise<void> {
	const name = nameOf(kind, config, options.name);
	const socket = options.socket ?? `${SOCKET_FOLDER}/${name}.sock`;
	// Signal handlers first: a signal during the start must not leave the host half set up.
	const stop = new Promise<string>((resolve) => {
		for (const signal of ["SIGINT", "SIGTERM", DETACH] as const) process.once(signal, () => resolve(signal));
	});
	const warn = (problem: string) => options.onEvent({ event: "warning", problem });
	const manager = new ServiceManager({ warn });
	let signal: string | undefined;
	let member: Member | undefined;
	/** The manager's line follows what has happened. */
	const emit = (event: MemberEvent) => {
		options.onEvent(event);
		if (member !== undefined && STATE_EVENTS.has(event.event)) manager.status(stateText(member));
	};
	const reload = async () => {
		const running = started(member);
		manager.reloading();
		try {
			return await running.reload();
		} finally {
			manager.reloaded(stateText(running));
		}
	};
	// Before the socket, the undo log and the host: a second daemon of the name changes nothing.
	const lock = await DaemonLock.take(kind, name);
	let api: Awaited<ReturnType<typeof serve>> | undefined;
	try {
		api = await serve(
			socket,
			answersOnceStarted(() => member, reload),
		);
		manager.status("starting");
		member = await Member.start(() => roleOf(config, name, emit), source, config, emit);
		process.on("SIGHUP", () => {
			reload().catch((error: unknown) => options.onEvent({ event: "refused", problem: messageOf(error) }));
		});
		const running = member;
		const what = { role: kind, name, pid: process.pid, socket };
		options.onEvent({
			event: "started",
			...what,
			services: config.services.length,
			epoch: running.epoch,
			engine: engineName(running.mode),
			why: running.modeReason,
			adopted: running.engine.kernel()?.adopted ?? false,
		});
		manager.status(stateText(running));
		void running.ready.then((unknown) => {
			if (signal !== undefined) return;
			options.onEvent({ event: "ready", ...what, unknown });
			manager.ready(stateText(running), () => running.workerErrors.size === 0);
		});
		signal = await stop;
		options.onEvent({ event: "stopping", signal });
		manager.stopping(signal === DETACH ? "stopping; the kernel engine continues" : "stopping");
	} finally {
		await (signal === DETACH ? member?.detach() : member?.close());
		await api?.close();
		manager.close();
		lock.release();
		process.removeAllListeners("SIGHUP");
	}
	options.onEvent({ event: "stopped", left: signal === DETACH && member?.outlivesDaemon === true });
}

/** Events after which stateText() may differ. */
const STATE_EVENTS: ReadonlySet<string> = new Set(["health", "panic", "worker-ended"]);

function started(member: Member | undefined): Member {
	if (member) return member;
	throw new ShuntError("SHUNT_DAEMON_STARTING");
}

/** The socket is opened before the member starts, so that a socket of another daemon is refused before the host is touched. */
function answersOnceStarted(member: () => Member | undefined, reload: Answers["reload"]): Answers {
	const now = () => answersOf(started(member()));
	return {
		status: () => now().status(),
		health: () => now().health(),
		sessions: async (query) => now().sessions(query),
		countSessions: async (filter) => now().countSessions(filter),
		expireSessions: async (filter) => now().expireSessions(filter),
		explain: (query) => now().explain(query),
		reload,
		override: (command) => now().override(command),
	};
}

function nameOf(kind: "gateway" | "backend", config: Config, given: string | undefined): string {
	const members = kind === "gateway" ? config.gateways : config.backends;
	const known = members.map((one) => one.name).join(", ") || "none";
	if (given === undefined && members.length === 1) return (members[0] as { name: string }).name;
	if (given === undefined)
		throw new ShuntError("SHUNT_USAGE", { what: `--name is required: ${config.file} has the ${kind}s ${known}.` });
	if (!members.some((one) => one.name === given))
		throw new ShuntError("SHUNT_UNKNOWN_SERVER", { file: config.file, role: kind, name: given, known });
	return given;
}
