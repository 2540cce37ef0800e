/**
 * The daemon's control socket: HTTP with JSON over a Unix socket that only root may open.
 *
 * Owns: the socket file, the routes, and the translation of errors into answers.
 * Must never: know how a gateway or a backend works; `Answers` does.
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { dirname } from "node:path";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { ShuntError } from "../errors.js";
import { ApiClient } from "./client.js";
import type { SessionFilter } from "./session-list.js";
import type {
	ApiError,
	Expired,
	Explanation,
	HealthAnswer,
	Overridden,
	Reloaded,
	SessionCount,
	SessionList,
	Status,
} from "./types.js";

export interface SessionQuery extends SessionFilter {
	limit: number;
}

export interface FlowQuery {
	protocol: "udp" | "tcp";
	source: string;
	sourcePort: number;
	destination: string;
	destinationPort: number;
}

/** What a daemon answers. A ShuntError becomes 400 with its code; anything else 500. */
export interface Answers {
	status(): Status;
	health(): HealthAnswer;
	sessions(query: SessionQuery): Promise<SessionList>;
	countSessions(filter: SessionFilter): Promise<SessionCount>;
	/** Ends the sessions that match. */
	expireSessions(filter: SessionFilter): Promise<Expired>;
	explain(query: FlowQuery): Explanation;
	reload(): Promise<Reloaded>;
	/** Changes a backend's state or weight at run time, or plans to. */
	override(command: OverrideCommand): Promise<Overridden>;
}

export interface OverrideCommand {
	kind: "drain" | "undrain" | "weight";
	backend: string;
	/** Of a weight. */
	service: string | undefined;
	/** undefined: the file's. */
	weight: number | undefined;
	/** Of a drain; undefined: without end. */
	deadlineMs: number | undefined;
	/** Of a drain: forgotten when the daemon ends. */
	transient: boolean;
	/** Nothing is changed. */
	plan: boolean;
	/** Even where no active backend remains. */
	force: boolean;
}

const MAX_WEIGHT = 1000;
const LONGEST_DEADLINE_MS = 30 * 86_400_000;

const DEFAULT_SESSIONS = 100;
const MAX_SESSIONS = 100_000;

/**
 * Serves until `close`. Throws SHUNT_DAEMON_RUNNING if another daemon answers at the socket; a socket file that a dead
 * daemon left behind is replaced.
 */
export async function serve(socket: string, answers: Answers): Promise<{ close(): Promise<void> }> {
	await refuseSecond(socket);
	mkdirSync(dirname(socket), { recursive: true, mode: 0o755 });
	rmSync(socket, { force: true });
	const server = createServer(getRequestListener(routes(answers).fetch));
	await listen(server, socket);
	chmodSync(socket, 0o600);
	return {
		close: () =>
			new Promise((resolve) => {
				server.close(() => resolve());
				server.closeAllConnections();
			}),
	};
}

async function refuseSecond(socket: string): Promise<void> {
	const other = await new ApiClient(socket).status().catch(() => undefined);
	if (other) throw new ShuntError("SHUNT_DAEMON_RUNNING", { role: other.role, name: other.name, pid: other.pid });
}

function listen(server: Server, socket: string): Promise<void> {
	return new Promise((resolve, reject) => {
		server.once("error", (error) => reject(new ShuntError("SHUNT_SOCKET_FAILED", { socket, why: error.message })));
		server.listen(socket, resolve);
	});
}

function routes(answers: Answers): Hono {
	const app = new Hono();
	app.get("/status", (c) => c.json(answers.status()));
	app.get("/health", (c) => c.json(answers.health()));
	app.get("/sessions", async (c) => {
		const parameter: QueryParameter = (name) => c.req.query(name);
		const limit = wholeNumber(parameter, "limit", 1, MAX_SESSIONS, DEFAULT_SESSIONS);
		return c.json(await answers.sessions({ ...sessionFilter(parameter), limit }));
	});
	app.get("/sessions/count", async (c) =>
		c.json(await answers.countSessions(sessionFilter((name) => c.req.query(name)))),
	);
	app.delete("/sessions", async (c) => {
		const filter = sessionFilter((name) => c.req.query(name));
		if (Object.keys(filter).length === 0 && c.req.query("all") === undefined)
			throw usage("DELETE /sessions needs a filter, or all= for all sessions");
		return c.json(await answers.expireSessions(filter));
	});
	app.get("/explain", (c) => c.json(answers.explain(flowQuery((name) => c.req.query(name)))));
	app.post("/override", async (c) => c.json(await answers.override(overrideCommand((name) => c.req.query(name)))));
	app.post("/reload", async (c) => c.json(await answers.reload()));
	app.notFound((c) => c.json(failure("SHUNT_USAGE", `There is no ${c.req.method} ${c.req.path}.`), 404));
	app.onError((error, c) =>
		error instanceof ShuntError
			? c.json(failure(error.code, error.message, error.hint), 400)
			: c.json(failure("SHUNT_INTERNAL", String(error)), 500),
	);
	return app;
}

function failure(code: string, message: string, hint?: string): ApiError {
	return { error: { code, message, ...(hint === undefined ? {} : { hint }) } };
}

type QueryParameter = (name: string) => string | undefined;

function sessionFilter(parameter: QueryParameter): SessionFilter {
	const filter: SessionFilter = {};
	for (const name of ["service", "backend", "source"] as const) {
		const value = parameter(name);
		if (value !== undefined) filter[name] = value;
	}
	if (parameter("idle") !== undefined) filter.idleMs = wholeNumber(parameter, "idle", 0, 86_400_000);
	if (parameter("unhealthy") !== undefined) filter.unhealthy = true;
	return filter;
}

function flowQuery(parameter: QueryParameter): FlowQuery {
	const protocol = parameter("protocol");
	if (protocol !== "udp" && protocol !== "tcp") throw usage("protocol must be udp or tcp");
	const source = parameter("source");
	const destination = parameter("destination");
	if (!source || !destination) throw usage("source and destination must be addresses");
	return {
		protocol,
		source,
		sourcePort: wholeNumber(parameter, "sourcePort", 1, 65535),
		destination,
		destinationPort: wholeNumber(parameter, "destinationPort", 1, 65535),
	};
}

function overrideCommand(parameter: QueryParameter): OverrideCommand {
	const kind = parameter("kind");
	if (kind !== "drain" && kind !== "undrain" && kind !== "weight") throw usage("kind must be drain, undrain or weight");
	const backend = parameter("backend");
	const service = parameter("service");
	if (!backend || (kind === "weight" && !service)) throw usage("backend, and service of a weight, must be names");
	const optional = (name: string, least: number, most: number) =>
		parameter(name) === undefined ? undefined : wholeNumber(parameter, name, least, most);
	return {
		kind,
		backend,
		service,
		weight: optional("weight", 0, MAX_WEIGHT),
		deadlineMs: optional("deadlineMs", 0, LONGEST_DEADLINE_MS),
		transient: parameter("transient") !== undefined,
		plan: parameter("plan") !== undefined,
		force: parameter("force") !== undefined,
	};
}

function wholeNumber(parameter: QueryParameter, name: string, least: number, most: number, fallback?: number): number {
	const text = parameter(name);
	if (text === undefined && fallback !== undefined) return fallback;
	const value = Number(text);
	if (!Number.isInteger(value) || value < least || value > most)
		throw usage(`${name} must be a whole number from ${least} to ${most}`);
	return value;
}

function usage(what: string): ShuntError {
	return new ShuntError("SHUNT_USAGE", { what: `${what}.` });
}
