/**
 * Requests to etcd's JSON gateway (/v3/…), over HTTP or TLS, to whichever of its endpoints answers.
 *
 * Owns: connections, deadlines, the change to the next endpoint, and the token of a user with a password.
 * Must never: send a request again that may have had its effect, or take an answer without bound: the server's bytes
 * are hostile input until a schema has read them (etcd.ts).
 */
import * as http from "node:http";
import * as https from "node:https";
import { z } from "zod";
import { ShuntError } from "../errors.js";

export interface EtcdAccess {
	/** URLs: http://10.0.0.1:2379. */
	readonly endpoints: readonly string[];
	/** PEM texts. */
	readonly ca?: string | undefined;
	readonly certificate?: string | undefined;
	readonly key?: string | undefined;
	readonly user?: string | undefined;
	readonly password?: string | undefined;
	/** Of one request to one endpoint; default 3 s. */
	readonly timeoutMs?: number | undefined;
}

/** A request that etcd answers with an error. */
export class EtcdError extends Error {
	constructor(
		/** gRPC's. */
		readonly code: number,
		message: string,
	) {
		super(message);
	}
}

export const GRPC = { notFound: 5, outOfRange: 11, unavailable: 14, unauthenticated: 16 } as const;

const TIMEOUT_MS = 3000;
const LONGEST_ANSWER = 64 << 20;
const LONGEST_LINE = 16 << 20;
/** A request that one of these has ended was not received. */
const NOT_SENT = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "EAI_AGAIN"]);

const errorSchema = z.object({
	code: z.int().optional(),
	message: z.string().optional(),
	error: z.string().optional(),
});
const tokenSchema = z.object({ token: z.string().max(4096) });

export class EtcdHttp {
	/** The endpoints, for messages. */
	readonly name: string;
	readonly #access: EtcdAccess;
	readonly #urls: readonly URL[];
	readonly #plain = new http.Agent({ keepAlive: true });
	readonly #tls: https.Agent;
	readonly #open = new Set<http.ClientRequest>();
	#current = 0;
	#token: string | undefined;

	constructor(access: EtcdAccess) {
		this.#access = access;
		this.#urls = access.endpoints.map((text) => new URL(text));
		this.name = access.endpoints.join(", ");
		const { ca, certificate, key } = access;
		this.#tls = new https.Agent({
			keepAlive: true,
			minVersion: "TLSv1.2",
			...(ca === undefined ? {} : { ca }),
			...(certificate === undefined ? {} : { cert: certificate }),
			...(key === undefined ? {} : { key }),
		});
	}

	/** The answer's JSON. `repeatable`: it may be sent again though it may have been received. Throws EtcdError,
	 * SHUNT_STORE_UNREACHABLE, or SHUNT_STORE_REFUSED. */
	async ask(path: string, body: object, { repeatable }: { repeatable: boolean }): Promise<unknown> {
		return this.#authenticated(() => this.#askAny(path, body, repeatable));
	}

	/** Calls `line` for each line of JSON of an answer that does not end. Resolves when it has ended, or at the signal. */
	stream(path: string, body: object, line: (content: unknown) => void, signal: AbortSignal): Promise<void> {
		return this.#authenticated(() => this.#streamAny(path, body, line, signal));
	}

	/** Ends all requests. */
	close(): void {
		for (const request of this.#open) request.destroy();
		this.#plain.destroy();
		this.#tls.destroy();
	}

	async #authenticated<T>(work: () => Promise<T>): Promise<T> {
		const { user, password } = this.#access;
		if (user !== undefined && this.#token === undefined) await this.#authenticate(user, password ?? "");
		try {
			return await work();
		} catch (error) {
			if (!(error instanceof EtcdError)) throw error;
			const expired = user !== undefined && (error.code === GRPC.unauthenticated || /auth token/.test(error.message));
			if (!expired) throw this.#refusal(error);
			await this.#authenticate(user, password ?? "");
			try {
				return await work();
			} catch (again) {
				throw again instanceof EtcdError ? this.#refusal(again) : again;
			}
		}
	}

	async #authenticate(name: string, password: string): Promise<void> {
		this.#token = undefined;
		try {
			const answer = await this.#askAny("/v3/auth/authenticate", { name, password }, true);
			this.#token = tokenSchema.parse(answer).token;
		} catch (error) {
			if (error instanceof ShuntError) throw error;
			throw this.#refused(`user ${name}: ${(error as Error).message}`);
		}
	}

	/** What the store has no answer for. */
	#refusal(error: EtcdError): Error {
		const known = error.code === GRPC.notFound || error.code === GRPC.outOfRange;
		if (known) return error;
		return error.code === GRPC.unavailable ? this.unreachable(error.message) : this.#refused(error.message);
	}

	#refused(why: string): ShuntError {
		return new ShuntError("SHUNT_STORE_REFUSED", { database: this.name, why });
	}

	unreachable(why: string): ShuntError {
		return new ShuntError("SHUNT_STORE_UNREACHABLE", { database: this.name, why });
	}

	/** Of each endpoint in turn, from the last that answered on, while `goesOn` says that its failure lets the next one try. */
	async #any<T>(work: (url: URL) => Promise<T>, goesOn: (error: NodeJS.ErrnoException) => boolean): Promise<T> {
		let why = "";
		for (let attempt = 0; attempt < this.#urls.length; attempt++) {
			try {
				return await work(this.#urls[this.#current]!);
			} catch (error) {
				if (error instanceof ShuntError) throw error;
				if (error instanceof EtcdError && error.code !== GRPC.unavailable) throw error;
				why = (error as Error).message;
				this.#current = (this.#current + 1) % this.#urls.length;
				if (!goesOn(error as NodeJS.ErrnoException)) break;
			}
		}
		throw this.unreachable(why);
	}

	#askAny(path: string, body: object, repeatable: boolean): Promise<unknown> {
		const notSent = ({ code }: NodeJS.ErrnoException) => NOT_SENT.has(String(code));
		return this.#any(
			(url) => this.#askOne(url, path, body),
			(error) => repeatable || notSent(error),
		);
	}

	#askOne(url: URL, path: string, body: object): Promise<unknown> {
		return new Promise((resolve, reject) => {
			const request = this.#request(url, path, body, "close");
			request.once("error", reject);
			request.once("response", (response) => {
				const parts: Buffer[] = [];
				let size = 0;
				response.on("data", (part: Buffer) => {
					size += part.length;
					if (size > LONGEST_ANSWER) request.destroy(new Error(`its answer has more than ${LONGEST_ANSWER} bytes`));
					else parts.push(part);
				});
				response.once("error", reject);
				response.once("end", () => {
					try {
						const content = JSON.parse(Buffer.concat(parts).toString()) as unknown;
						if (response.statusCode === 200) resolve(content);
						else reject(errorOf(content, response.statusCode));
					} catch {
						reject(new Error(`its answer is not JSON (HTTP status ${response.statusCode})`));
					}
				});
			});
		});
	}

	async #streamAny(path: string, body: object, line: (content: unknown) => void, signal: AbortSignal): Promise<void> {
		if (signal.aborted) return;
		try {
			await this.#any(
				(url) => this.#streamOne(url, path, body, line, signal),
				() => !signal.aborted,
			);
		} catch (error) {
			if (!signal.aborted) throw error;
		}
	}

	#streamOne(
		url: URL,
		path: string,
		body: object,
		line: (content: unknown) => void,
		signal: AbortSignal,
	): Promise<void> {
		return new Promise((resolve, reject) => {
			const request = this.#request(url, path, body, "response");
			const abort = () => request.destroy();
			signal.addEventListener("abort", abort);
			const end = (error?: Error) => {
				signal.removeEventListener("abort", abort);
				if (error === undefined || signal.aborted) resolve();
				else reject(error);
			};
			request.once("error", end);
			request.once("close", () => end(new Error("the connection has ended")));
			request.once("response", (response) => {
				request.socket?.setKeepAlive(true, 5000);
				let rest = "";
				response.setEncoding("utf8");
				response.on("data", (text: string) => {
					const lines = (rest + text).split("\n");
					rest = lines.pop()!;
					if (rest.length > LONGEST_LINE) request.destroy(new Error(`a line has more than ${LONGEST_LINE} bytes`));
					try {
						for (const one of lines) {
							if (one === "") continue;
							const content = JSON.parse(one) as unknown;
							if (response.statusCode !== 200) throw errorOf(content, response.statusCode);
							line(content);
						}
					} catch (error) {
						end(error as Error);
						request.destroy();
					}
				});
				response.once("error", end);
				response.once("end", () => {
					if (response.statusCode === 200) return end(new Error("the server has ended the watch"));
					try {
						end(errorOf(JSON.parse(rest) as unknown, response.statusCode));
					} catch {
						end(new Error(`HTTP status ${response.statusCode}`));
					}
				});
			});
		});
	}

	/** Destroyed if `by` does not occur in time. */
	#request(url: URL, path: string, body: object, by: "response" | "close"): http.ClientRequest {
		const text = JSON.stringify(body);
		const secure = url.protocol === "https:";
		const headers = {
			"content-type": "application/json",
			"content-length": Buffer.byteLength(text),
			...(this.#token === undefined ? {} : { authorization: this.#token }),
		};
		const options = { method: "POST", headers, agent: secure ? this.#tls : this.#plain };
		const request = (secure ? https : http).request(new URL(path, url), options);
		const timeoutMs = this.#access.timeoutMs ?? TIMEOUT_MS;
		const late = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
		request.once(by, () => clearTimeout(late));
		this.#open.add(request);
		request.once("close", () => {
			clearTimeout(late);
			this.#open.delete(request);
		});
		request.end(text);
		return request;
	}
}

function errorOf(content: unknown, status: number | undefined): Error {
	const { data } = errorSchema.safeParse(content);
	const message = data?.message ?? data?.error;
	if (data?.code === undefined || message === undefined) return new Error(`HTTP status ${status}`);
	return new EtcdError(data.code, message);
}
