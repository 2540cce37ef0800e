// agent.cases.ts - programs over http.Agent and https.Agent, each a function of a side.
//
// Must never: depend on time, or on the number of a port that the kernel chose.

import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from "node:http";
import https from "node:https";
import { text } from "node:stream/consumers";
import type { TLSSocket } from "node:tls";
import type { Case } from "./datagram.cases.js";
import type { Place, Side } from "./sides.js";
import { outcome, show, turn } from "./transcript.js";

/** One request, and what its program sees of it. */
function request(
	module: typeof http | typeof https,
	options: https.RequestOptions,
	before: (request: ClientRequest) => void = () => {},
): Promise<{ seen: string; response?: IncomingMessage; request: ClientRequest }> {
	return new Promise((resolve) => {
		const sent = module.get(options, (response) => {
			text(response).then(
				(body) => resolve({ seen: `${response.statusCode} ${body} ${sent.reusedSocket}`, response, request: sent }),
				(error) => resolve({ seen: show(error), request: sent }),
			);
		});
		before(sent);
		sent.on("error", (error) => resolve({ seen: show(error), request: sent }));
	});
}

type Run = (
	get: (more?: RequestOptions, before?: (request: ClientRequest) => void) => ReturnType<typeof request>,
	agent: http.Agent,
	at: Place,
) => unknown;

const withAgent =
	(run: Run, options: http.AgentOptions = {}): Case =>
	async ({ Agent }: Side, at) => {
		const agent = new Agent(options);
		const get = (more: RequestOptions = {}, before?: (request: ClientRequest) => void) =>
			request(http, { host: at.host, port: at.httpPort, agent, ...more }, before);
		try {
			return await run(get, agent, at);
		} finally {
			agent.destroy();
		}
	};

type SecureRun = (
	get: (more?: https.RequestOptions) => ReturnType<typeof request>,
	agent: https.Agent,
	at: Place,
) => unknown;

const withSecureAgent =
	(run: SecureRun, options: https.AgentOptions = {}): Case =>
	async ({ SecureAgent }, at) => {
		const agent = new SecureAgent({ ca: at.certificate, ...options });
		const get = (more: https.RequestOptions = {}) =>
			request(https, { host: at.host, port: at.httpsPort, servername: "service.example", agent, ...more });
		try {
			return await run(get, agent, at);
		} finally {
			agent.destroy();
		}
	};

/** Until the server has sent its sessions, and the agent has freed the socket. */
const settle = async () => {
	for (let i = 0; i < 5; i++) await turn();
};

const counts = (agent: http.Agent, at: Place) => {
	const sizes = (all: NodeJS.ReadOnlyDict<unknown[]>) =>
		Object.entries(all).map(([name, list]) => `${name.replaceAll(String(at.httpPort), "PORT")} ${list?.length}`);
	return [
		sizes(agent.sockets),
		sizes(agent.freeSockets),
		sizes(agent.requests),
		agent.maxSockets,
		agent.maxFreeSockets,
		agent.maxTotalSockets,
	];
};

const many = (count: number, options: http.AgentOptions) =>
	withAgent(async (get, agent, at) => {
		const sockets = new Set<unknown>();
		const all = Promise.all(
			Array.from({ length: count }, () =>
				get({ headers: { "x-delay": "20" } }, (sent) => sent.on("socket", (socket) => sockets.add(socket))),
			),
		);
		const during = counts(agent, at);
		return [during, (await all).map(({ seen }) => seen), sockets.size];
	}, options);

export const AGENT_CASES: Record<string, Case> = {
	"http.Agent: instanceof": withAgent((_, agent) => agent instanceof http.Agent),
	"http.Agent: properties": withAgent((_, agent) =>
		["defaultPort", "protocol", "keepAlive", "scheduling"].map((name) => (agent as never)[name]),
	),
	"http.Agent: maxSockets that is none": ({ Agent }) => outcome(() => new Agent({ maxTotalSockets: "x" as never })),
	"http.Agent: scheduling that is none": ({ Agent }) => outcome(() => new Agent({ scheduling: "x" as never })),
	"http.Agent: one request": withAgent(async (get) => (await get({ path: "/one" })).seen),
	"http.Agent: one request by name": withAgent(async (get, _, at) => {
		const lookup = (_: string, { all }: { all?: boolean }, done: (error: null, ...found: unknown[]) => void) =>
			all ? done(null, [{ address: at.host, family: 4 }]) : done(null, at.host, 4);
		return (await get({ host: "service.example", lookup: lookup as never })).seen;
	}),
	"http.Agent: getName": withAgent((_, agent) => [
		agent.getName({ host: "a", port: 1, localAddress: "b", family: 4 }),
		(agent.getName as () => string)(),
	]),
	"http.Agent: keepAlive": withAgent(
		async (get, agent, at) => {
			const seen = [(await get()).seen];
			await settle();
			seen.push((await get()).seen);
			await settle();
			return [seen, counts(agent, at)];
		},
		{ keepAlive: true },
	),
	"http.Agent: no keepAlive": withAgent(
		async (get, agent, at) => {
			const seen = [(await get()).seen, (await get()).seen];
			await settle();
			return [seen, counts(agent, at)];
		},
		{ keepAlive: false },
	),
	"http.Agent: maxSockets": many(6, { keepAlive: true, maxSockets: 2 }),
	"http.Agent: maxTotalSockets": many(6, { keepAlive: true, maxTotalSockets: 1 }),
	"http.Agent: maxSockets without keepAlive": many(4, { maxSockets: 1 }),
	"http.Agent: maxFreeSockets": withAgent(
		async (get, agent, at) => {
			await Promise.all([get(), get(), get()]);
			await settle();
			return counts(agent, at);
		},
		{ keepAlive: true, maxFreeSockets: 1 },
	),
	"http.Agent: the socket at once": withAgent(async (get) => {
		const seen: string[] = [];
		await get({}, (sent) => {
			sent.on("socket", (socket) => seen.push(`socket ${socket.connecting}`));
			sent.on("finish", () => seen.push("finish"));
			process.nextTick(() => process.nextTick(() => seen.push("two ticks")));
		});
		return seen;
	}),
	"http.Agent: option timeout": withAgent(
		(get) =>
			new Promise((resolve) => {
				void get({ headers: { "x-delay": "500" } }, (sent) =>
					sent.on("timeout", () => {
						resolve("timeout");
						sent.destroy();
					}),
				);
			}),
		{ timeout: 30 },
	),
	"request: option timeout": withAgent(
		(get) =>
			new Promise((resolve) => {
				void get({ timeout: 30, headers: { "x-delay": "500" } }, (sent) =>
					sent.on("timeout", () => {
						resolve("timeout");
						sent.destroy();
					}),
				);
			}),
	),
	"request: setTimeout": withAgent(async (get) => {
		const { seen } = await get({ headers: { "x-delay": "500" } }, (sent) =>
			sent.setTimeout(30, () => sent.destroy(new Error("late"))),
		);
		return seen;
	}),
	"request: signal before": withAgent(async (get) => (await get({ signal: AbortSignal.abort() })).seen),
	"request: signal at once": withAgent(async (get) => {
		const abort = new AbortController();
		return (await get({ signal: abort.signal }, () => abort.abort())).seen;
	}),
	"request: destroyed at once": withAgent(async (get) => (await get({}, (sent) => sent.destroy())).seen),
	"request: a refusal": withAgent(async (get, _, at) => (await get({ port: at.closedPort })).seen),
	"request: unknown name": withAgent(async (get) => (await get({ host: "no.such.invalid" })).seen),
	"request: port that is none": withAgent((get) => get({ port: 70_000 }).then(({ seen }) => seen, show)),
	"http.Agent: destroy while a request waits": withAgent(async (get, agent) => {
		const waiting = get({ headers: { "x-delay": "500" } }, (sent) =>
			sent.on("socket", (socket) => socket.on("connect", () => agent.destroy())),
		);
		return (await waiting).seen;
	}),
	"http.Agent: keepSocketAlive and reuseSocket": async ({ Agent }, at) => {
		const calls: string[] = [];
		class Own extends Agent {
			override keepSocketAlive(socket: never) {
				calls.push("keepSocketAlive");
				return (http.Agent.prototype as unknown as { keepSocketAlive(socket: never): boolean }).keepSocketAlive.call(
					this,
					socket,
				);
			}
			override reuseSocket(socket: never, sent: never) {
				calls.push("reuseSocket");
				(http.Agent.prototype as unknown as { reuseSocket(socket: never, sent: never): void }).reuseSocket.call(
					this,
					socket,
					sent,
				);
			}
		}
		const agent = new Own({ keepAlive: true });
		for (let i = 0; i < 2; i++) {
			await request(http, { host: at.host, port: at.httpPort, agent });
			await settle();
		}
		agent.destroy();
		return calls;
	},
	"http.Agent: createConnection": withAgent(async (_, agent, at) => {
		const socket = (agent as unknown as { createConnection(options: object): TLSSocket }).createConnection({
			host: at.host,
			port: at.httpPort,
		});
		const state = `${socket.connecting}`;
		await new Promise((resolve) => socket.once("connect", resolve));
		socket.destroy();
		return state;
	}),

	"https.Agent: instanceof": withSecureAgent((_, agent) => agent instanceof https.Agent),
	"https.Agent: one request": withSecureAgent(async (get) => {
		const { seen, response } = await get();
		const socket = response?.socket as TLSSocket;
		return [seen, socket.authorized, socket.alpnProtocol, socket.encrypted, socket.getProtocol()];
	}),
	"https.Agent: keepAlive": withSecureAgent(
		async (get) => {
			const seen = [(await get()).seen];
			await settle();
			return [...seen, (await get()).seen];
		},
		{ keepAlive: true },
	),
	"https.Agent: another name": withSecureAgent(async (get) => (await get({ servername: "other.example" })).seen),
	"https.Agent: no name": withSecureAgent(async (get) => (await get({ servername: undefined as never })).seen),
	"https.Agent: an authority of one's own": withSecureAgent(async (get) => (await get()).seen, { ca: [] }),
	"https.Agent: rejectUnauthorized": withSecureAgent(
		async (get) => {
			const { seen, response } = await get({ servername: "other.example" });
			return [seen, show((response?.socket as TLSSocket | undefined)?.authorizationError)];
		},
		{ rejectUnauthorized: false },
	),
	"https.Agent: checkServerIdentity": withSecureAgent(async (get) => {
		const asked: string[] = [];
		const options = {
			checkServerIdentity: (name: string) => {
				asked.push(name);
				return undefined;
			},
		};
		return [(await get({ ...options, servername: "" })).seen, (await get(options)).seen, asked];
	}),
	"https.Agent: a refusal": withSecureAgent(async (get, _, at) => (await get({ port: at.closedPort })).seen),
	"https.Agent: a server without TLS": withSecureAgent(async (get, _, at) =>
		(await get({ port: at.httpPort })).seen.replaceAll(/[0-9A-F]{8,}/g, ""),
	),
	"https.Agent: signal at once": withSecureAgent(async (get) => (await get({ signal: AbortSignal.abort() })).seen),
	...Object.fromEntries(
		(["TLSv1.2", "TLSv1.3"] as const).map((version) => [
			`https.Agent: sessions of ${version} are resumed`,
			withSecureAgent(
				async (get) => {
					const resumed: boolean[] = [];
					for (let i = 0; i < 4; i++) {
						const { response } = await get();
						const socket = response?.socket as TLSSocket;
						resumed.push(socket.isSessionReused());
						if (!socket.destroyed) await new Promise((resolve) => socket.once("close", resolve));
					}
					return resumed;
				},
				{ minVersion: version, maxVersion: version, keepAlive: false },
			),
		]),
	),
	"https.Agent: no sessions": withSecureAgent(
		async (get) => {
			await get();
			await settle();
			return ((await get()).response?.socket as TLSSocket | undefined)?.isSessionReused();
		},
		{ maxCachedSessions: 0, keepAlive: false },
	),
};
