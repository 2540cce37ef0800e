// The library's datagram socket against a gateway and backends on loopback. The lab has the real ones
// (test/lab/client.test.ts).

import { execFile } from "node:child_process";
import { Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import {
	createSocket,
	Dialer,
	openCache,
	type RedirectedSocket,
	RedirectionCache,
	type RedirectionOptions,
	saveCache,
} from "../../src/client/index.js";
import { FLAG } from "../../src/wire/index.js";
import { peer, redirection, sockets, until } from "./loopback.js";
import { LEASED, SERVICE } from "./peer.js";

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

const bound = (socket: RedirectedSocket) => until("a target", () => socket.target(SERVICE, peer.port) !== undefined);

describe("datagrams", () => {
	test("R20 R22 R23: the gateway serves until the target has answered; replies show the service", async () => {
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

	test("R21 R8: a silent target is reported, its unanswered datagrams are served, another follows", async () => {
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
		expect(() => socket.send("three", 0, 5, 5, "127.0.0.1")).toThrow(/connected/i);
		socket.disconnect();
		expect(() => socket.remoteAddress()).toThrow(/Not connected/);
		expect(said).not.toContain("stranger");
	});

	test("a cache file survives the program and is its owner's only; an invalid one is empty", async () => {
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

test("R26: workers of a cluster receive their own replies", async () => {
	const program = join(import.meta.dirname, "fixtures/cluster-program.mjs");
	const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 15_000 });
	expect(JSON.parse(stdout)).toEqual({ sent: 120, own: 120, other: 0, ports: 3 });
});

test("R26: the socket is a dgram.Socket, and what it sends again are its own copies", async () => {
	const socket = datagrams({ silence: 100, probes: [40, 40, 40] });
	expect(socket).toBeInstanceOf(Socket);
	await exchange(socket, "one");
	await bound(socket);
	peer.dead.add("127.0.0.11");
	const buffer = Buffer.from("three");
	socket.send(buffer, peer.port, SERVICE, () => buffer.fill("x"));
	const [reply] = await once(socket, "message");
	expect(String(reply)).toMatch(/three$/);
});

const aboutUdp = () => ({
	protocol: 17,
	port: peer.port,
	address: Buffer.from("00000000000000000000ffff7f000035", "hex"),
});

test("invalid options are refused by name", () => {
	expect(() => datagrams({ mode: "perhaps" as never })).toThrow("mode is perhaps");
	expect(() => datagrams({ targets: ["10.0.0.0/99"] })).toThrow("10.0.0.0/99 is not a prefix");
	expect(() => datagrams({ questions: [] })).toThrow("questions");
	expect(() => new Dialer({ patience: -1 })).toThrow("patience is -1");
});
