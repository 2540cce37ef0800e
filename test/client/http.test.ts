// The library's HTTP agents and undici connector against a gateway and backends on loopback.

import { readFileSync } from "node:fs";
import { createServer, get, type IncomingMessage } from "node:http";
import { createServer as createSecureServer, get as secureGet } from "node:https";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { connector, Dialer, RedirectedAgent, RedirectedSecureAgent } from "../../src/client/index.js";
import { peer, redirection, sockets, until } from "./loopback.js";
import { SERVICE } from "./peer.js";

describe("HTTP", () => {
	const body = async (response: IncomingMessage) => (await response.toArray()).join("");
	const serve = async (name: string, address: string, port: number) => {
		const server = createServer((request, response) => response.end(`${name} ${request.headers.host}`));
		await new Promise<void>((resolve) => server.listen(port, address, resolve));
		sockets.push(server);
		return (server.address() as { port: number }).port;
	};

	test("R26: http.Agent: the second request goes to the target, with the service's Host header", async () => {
		const port = await serve("gateway", SERVICE, 0);
		await serve("target", "127.0.0.11", port);
		// The backend's probes are answered at the service's own port.
		const old = peer.port;
		peer.port = port;
		await peer.backend("127.0.0.11").catch(() => {});
		const agent = new RedirectedAgent({ redirection: redirection() });
		sockets.push(agent.dialer);
		const ask = () =>
			new Promise<string>((resolve, reject) =>
				get({ host: SERVICE, port, agent }, (response) => body(response).then(resolve, reject)).on("error", reject),
			);
		expect(await ask()).toBe(`gateway ${SERVICE}:${port}`);
		await until("a target", () => agent.dialer.target(SERVICE, port) !== undefined);
		expect(await ask()).toBe(`target ${SERVICE}:${port}`);
		agent.destroy();
		peer.port = old;
	});

	test("R26: https.Agent and TLS connector: server name and certificate are the service's", async () => {
		const fixture = (name: string) => readFileSync(join(import.meta.dirname, "fixtures", name));
		const [key, cert] = [fixture("service.key"), fixture("service.crt")];
		const serve = (name: string, address: string, port: number) =>
			new Promise<number>((resolve) => {
				const server = createSecureServer({ key, cert }, (request, response) => {
					response.end(`${name} ${(request.socket as TLSSocket).servername}`);
				});
				sockets.push(server);
				server.listen(port, address, () => resolve((server.address() as { port: number }).port));
			});
		const port = await serve("gateway", SERVICE, 0);
		await serve("target", "127.0.0.11", port);
		const old = peer.port;
		peer.port = port;
		await peer.backend("127.0.0.11").catch(() => {});
		const lookup = (_: string, options: { all?: boolean }, found: (error: null, ...rest: unknown[]) => void) =>
			options.all ? found(null, [{ address: SERVICE, family: 4 }]) : found(null, SERVICE, 4);
		const agent = new RedirectedSecureAgent({ redirection: redirection({ patience: 1000 }) });
		sockets.push(agent.dialer);
		const answer = await new Promise<string>((resolve, reject) =>
			secureGet({ host: "service.example", port, agent, ca: cert, lookup: lookup as never }, (response) =>
				body(response).then(resolve, reject),
			).on("error", reject),
		);
		expect(answer).toBe("target service.example");
		const dial = connector({ dialer: agent.dialer }, { ca: cert });
		const socket = await new Promise<Socket>((resolve, reject) =>
			dial({ hostname: SERVICE, servername: "service.example", port, protocol: "https:" }, (error, made) =>
				made ? resolve(made) : reject(error),
			),
		);
		expect((socket as TLSSocket).authorized).toBe(true);
		expect(socket.remoteAddress).toBe("127.0.0.11");
		socket.destroy();
		const mismatched = connector({ dialer: agent.dialer }, { ca: cert });
		const refused = await new Promise<Error | null>((resolve) =>
			mismatched({ hostname: SERVICE, servername: "other.example", port, protocol: "https:" }, (error, _socket) =>
				resolve(error),
			),
		);
		expect(refused).toMatchObject({ code: "ERR_TLS_CERT_ALTNAME_INVALID" });
		agent.destroy();
		peer.port = old;
	});

	test("R26: undici's connector returns connected sockets", async () => {
		const dialer = new Dialer(redirection({ patience: 1000 }));
		sockets.push(dialer);
		const dial = connector({ dialer });
		const socket = await new Promise<Socket>((resolve, reject) =>
			dial({ hostname: SERVICE, port: peer.port, protocol: "http:" }, (error, made) =>
				made ? resolve(made) : reject(error),
			),
		);
		expect(socket.remoteAddress).toBe("127.0.0.11");
		socket.destroy();
	});
});
