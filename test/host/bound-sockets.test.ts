// bound-sockets.test.ts - sockets that receive at a port, as the kernel lists them.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterAll, expect, test } from "vitest";
import { addressText } from "../../src/config/index.js";
import { host } from "../../src/engine/index.js";

const servers: Server[] = [];
const sockets: Socket[] = [];

afterAll(() => {
	for (const server of servers) server.close();
	for (const socket of sockets) socket.close();
});

async function listen(address: string, ipv6Only = false): Promise<number> {
	const server = createServer();
	servers.push(server);
	server.listen({ port: 0, host: address, ipv6Only });
	await once(server, "listening");
	return (server.address() as AddressInfo).port;
}

async function bind(
	type: "udp4" | "udp6",
	address: string,
	ipv6Only = false,
): Promise<{ socket: Socket; port: number }> {
	const socket = createSocket({ type, ipv6Only });
	sockets.push(socket);
	socket.bind(0, address);
	await once(socket, "listening");
	return { socket, port: socket.address().port };
}

const seen = async (protocol: "tcp" | "udp", ...ports: number[]) =>
	(await host().boundSockets(protocol, ports)).map(({ address, port, both, connected }) => ({
		address: addressText(address),
		port,
		...(connected ? { connected } : { both }),
	}));

test("R31: listening sockets, by address and family, at the ports asked for and no others", async () => {
	const [dual, six, four] = [await listen("::"), await listen("::", true), await listen("127.0.0.1")];
	await listen("127.0.0.1");
	expect(await seen("tcp", dual)).toEqual([{ address: "::", port: dual, both: true }]);
	expect(await seen("tcp", six, four)).toEqual([
		{ address: "127.0.0.1", port: four, both: false },
		{ address: "::", port: six, both: false },
	]);
	expect(await seen("udp", four)).toEqual([]);
});

test("R31: bound UDP sockets, and connected ones where there is no other", async () => {
	const { port } = await bind("udp6", "::");
	expect(await seen("udp", port)).toEqual([{ address: "::", port, both: true }]);
	const { socket, port: other } = await bind("udp4", "127.0.0.1");
	socket.connect(9, "127.0.0.1");
	await once(socket, "connect");
	expect(await seen("udp", other)).toEqual([{ address: "127.0.0.1", port: other, connected: true }]);
});

test("invalid arguments are refused", () => {
	expect(() => host().boundSockets("sctp" as "tcp", [1])).toThrow(/tcp or udp/);
	expect(() => host().boundSockets("tcp", [65_536])).toThrow(/from 1 to 65535/);
});
