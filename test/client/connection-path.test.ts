// What holds of a connection while its target is being attempted, and which destinations are asked at all.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, get, type IncomingMessage } from "node:http";
import { createServer as createSecureServer, get as getSecurely } from "node:https";
import { createServer as createNetServer, Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
	connect,
	connector,
	createSocket,
	Dialer,
	RedirectedAgent,
	RedirectedSecureAgent,
	type RedirectionOptions,
} from "../../src/client/index.js";
import { blackHole } from "./black-hole.js";
import { PATIENT, peer, redirection, sockets, until } from "./loopback.js";
import { Peer, SERVICE } from "./peer.js";

/** A Dialer that has a target for the peer's service. */
async function bound(more: RedirectionOptions = {}): Promise<Dialer> {
	const dialer = new Dialer(redirection({ ...PATIENT, ...more }));
	sockets.push(dialer);
	(await dialer.dial({ port: peer.port, host: SERVICE })).destroy();
	expect(dialer.target(SERVICE, peer.port)?.address).toBe("127.0.0.11");
	return dialer;
}

describe("a connection whose target does not answer", () => {
	const service = () => ({ port: peer.port, host: SERVICE });
	/** A bound Dialer whose target drops SYNs from now on. */
	const stalled = async (silence: number) => {
		const dialer = await bound({ silence });
		await peer.refuse("127.0.0.11");
		sockets.push(await blackHole("127.0.0.11", peer.port));
		return dialer;
	};

	test("R26: timeouts, signals and destroy() hold while the target is attempted", async () => {
		const dialer = await stalled(60_000);
		const timed = connect({ ...service(), dialer, timeout: 50 });
		expect(timed).toBeInstanceOf(Socket);
		expect([timed.connecting, timed.pending, timed.readyState]).toEqual([true, true, "opening"]);
		await once(timed, "timeout");
		const later = connect({ ...service(), dialer });
		await new Promise<void>((resolve) => later.setTimeout(50, resolve));
		const abort = new AbortController();
		const aborted = connect({ ...service(), dialer, signal: abort.signal } as never);
		setImmediate(() => abort.abort());
		expect((await once(aborted, "error"))[0]).toMatchObject({ name: "AbortError" });
		const early = connect({ ...service(), dialer, signal: AbortSignal.abort() } as never);
		expect((await once(early, "error"))[0]).toMatchObject({ name: "AbortError" });
		for (const socket of [timed, later]) {
			socket.destroy();
			expect(await once(socket, "close")).toEqual([false]);
		}
		const agent = new RedirectedAgent({ dialer, timeout: 50 });
		const request = get({ ...service(), agent });
		request.on("error", () => {});
		await once(request, "timeout");
		request.destroy();
		const limited = connector({ dialer }, { timeout: 50 });
		const error = await new Promise((resolve) => {
			limited({ hostname: SERVICE, port: peer.port, protocol: "http:" }, (failure, _socket) => resolve(failure));
		});
		expect(error).toMatchObject({ code: "UND_ERR_CONNECT_TIMEOUT" });
	});

	test("R21 R8: it is reported as silent, and another target or the gateway serves", async () => {
		const dialer = await stalled(100);
		const failover = once(dialer, "failover");
		const socket = connect({ ...service(), dialer });
		const attempts: unknown[] = [];
		socket.on("connectionAttemptTimeout", (...to) => attempts.push(to));
		socket.write("one");
		expect(String((await once(socket, "data"))[0])).toMatch(/^(127.0.0.12|gateway) one$/);
		expect((await failover)[0]).toMatchObject({ target: { address: "127.0.0.11" } });
		expect(attempts).toEqual([["127.0.0.11", peer.port, 4]]);
		socket.destroy();
	});

	test("a name is looked up once, by the program's function, whichever path is taken", async () => {
		const dialer = await bound();
		const asked: string[] = [];
		const lookup = (name: string, options: { all?: boolean }, done: (error: null, ...found: unknown[]) => void) => {
			asked.push(name);
			if (options.all) done(null, [{ address: SERVICE, family: 4 }]);
			else done(null, SERVICE, 4);
		};
		const seen: string[] = [];
		const socket = connect({ port: peer.port, host: "service.example", lookup: lookup as never, dialer });
		for (const name of ["lookup", "connectionAttempt", "connect", "ready"]) socket.on(name, () => seen.push(name));
		await once(socket, "ready");
		expect(socket.remoteAddress).toBe("127.0.0.11");
		expect(asked).toEqual(["service.example"]);
		expect(seen.filter((name) => name !== "connectionAttempt")).toEqual(["lookup", "connect", "ready"]);
		socket.destroy();
	});

	test("an error that a listener of the connection throws is the program's", async () => {
		const dialer = await bound();
		const listeners = process.listeners("uncaughtException");
		process.removeAllListeners("uncaughtException");
		const thrown = new Promise((resolve) => process.once("uncaughtException", resolve));
		const socket = connect({ ...service(), dialer }, () => {
			throw new Error("from the listener");
		});
		expect(await thrown).toMatchObject({ message: "from the listener" });
		for (const one of listeners) process.on("uncaughtException", one);
		socket.destroy();
	});
});

describe("a connection whose target refuses", () => {
	const addresses =
		(count: number) =>
		(_: string, { all }: { all?: boolean }, done: (...found: unknown[]) => void) =>
			all ? done(null, Array(count).fill({ address: SERVICE, family: 4 })) : done(null, SERVICE, 4);

	test.each([
		["a literal address", () => ({ host: SERVICE })],
		["a literal address, from a port of one's own", () => ({ host: SERVICE, localPort: peer.controlPort })],
		["a name with one address", () => ({ host: "service.example", lookup: addresses(1) })],
		["a name with two addresses", () => ({ host: "service.example", lookup: addresses(2) })],
	])("R8 R26: the gateway serves, and the socket is the same: %s", async (_, to) => {
		const dialer = await bound();
		for (const address of ["127.0.0.11", "127.0.0.12", "127.0.0.13"]) await peer.refuse(address);
		const seen: unknown[] = [];
		const socket = connect({ ...(to() as { host: string }), port: peer.port, dialer, noDelay: true });
		socket.on("connectionAttempt", (...attempt) => seen.push(["attempt", ...attempt]));
		socket.on("connectionAttemptFailed", (...[error]) => seen.push(["failed", error]));
		for (const name of ["connect", "ready"]) socket.on(name, () => seen.push(name));
		socket.write("one");
		expect(String((await once(socket, "data"))[0])).toBe("gateway one");
		expect(seen.filter((one) => typeof one === "string")).toEqual(["connect", "ready"]);
		expect(seen).toContainEqual(["attempt", SERVICE, peer.port, 4]);
		expect(seen).toContainEqual(["failed", "127.0.0.11"]);
		expect([socket.remoteAddress, socket.connecting]).toEqual([SERVICE, false]);
		if ("localPort" in to()) expect(socket.localPort).toBe(peer.controlPort);
		socket.destroy();
	});

	test("R8 R26: TLS: the gateway serves, under the service's identity", async () => {
		const fixture = (name: string) => readFileSync(join(import.meta.dirname, "fixtures", name));
		const [key, cert] = [fixture("service.key"), fixture("service.crt")];
		const secure = await Peer.start({
			createServer: (name) => createSecureServer({ key, cert }, (_, response) => response.end(name)),
		});
		sockets.push(secure);
		const dialer = new Dialer(redirection({ ...PATIENT, controlPort: secure.controlPort }));
		sockets.push(dialer);
		const ask = () => {
			const agent = new RedirectedSecureAgent({ dialer, ca: cert, servername: "service.example" });
			return new Promise<string>((resolve, reject) => {
				const request = getSecurely({ host: SERVICE, port: secure.port, agent }, (response) =>
					response.on("data", (text) => resolve(String(text))),
				);
				request.on("error", reject);
			});
		};
		expect(await ask()).toBe("127.0.0.11");
		for (const address of ["127.0.0.11", "127.0.0.12", "127.0.0.13"]) await secure.refuse(address);
		expect(await ask()).toBe("gateway");
	});

	test("R26: the gateway refuses too: the error is the service's, and the socket closes once", async () => {
		const dialer = await bound();
		for (const address of ["127.0.0.11", "127.0.0.12", "127.0.0.13", SERVICE]) await peer.refuse(address);
		const socket = connect({ host: SERVICE, port: peer.port, dialer });
		const [error] = await once(socket, "error");
		expect(error).toMatchObject({ code: "ECONNREFUSED", syscall: "connect", address: SERVICE, port: peer.port });
		expect(await once(socket, "close")).toEqual([true]);
	});
});

describe("agents", () => {
	test("R26: maxSockets holds, and connections to the target are reused", async () => {
		let open = 0;
		let most = 0;
		let made = 0;
		const handler = (_: IncomingMessage, response: { end(text: string): void }) =>
			setTimeout(() => response.end("ok"), 5);
		await peer.refuse("127.0.0.11");
		const dialer = new Dialer(redirection(PATIENT));
		const server = createServer(handler as never).on("connection", (socket) => {
			made++;
			most = Math.max(most, ++open);
			socket.on("close", () => open--);
		});
		await new Promise<void>((resolve) => server.listen(peer.port, "127.0.0.11", resolve));
		sockets.push(dialer, server);
		const agent = new RedirectedAgent({ dialer, keepAlive: true, maxSockets: 2 });
		const ask = () =>
			new Promise<void>((resolve, reject) => {
				get({ host: SERVICE, port: peer.port, agent }, (response) => response.resume().on("end", resolve)).on(
					"error",
					reject,
				);
			});
		await Promise.all(Array.from({ length: 12 }, ask));
		expect([most, made]).toEqual([2, 2]);
		agent.destroy();
	});
});

describe("which destinations are asked", () => {
	/** How many queries the gateway has received after one connection and one datagram. */
	const queries = async (options: RedirectionOptions) => {
		const before = peer.queries.length;
		const dialer = new Dialer(options);
		(await dialer.dial({ port: peer.port, host: SERVICE })).destroy();
		const asked = dialer.counters.questions > 0;
		if (asked) await until("the gateway's answer", () => peer.queries.length > before);
		dialer.close();
		return peer.queries.length - before;
	};
	const plain = () => redirection({ targets: undefined } as never);

	test("R25: a program that names neither services nor targets asks nothing", async () => {
		const { targets: _, ...options } = redirection();
		expect(await queries(options)).toBe(0);
		const socket = createSocket({ type: "udp4", redirection: options });
		sockets.push(socket);
		socket.send("one", peer.port, SERVICE);
		await once(socket, "message");
		expect(socket.counters.questions).toBe(0);
		expect(peer.queries).toEqual([]);
	});

	test.each([
		["an address and port", () => [`${SERVICE}:${peer.port}`], 1],
		["a prefix", () => ["127.0.0.0/24"], 1],
		["another address", () => ["127.0.0.54"], 0],
		["another port", () => [`${SERVICE}:1`], 0],
		[
			"a function",
			() =>
				({ address }: { address: string }) =>
					address === SERVICE,
			1,
		],
	])("R25: services: %s", async (_, services, expected) => {
		expect(await queries({ ...plain(), services: services() })).toBe(expected);
	});

	test("R25: services: a host name, with or without a port", async () => {
		const lookup = (_: string, { all }: { all?: boolean }, done: (error: null, ...found: unknown[]) => void) =>
			all ? done(null, [{ address: SERVICE, family: 4 }]) : done(null, SERVICE, 4);
		const ask = async (services: string[]) => {
			const dialer = new Dialer({ ...plain(), services });
			const socket = connect({ port: peer.port, host: "API.example", lookup: lookup as never, dialer });
			await once(socket, "connect");
			socket.destroy();
			const { questions } = dialer.counters;
			dialer.close();
			return questions;
		};
		expect(await ask(["api.example"])).toBe(1);
		expect(await ask([`api.example:${peer.port}`])).toBe(1);
		expect(await ask(["other.example", "api.example:1"])).toBe(0);
	});

	test("R25: an agent's destinations outside the targets are not asked, a connection's own are", async () => {
		const options = redirection({ targets: ["127.0.0.8/29"] });
		expect(await queries(options)).toBe(0);
		const socket = connect({ port: peer.port, host: SERVICE, redirection: options });
		await once(socket, "connect");
		await until("the query", () => peer.queries.length === 1);
		socket.destroy();
	});

	test("an invalid entry of services is refused by name", () => {
		expect(() => new Dialer({ services: ["203.0.113.999"] })).toThrow("services: 203.0.113.999 is not an address");
	});
});

test("a listener on the service's port is served although its queries are refused", async () => {
	const server = createNetServer((socket) => socket.end("plain"));
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	sockets.push(server);
	const { port } = server.address() as { port: number };
	const socket = connect({ port, host: "127.0.0.1", redirection: redirection({ controlPort: 1, questions: [20] }) });
	expect(String((await once(socket, "data"))[0])).toBe("plain");
});
