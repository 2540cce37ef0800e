// The library's sockets against a gateway and backends on loopback. The lab has the real ones
// (test/lab/client.test.ts).

import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, get, type IncomingMessage } from "node:http";
import { createServer as createSecureServer, get as secureGet } from "node:https";
import { connect as netConnect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
	connect,
	connector,
	createSocket,
	Dialer,
	openCache,
	RedirectedAgent,
	RedirectedSecureAgent,
	type RedirectedSocket,
	RedirectionCache,
	type RedirectionOptions,
	saveCache,
} from "../../src/client/index.js";
import { FLAG } from "../../src/wire/index.js";
import { LEASED, Peer, SERVICE, TARGETS } from "./peer.js";

let peer: Peer;
const sockets: { close(): unknown }[] = [];
beforeEach(async () => {
	peer = await Peer.start();
});
afterEach(() => {
	for (const socket of sockets.splice(0)) socket.close();
	peer.close();
});

const redirection = (more: RedirectionOptions = {}): RedirectionOptions => ({
	controlPort: peer.controlPort,
	targets: TARGETS,
	cache: new RedirectionCache(),
	...more,
});

function datagrams(more: RedirectionOptions = {}): RedirectedSocket {
	const socket = createSocket({ type: "udp4", redirection: redirection(more) });
	sockets.push(socket);
	return socket;
}

/** Sends and waits for the reply; repeats after 100 ms, as applications do. */
async function exchange(socket: RedirectedSocket, text: string): Promise<{ said: string; from: string; port: number }> {
	for (let i = 0; i < 30; i++) {
		socket.send(text, peer.port, SERVICE);
		const reply = await Promise.race([once(socket, "message"), delay(100)]);
		if (reply !== undefined) return { said: String(reply[0]), from: reply[1].address, port: reply[1].port };
	}
	throw new Error("no reply");
}

async function until(what: string, good: () => boolean | Promise<boolean>): Promise<void> {
	const end = Date.now() + 5000;
	while (!(await good())) {
		if (Date.now() > end) throw new Error(`timed out waiting for ${what}`);
		await delay(5);
	}
}

const bound = (socket: RedirectedSocket) => until("a target", () => socket.target(SERVICE, peer.port) !== undefined);

describe("datagrams", () => {
	test("R20 R22 R23: the gateway serves until the target has answered, then the target does; replies always show the service", async () => {
		const socket = datagrams();
		const events: string[] = [];
		for (const name of ["redirect", "lease"]) socket.on(name, (event) => events.push(`${name} ${event.change ?? ""}`));
		expect((await exchange(socket, "one")).said).toBe("gateway one");
		await bound(socket);
		expect(await exchange(socket, "two")).toEqual({ said: "127.0.0.11 two", from: SERVICE, port: peer.port });
		expect(peer.served).toBe(1);
		expect(peer.queries).toEqual(["capability"]);
		expect(events).toEqual(["redirect ", "lease granted"]);
		// A socket with a cache of its own can be opened and closed beside it.
		const second = createSocket({ type: "udp4", redirection: { ...redirection(), cache: new RedirectionCache() } });
		second.close();
	});

	test("R23: sockets that share a cache go straight to the target of a lease", async () => {
		const cache = new RedirectionCache();
		const first = datagrams({ cache });
		await exchange(first, "one");
		await bound(first);
		expect((await exchange(datagrams({ cache }), "two")).said).toBe("127.0.0.11 two");
		expect(peer.queries).toHaveLength(1);
	});

	test("R6: term once is valid for one socket", async () => {
		peer.terms = { flags: FLAG.redirect | FLAG.once, lease: 0 };
		const cache = new RedirectionCache();
		const first = datagrams({ cache });
		await exchange(first, "one");
		await bound(first);
		expect((await exchange(datagrams({ cache }), "two")).said).toBe("gateway two");
	});

	test("R21 R8: a target that stops answering is reported, its unanswered datagrams are served, and another target follows", async () => {
		const socket = datagrams({ silence: 100, probes: [40, 40, 40] });
		await exchange(socket, "one");
		await bound(socket);
		await exchange(socket, "two");
		peer.dead.add("127.0.0.11");
		const failover = once(socket, "failover");
		socket.send("three", peer.port, SERVICE);
		const [reply] = await once(socket, "message");
		expect(String(reply)).toMatch(/three$/);
		expect((await failover)[0]).toMatchObject({ cause: "silent" });
		expect(peer.queries).toContain("failure");
		await until("the next target", () => socket.target(SERVICE, peer.port)?.address === "127.0.0.12");
		expect((await exchange(socket, "four")).said).toBe("127.0.0.12 four");
	});

	test("R21: a refusal is detected at once", async () => {
		const socket = datagrams({ silence: 50 });
		await exchange(socket, "one");
		await bound(socket);
		await peer.leave("127.0.0.11");
		const failover = once(socket, "failover");
		socket.send("two", peer.port, SERVICE);
		expect((await failover)[0]).toMatchObject({ cause: "refused" });
		expect((await exchange(socket, "three")).said).toMatch(/two|three/); // the lost datagram, or the next one
	});

	test("R8: if no target is left, the gateway serves", async () => {
		peer.order = ["127.0.0.11"];
		const socket = datagrams({ silence: 50, probes: [20, 20, 20] });
		await exchange(socket, "one");
		await bound(socket);
		peer.dead.add("127.0.0.11");
		expect((await exchange(socket, "two")).said).toBe("gateway two");
	});

	test("R25: without a gateway that answers queries, datagrams are exchanged as before", async () => {
		peer.silent = true;
		const socket = datagrams({ questions: [20, 20, 20] });
		const plain = once(socket, "plain");
		expect((await exchange(socket, "one")).said).toBe("gateway one");
		expect((await plain)[0]).toMatchObject({ why: "no-capability" });
		expect((await exchange(socket, "two")).said).toBe("gateway two");
		expect(socket.counters.questions).toBe(3);
	});

	test("a redirect without R keeps the service with its gateway", async () => {
		peer.rewrite = (header) => peer.redirect({ ...header, flags: 0 }, aboutUdp());
		const socket = datagrams();
		const plain = once(socket, "plain");
		await exchange(socket, "one");
		expect((await plain)[0]).toMatchObject({ why: "not-expected" });
	});

	test.each<[string, (header: never) => unknown, string]>([
		["another nonce", (header: object) => ({ ...header, nonce: 1n }) as never, "ignoredNonce"],
		[
			"an old issue time",
			(header: { issued: number }) => ({ ...header, issued: header.issued - 31 }) as never,
			"ignoredWindow",
		],
		[
			"a target outside the prefixes",
			(header: object) => ({ ...header, address: Buffer.from("00000000000000000000ffff0a000001", "hex") }) as never,
			"declinedForbidden",
		],
	])("a redirect with %s is not followed", async (_, rewrite, counter) => {
		peer.rewrite = rewrite as never;
		const socket = datagrams();
		await exchange(socket, "one");
		await until(counter, () => socket.counters[counter as "ignoredNonce"] > 0);
		expect((await exchange(socket, "two")).said).toBe("gateway two");
	});

	test("R7: after a lease ends, datagrams go to the gateway until the next one", async () => {
		peer.terms = LEASED(2);
		const socket = datagrams();
		await exchange(socket, "one");
		await bound(socket);
		const ended = once(socket, "lease");
		expect((await ended)[0]).toMatchObject({ change: "ended" });
		expect((await exchange(socket, "two")).said).toBe("gateway two");
		await bound(socket);
	});

	test("mode required: datagrams wait for the target, and fail if there is none", async () => {
		const socket = datagrams({ mode: "required", questions: [20, 20, 20] });
		expect((await exchange(socket, "one")).said).toBe("127.0.0.11 one");
		expect(peer.served).toBe(0);
		peer.silent = true;
		const lost = datagrams({ mode: "required", questions: [20, 20, 20] });
		lost.send("one", peer.port, SERVICE, () => {});
		await once(lost, "plain");
		const error = await new Promise((resolve) => lost.send("two", peer.port, SERVICE, resolve));
		expect(error).toMatchObject({ code: "ERR_SHUNT_REQUIRED" });
	});

	test("mode off queries nothing", async () => {
		const socket = datagrams({ mode: "off" });
		await exchange(socket, "one");
		expect(peer.queries).toEqual([]);
	});

	test("a connected socket ignores strangers, and shows the service as its peer", async () => {
		const socket = datagrams();
		socket.connect(peer.port, SERVICE);
		await once(socket, "connect");
		expect(socket.remoteAddress()).toMatchObject({ address: SERVICE, port: peer.port });
		const said: string[] = [];
		socket.on("message", (message) => said.push(String(message)));
		socket.send("one");
		await bound(socket);
		socket.send(Buffer.from("xtwox"), 1, 3, () => {});
		await until("two", () => said.some((one) => one === "127.0.0.11 two"));
		peer.control.send("stranger", socket.address().port, "127.0.0.1");
		expect(() => socket.send("three", 5, "127.0.0.1")).toThrow(/connected/i);
		socket.disconnect();
		expect(() => socket.remoteAddress()).toThrow(/Not connected/);
		expect(said).not.toContain("stranger");
	});

	test("a cache in a file survives the program, is readable by its owner only, and an invalid file is an empty cache", async () => {
		const folder = mkdtempSync(join(tmpdir(), "shunt-cache-"));
		const file = join(folder, "cache.json");
		const cache = openCache(file);
		const first = datagrams({ cache });
		await exchange(first, "one");
		await bound(first);
		saveCache(cache, file);
		expect(statSync(file).mode & 0o777).toBe(0o600);
		const socket = datagrams({ cache: openCache(file) });
		await exchange(socket, "two");
		await bound(socket); // probed first: make before break
		expect(peer.queries).toHaveLength(1);
		expect(readFileSync(file, "utf8")).toContain(`udp ${SERVICE}:${peer.port}`);
		writeFileSync(file, "rubbish");
		expect(openCache(file).export().services).toEqual([]);
		rmSync(folder, { recursive: true });
	});
});

const aboutUdp = () => ({
	protocol: 17,
	port: peer.port,
	address: Buffer.from("00000000000000000000ffff7f000035", "hex"),
});

async function talk(socket: Socket, text: string): Promise<string> {
	socket.write(text);
	const [data] = await once(socket, "data");
	return String(data);
}

describe("connections", () => {
	test("R20 R22 R23: the first connection goes to the gateway, later ones to the target", async () => {
		const dialer = new Dialer(redirection());
		sockets.push(dialer);
		const first = connect({ port: peer.port, host: SERVICE, dialer });
		expect(first.connecting).toBe(true);
		expect(await talk(first, "one")).toBe("gateway one");
		await until("a target", () => dialer.target(SERVICE, peer.port) !== undefined);
		const second = connect({ port: peer.port, host: SERVICE, dialer });
		await once(second, "connect");
		expect(second.remoteAddress).toBe("127.0.0.11");
		expect(await talk(second, "two")).toBe("127.0.0.11 two");
		first.end();
		second.end("bye");
		await Promise.all([once(first, "close"), once(second, "close")]);
		expect(second.bytesWritten).toBe(6);
	});

	test("with patience the first connection goes to the target too", async () => {
		const socket = connect({ port: peer.port, host: SERVICE, redirection: redirection({ patience: 1000 }) });
		expect(await talk(socket, "one")).toBe("127.0.0.11 one");
		socket.destroy();
		await once(socket, "close");
	});

	test("R21 R8: a target that refuses is reported, the connection is served, and the next one goes to another target", async () => {
		const dialer = new Dialer(redirection({ patience: 1000 }));
		sockets.push(dialer);
		(await dialer.dial({ port: peer.port, host: SERVICE })).destroy();
		await peer.refuse("127.0.0.11");
		const failover = once(dialer, "failover");
		const socket = connect({ port: peer.port, host: SERVICE, dialer });
		expect(await talk(socket, "one")).toMatch(/^(127.0.0.12|gateway) one$/);
		expect((await failover)[0]).toMatchObject({ cause: "refused" });
		await until("the next target", () => dialer.target(SERVICE, peer.port)?.address === "127.0.0.12");
		socket.destroy();
	});

	test("a refusal by the service itself is reported with Node's own error", async () => {
		await peer.refuse(SERVICE);
		const [error] = await once(
			connect({ port: peer.port, host: SERVICE, redirection: redirection({ mode: "off" }) }),
			"error",
		);
		const [own] = await once(netConnect({ port: peer.port, host: SERVICE }), "error");
		expect(error).toMatchObject({ code: own.code, address: own.address, port: own.port });
	});
});

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

	test("R26: https.Agent and the connector over TLS: server name and certificate are the service's, at the target", async () => {
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

test("invalid options are refused by name", () => {
	expect(() => datagrams({ mode: "perhaps" as never })).toThrow("mode is perhaps");
	expect(() => datagrams({ targets: ["10.0.0.0/99"] })).toThrow("10.0.0.0/99 is not a prefix");
	expect(() => datagrams({ questions: [] })).toThrow("questions");
	expect(() => new Dialer({ patience: -1 })).toThrow("patience is -1");
});
