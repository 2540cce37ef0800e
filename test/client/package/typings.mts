// typings.mts - what a program in strict TypeScript may write with the package. The compiler is the test: it is never
// run. Where an error is expected, `@ts-expect-error` requires one.

import type dgram from "node:dgram";
import http from "node:http";
import https from "node:https";
import type net from "node:net";
import {
	type ConnectorOptions,
	type Counters,
	connect,
	connector,
	createSocket,
	Dialer,
	type Endpoint,
	openCache,
	RedirectedAgent,
	RedirectedSecureAgent,
	type RedirectedSocket,
	type RedirectionCache,
	type RedirectionOptions,
	saveCache,
} from "shunt-client";
import { decodeHeader, type parseAddress } from "shunt-client/wire";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

// A drop-in for dgram.
const redirection: RedirectionOptions = { mode: "preferred", targets: ["10.0.0.0/8"], patience: 100 };
const signal = new AbortController().signal;
const socket: RedirectedSocket = createSocket({
	type: "udp6",
	reuseAddr: true,
	recvBufferSize: 10,
	signal,
	redirection,
});
const plain: dgram.Socket = socket;
plain.send("x", 1, "127.0.0.1");
createSocket("udp4", (message, from) => message.toString(from.family === "IPv4" ? "hex" : "utf8"));
socket.on("message", (message, from) => {
	same<typeof message, Buffer>(true);
	same<typeof from, dgram.RemoteInfo>(true);
});
socket.bind(0, () => {}).bind({ port: 0, exclusive: true });
socket.connect(1, () => {});
socket.connect(1, "127.0.0.1", () => {});
socket.send(["a", Buffer.from("b")], 1, "127.0.0.1", (error, bytes) => {
	same<typeof error, Error | null>(true);
	same<typeof bytes, number>(true);
});
same<ReturnType<typeof socket.getSendQueueSize>, number>(true);
same<typeof socket.counters, Counters>(true);
socket.unref().ref().setTTL(1);
await socket[Symbol.asyncDispose]();
// @ts-expect-error: a port is a number
socket.connect("1");
// @ts-expect-error: no such mode
createSocket({ type: "udp4", redirection: { mode: "never" } });

// Events: the payload follows from the name; other names remain possible.
socket
	.once("redirect", ({ service, target, previous, term }) => {
		same<typeof service, Endpoint>(true);
		same<typeof target, Endpoint>(true);
		same<typeof previous, Endpoint | undefined>(true);
		same<typeof term, "once" | "leased" | "permanent">(true);
	})
	.on("failover", ({ cause }) => same<typeof cause, "refused" | "silent">(true))
	.on("lease", ({ change, until }) => {
		same<typeof change, "granted" | "renewed" | "ended" | "revoked">(true);
		same<typeof until, number>(true);
	})
	.on("plain", ({ why }) => same<typeof why, "no-capability" | "not-expected" | "forbidden" | "limit" | "ended">(true))
	.on("error", (error) => same<typeof error, Error>(true))
	.off("close", () => {})
	.on("anything", () => {});
// @ts-expect-error: the event has no such field
socket.on("redirect", ({ lease }) => lease);
const dialer = new Dialer(redirection);
dialer.on("failover", ({ target }) => target.address.toUpperCase());

// net, http, https, undici.
const connection: net.Socket = connect(80, "127.0.0.1", () => {});
connect({ host: "a", port: 1, family: 4, autoSelectFamily: true, keepAlive: true, dialer });
connect("/run/socket");
connection.end();
const agent: http.Agent = new RedirectedAgent({ keepAlive: true, maxSockets: 2, redirection });
const secure: https.Agent = new RedirectedSecureAgent({ ca: "x", dialer });
http.get("http://127.0.0.1/", { agent });
https.get("https://127.0.0.1/", { agent: secure });
const connected: (
	options: ConnectorOptions,
	callback: (...result: [Error, null] | [null, net.Socket]) => void,
) => void = connector({ redirection });
connected({ hostname: "a", port: 1, protocol: "http:" }, (error, stream) => stream?.unref() ?? error);

const cache: RedirectionCache = openCache("file");
saveCache(cache, "file");

const decoded = decodeHeader(new Uint8Array(32));
if (decoded.ok) same<typeof decoded.header.nonce, bigint>(true);
same<ReturnType<typeof parseAddress>, Uint8Array | undefined>(true);
