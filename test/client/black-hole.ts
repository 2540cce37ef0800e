// black-hole.ts - a TCP address that drops SYNs: a listener with a full backlog, in a thread that accepts nothing.
//
// Owns: the thread, and the connections that fill its backlog.

import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";

const PROGRAM = `
const { createServer } = require("node:net");
const { parentPort, workerData } = require("node:worker_threads");
const server = createServer();
server.listen({ ...workerData, backlog: 1 }, () => {
	parentPort.postMessage(server.address().port);
	setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
});`;

export interface BlackHole {
	readonly port: number;
	close(): void;
}

/** Ready when a connection to it has been left unanswered for 300 ms. */
export async function blackHole(host: string, port = 0): Promise<BlackHole> {
	const worker = new Worker(PROGRAM, { eval: true, workerData: { host, port } });
	const sockets: Socket[] = [];
	const at = await new Promise<number>((resolve, reject) => {
		worker.once("message", resolve);
		worker.once("error", reject);
	});
	const close = () => {
		for (const socket of sockets) socket.destroy();
		void worker.terminate();
	};
	for (let i = 0; i < 16; i++) {
		const socket = connect({ host, port: at });
		socket.on("error", () => {});
		sockets.push(socket);
		const connected = new Promise((resolve) => socket.once("connect", () => resolve(true)));
		if (!(await Promise.race([connected, delay(300, false)]))) return { port: at, close };
	}
	close();
	throw new Error(`${host}:${at} answers 16 connections`);
}
