/**
 * The client of the control socket.
 *
 * Owns: one request per call. An error of the daemon is thrown as the ShuntError that it was there;
 * SHUNT_DAEMON_UNREACHABLE if there is no answer.
 * Must never: keep a connection open; the CLI makes one request and ends.
 */
import { request } from "node:http";
import { ERRORS, type ErrorCode, ShuntError } from "../errors.js";
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

const TIMEOUT_MS = 5000;
/** Daemons listen at /run/shunt/<name>.sock by default. */
export const SOCKET_FOLDER = "/run/shunt";

export class ApiClient {
	constructor(readonly socket: string) {}

	status(): Promise<Status> {
		return this.#ask("GET", "/status");
	}

	health(): Promise<HealthAnswer> {
		return this.#ask("GET", "/health");
	}

	sessions(query: Record<string, string | number | undefined> = {}): Promise<SessionList> {
		return this.#ask("GET", withQuery("/sessions", query));
	}

	countSessions(query: Record<string, string | number | undefined> = {}): Promise<SessionCount> {
		return this.#ask("GET", withQuery("/sessions/count", query));
	}

	expireSessions(query: Record<string, string | number | undefined>): Promise<Expired> {
		return this.#ask("DELETE", withQuery("/sessions", query));
	}

	explain(query: Record<string, string | number | undefined>): Promise<Explanation> {
		return this.#ask("GET", withQuery("/explain", query));
	}

	reload(): Promise<Reloaded> {
		return this.#ask("POST", "/reload");
	}

	override(query: Record<string, string | number | undefined>): Promise<Overridden> {
		return this.#ask("POST", withQuery("/override", query));
	}

	#ask<T>(method: string, path: string): Promise<T> {
		return new Promise((resolve, reject) => {
			const unreachable = (why: string) =>
				reject(new ShuntError("SHUNT_DAEMON_UNREACHABLE", { socket: this.socket, why }));
			const call = request({ socketPath: this.socket, method, path, timeout: TIMEOUT_MS, agent: false }, (answer) => {
				const parts: Buffer[] = [];
				answer.on("data", (part: Buffer) => parts.push(part));
				answer.on("error", (error) => unreachable(error.message));
				answer.on("end", () => {
					try {
						const body = JSON.parse(Buffer.concat(parts).toString()) as T & Partial<ApiError>;
						if (body.error) reject(toError(body.error));
						else resolve(body);
					} catch {
						unreachable("its answer is not JSON");
					}
				});
			});
			call.on("timeout", () => call.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
			call.on("error", (error: NodeJS.ErrnoException) => unreachable(unreachableReason(error)));
			call.end();
		});
	}
}

function unreachableReason(error: NodeJS.ErrnoException): string {
	if (error.code === "ENOENT") return "there is no such socket";
	if (error.code === "ECONNREFUSED") return "no process listens there";
	if (error.code === "EACCES") return "only root may connect";
	return error.message;
}

/** The daemon's message is complete and must not be filled into a template again. */
function toError(error: ApiError["error"]): ShuntError {
	const code: ErrorCode = error.code in ERRORS ? (error.code as ErrorCode) : "SHUNT_ENGINE_FAILED";
	const same = new ShuntError(code);
	same.message = error.message;
	return same;
}

function withQuery(path: string, query: Record<string, string | number | undefined>): string {
	const search = new URLSearchParams();
	for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
	const text = search.toString();
	return text ? `${path}?${text}` : path;
}
