// tcp-sessions.test.ts - connections counted by the kernel's dump, beside what ss shows of the same.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { host } from "../../src/engine/index.js";

const v4 = (text: string) => Buffer.from([...Array(10).fill(0), 255, 255, ...text.split(".").map(Number)]);
const ANY = Buffer.alloc(16);
const LOOPBACK6 = Buffer.from([...Array(15).fill(0), 1]);
const servers: Server[] = [];
const sockets: Socket[] = [];

async function listen(address: string): Promise<number> {
	const server = createServer((socket) => sockets.push(socket.on("error", () => {})));
	servers.push(server);
	server.listen(0, address);
	await once(server, "listening");
	return (server.address() as AddressInfo).port;
}

async function connections(address: string, port: number, count: number): Promise<void> {
	for (let i = 0; i < count; i++) {
		const before = sockets.length;
		const socket = connect(port, address);
		await once(socket, "connect");
		sockets.push(socket);
		while (sockets.length < before + 2) await new Promise((resolve) => setImmediate(resolve));
	}
}

/** Established ones by ss, whose filter takes IPv4 in mapped form as it stands. */
function ss(filter: string): number {
	const lines = execFileSync("ss", ["-Htn", "state", "established", filter], { encoding: "utf8" });
	return lines.split("\n").filter((line) => line.trim() !== "").length;
}

let dual: number;
let four: number;

beforeAll(async () => {
	dual = await listen("::");
	four = await listen("127.0.0.1");
	await connections("127.0.0.1", dual, 7); // in mapped form at the server
	await connections("127.0.0.2", dual, 4);
	await connections("::1", dual, 5);
	await connections("127.0.0.1", four, 3);
});

afterAll(() => {
	for (const socket of sockets) socket.destroy();
	for (const server of servers) server.close();
});

test("TCP sessions of each address and port, IPv4, IPv6 and mapped, are as many as ss shows", async () => {
	const counts = await host().tcpSessions([
		{ address: v4("127.0.0.1"), port: dual },
		{ address: v4("127.0.0.2"), port: dual },
		{ address: LOOPBACK6, port: dual },
		{ address: ANY, port: dual },
		{ address: v4("0.0.0.0"), port: dual },
		{ address: v4("127.0.0.1"), port: four },
		{ address: ANY, port: four },
		{ address: v4("127.0.0.1"), port: dual },
		{ address: v4("192.0.2.1"), port: dual },
	]);
	expect(counts).toBeInstanceOf(Uint32Array);
	expect([...counts]).toEqual([7, 4, 5, 16, 11, 3, 3, 7, 0]);
	expect(counts[3]).toBe(ss(`sport = :${dual}`));
	expect(counts[6]).toBe(ss(`sport = :${four}`));
	expect(counts[2]).toBe(ss(`src = [::1]:${dual}`));
});

test("counting doesn't wait on JavaScript's thread, and many questions at once are answered alike", async () => {
	let turned = false;
	setImmediate(() => {
		turned = true;
	});
	const all = await Promise.all(Array.from({ length: 20 }, () => host().tcpSessions([{ address: ANY, port: dual }])));
	expect(turned).toBe(true);
	expect(all.map(([count]) => count)).toEqual(Array(20).fill(16));
	expect([...(await host().tcpSessions([]))]).toEqual([]);
});

test("what is asked wrongly is told with its place", () => {
	const ask = (value: unknown) => () => host().tcpSessions(value as []);
	expect(ask(undefined)).toThrow(/array/);
	expect(
		ask([
			{ address: ANY, port: 80 },
			{ address: ANY, port: 0 },
		]),
	).toThrow("[1].port must be from 1 to 65535");
	expect(ask([{ address: ANY, port: 65_536 }])).toThrow("[0].port");
	expect(ask([{ address: Buffer.alloc(4), port: 80 }])).toThrow("[0].address");
	expect(ask([5])).toThrow("[0] must be an object");
});
