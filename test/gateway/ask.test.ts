// ask.test.ts - one probe of each type, to servers of this host.

import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type Config, parseConfig } from "../../src/config/index.js";
import { ask } from "../../src/gateway/probe/ask.js";

const closers: (() => void)[] = [];
afterAll(() => {
	for (const close of closers) close();
});

/** The probe of a service with this configuration. */
function probeOf(text: string) {
	const { services }: Config = parseConfig(
		`
version: 1
cluster: { seed: s, keys: [{ id: 1, secret: "00112233445566778899AABBCCDDEEFF" }] }
backends: { b: { address: 10.0.0.1 } }
services:
  s: { address: 203.0.113.1, port: 1, protocol: [udp, tcp], backends: [b], health: { probe: ${text} } }
`,
		"shunt.yaml",
	);
	return services.flatMap(({ protocol, health: { probe } }) => (probe === null ? [] : [{ protocol, probe }]))[0]!;
}

async function port(server: Server): Promise<number> {
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	closers.push(() => server.close());
	return (server.address() as AddressInfo).port;
}

const result = async (probe: string, at: number, protocol?: "udp" | "tcp") => {
	const of = probeOf(probe);
	const got = await ask({ probe: of.probe, protocol: protocol ?? of.protocol, address: "127.0.0.1", port: at });
	return got?.passed ? "passed" : got?.detail;
};

describe("a probe", () => {
	test("R31: tcp: connects, or sends and expects; a refusal is one at once", async () => {
		const echo = await port(createServer((socket) => socket.on("error", () => {}).pipe(socket)));
		expect(await result("{ type: tcp }", echo)).toBe("passed");
		expect(await result("{ type: tcp, send: PING, expect: IN }", echo)).toBe("passed");
		expect(await result("{ type: tcp, sendHex: '00ff', expectHex: 'ff' }", echo)).toBe("passed");
		expect(await result("{ type: tcp, send: PING, expect: PONG, timeout: 100ms }", echo)).toBe("no answer");
		const closing = await port(createServer((socket) => socket.on("error", () => {}).end("BUSY")));
		expect(await result("{ type: tcp, send: PING, expect: PONG }", closing)).toBe("another answer");
		const gone = createServer();
		const unused = await port(gone);
		gone.close();
		expect(await result("{ type: tcp }", unused)).toBe("connection refused");
	});

	test("R31: udp: sends and expects; silence is no answer", async () => {
		const socket = createSocket("udp4");
		closers.push(() => socket.close());
		socket.on("message", (data, from) => data.toString() === "PING" && socket.send("PONG 7", from.port, from.address));
		socket.bind(0, "127.0.0.1");
		await once(socket, "listening");
		const { port: at } = socket.address();
		expect(await result("{ type: udp, send: PING, expect: PONG }", at)).toBe("passed");
		expect(await result("{ type: udp, send: PING, expect: other }", at)).toBe("another answer");
		expect(await result("{ type: udp, send: QUIET, timeout: 100ms }", at)).toBe("no answer");
	});

	test("R31: http: a status", async () => {
		const at = await port(
			createHttp((request, answer) => {
				answer.statusCode = request.url === "/health" && request.headers.host === "lobby.example" ? 200 : 503;
				answer.end("body");
			}),
		);
		expect(await result("{ type: http, path: /health, host: lobby.example }", at)).toBe("passed");
		expect(await result("{ type: http, path: / }", at)).toBe("status 503");
		expect(await result("{ type: http, status: 503 }", at)).toBe("passed");
	});

	test("R31: https: its certificate need not be for the probe", async () => {
		const certificate = join(mkdtempSync(join(tmpdir(), "shunt-ask-")), "pem");
		const subject = ["-subj", "/CN=elsewhere.example", "-keyout", certificate, "-out", `${certificate}.crt`];
		execFileSync("openssl", ["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "1", ...subject], {
			stdio: "ignore",
		});
		const [key, cert] = [readFileSync(certificate), readFileSync(`${certificate}.crt`)];
		const at = await port(createHttps({ key, cert }, (_, answer) => answer.end("body")));
		expect(await result("{ type: https, host: lobby.example, timeout: 5s }", at)).toBe("passed");
		expect(await result("{ type: https, status: 404, timeout: 5s }", at)).toBe("status 200");
	});

	test("R31: dns over either protocol", async () => {
		const socket = createSocket("udp4");
		closers.push(() => socket.close());
		const answered = (question: Buffer) => {
			const answer = Buffer.from(question);
			answer.writeUInt16BE(0x8180, 2);
			return answer;
		};
		socket.on("message", (data, from) => socket.send(answered(data), from.port, from.address));
		socket.bind(0, "127.0.0.1");
		await once(socket, "listening");
		expect(await result("{ type: dns, name: whoami.lab }", socket.address().port, "udp")).toBe("passed");
		const tcp = await port(
			createServer((connection) =>
				connection
					.on("error", () => {})
					.on("data", (data) => {
						connection.write(Buffer.concat([data.subarray(0, 2), answered(data.subarray(2))]));
					}),
			),
		);
		expect(await result("{ type: dns, name: whoami.lab }", tcp, "tcp")).toBe("passed");
	});

	test("R31: a name that is none says nothing of the service", async () => {
		expect(await result("{ type: dns, name: 'a..b' }", 9, "udp")).toBeUndefined();
	});
});
