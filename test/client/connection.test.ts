// The library's TCP connections against a gateway and backends on loopback.

import { once } from "node:events";
import { connect as netConnect, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { connect, Dialer } from "../../src/client/index.js";
import { peer, redirection, sockets, until } from "./loopback.js";
import { SERVICE } from "./peer.js";

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

	test("R21 R8: a refusing target is reported; the connection is served, the next goes elsewhere", async () => {
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
