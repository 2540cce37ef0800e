// Libraries that programs use, over the sockets and agents of this one: each through the gateway first, then to the
// target.

import { createServer as createHttpServer, type Server } from "node:http";
import axios from "axios";
import got from "got";
import {
	fetch,
	getGlobalDispatcher,
	setGlobalDispatcher,
	Agent as UndiciAgent,
	request as undiciRequest,
} from "undici";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import { connector, type Dialer, RedirectedAgent } from "../../src/client/index.js";
import { dialerTo, until } from "./loopback.js";
import { Peer, SERVICE } from "./peer.js";

let peer: Peer;
let dialer: Dialer;
let url: string;
const opened: (() => unknown)[] = [];

/** A server that names itself, echoes WebSocket messages, and answers /slow late. */
function createServer(name: string): Server {
	const server = createHttpServer((request, response) => {
		if (request.url === "/slow") setTimeout(() => response.end(name), 2000).unref();
		else response.end(`${name} ${request.headers.host}`);
	});
	new WebSocketServer({ server }).on("connection", (socket) =>
		socket.on("message", (message) => socket.send(`${name} ${message}`)),
	);
	return server;
}

beforeEach(async () => {
	peer = await Peer.start({ createServer });
	dialer = dialerTo(peer);
	url = `http://${SERVICE}:${peer.port}`;
});
afterEach(async () => {
	for (const close of opened.splice(0)) await close();
	dialer.close();
	peer.close();
});

const bound = () => until("a target", () => dialer.target(SERVICE, peer.port) !== undefined);
/** What each of two exchanges shows: the first by the gateway, the second by the target. */
async function gatewayThenTarget(exchange: () => Promise<string>): Promise<void> {
	expect(await exchange()).toBe(`gateway ${SERVICE}:${peer.port}`);
	await bound();
	expect(await exchange()).toBe(`127.0.0.11 ${SERVICE}:${peer.port}`);
}

describe("undici", () => {
	const dispatcher = () => {
		// One request for each connection, so that the second one opens its own.
		const agent = new UndiciAgent({ connect: connector({ dialer }), pipelining: 0 });
		opened.push(() => agent.destroy());
		return agent;
	};

	test("R26: fetch, by the global dispatcher", async () => {
		const before = getGlobalDispatcher();
		setGlobalDispatcher(dispatcher());
		opened.push(() => setGlobalDispatcher(before));
		await gatewayThenTarget(async () => (await fetch(url)).text());
		const late = fetch(`${url}/slow`, { signal: AbortSignal.timeout(50) });
		await expect(late).rejects.toMatchObject({ name: "TimeoutError" });
	});

	test("R25: fetch of a host that is no service: no question is sent", async () => {
		const other = createServer("other");
		await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
		opened.push(
			() => other.close(),
			() => other.closeAllConnections(),
		);
		const { port } = other.address() as { port: number };
		const answer = await fetch(`http://127.0.0.1:${port}/`, { dispatcher: dispatcher() });
		expect(await answer.text()).toBe(`other 127.0.0.1:${port}`);
		expect([dialer.counters.questions, peer.queries]).toEqual([0, []]);
	});

	test("R26: request, many at once", async () => {
		const agent = dispatcher();
		const all = await Promise.all(Array.from({ length: 10 }, () => undiciRequest(url, { dispatcher: agent })));
		for (const { statusCode, body } of all) {
			expect(statusCode).toBe(200);
			await body.dump();
		}
	});
});

describe("http agents", () => {
	const agents = () => {
		const agent = new RedirectedAgent({ dialer });
		opened.push(() => agent.destroy());
		return agent;
	};

	test("R26: axios, and its timeout", async () => {
		const client = axios.create({ httpAgent: agents(), proxy: false });
		await gatewayThenTarget(async () => (await client.get(url)).data);
		await expect(client.get(`${url}/slow`, { timeout: 50 })).rejects.toMatchObject({ code: "ECONNABORTED" });
	});

	test("R26: got, and its timeout", async () => {
		const client = got.extend({ agent: { http: agents() }, retry: { limit: 0 } });
		await gatewayThenTarget(() => client.get(url).text());
		await expect(client.get(`${url}/slow`, { timeout: { request: 50 } })).rejects.toMatchObject({ code: "ETIMEDOUT" });
	});

	test("R26: ws", async () => {
		const agent = agents();
		const exchange = () =>
			new Promise<string>((resolve, reject) => {
				const socket = new WebSocket(url.replace("http", "ws"), { agent });
				socket.on("open", () => socket.send(`${SERVICE}:${peer.port}`));
				socket.on("message", (message) => {
					socket.close();
					resolve(String(message));
				});
				socket.on("error", reject);
			});
		await gatewayThenTarget(exchange);
	});
});
