// attempt.ts - one attempt to connect to a target, with a socket of its own.
//
// Owns: that socket, until it is connected. Must never: read from it: what the target sends belongs to the program.

import { Socket, type TcpNetConnectOpts } from "node:net";
import type { Endpoint } from "../wire/index.js";
import { codedError } from "./coded-error.js";

/** The options that an attempt takes from the program's. */
export type AttemptOptions = Pick<TcpNetConnectOpts, "localAddress" | "localPort"> & { readonly blockList?: unknown };

export interface AttemptListener {
	/** An event of net.Socket about attempts. */
	event(name: string, ...values: unknown[]): void;
	connected(inner: Socket): void;
	failed(error: NodeJS.ErrnoException): void;
}

/** `timeoutMs` 0: any time. Returns a function that abandons the attempt; then the listener is not called any more. */
export function attempt(
	to: Endpoint,
	options: AttemptOptions,
	timeoutMs: number,
	listener: AttemptListener,
): () => void {
	const { localAddress, localPort, blockList } = options;
	const socket = new Socket(blockList === undefined ? {} : ({ blockList } as object));
	socket.pause();
	let open = true;
	const end = () => {
		open = false;
		clearTimeout(timer);
		socket.removeAllListeners();
	};
	const abandon = () => {
		if (!open) return;
		end();
		socket.on("error", () => {});
		socket.destroy();
	};
	const family = to.address.includes(":") ? 6 : 4;
	const late = () => {
		abandon();
		listener.event("connectionAttemptTimeout", to.address, to.port, family);
		listener.failed(codedError("ETIMEDOUT", `connect ETIMEDOUT ${to.address}:${to.port}`));
	};
	const timer = timeoutMs > 0 ? setTimeout(late, timeoutMs) : undefined;
	for (const name of ["connectionAttempt", "connectionAttemptFailed"])
		socket.on(name, (...values) => listener.event(name, ...values));
	// Of both events the later one: Node starts to read between them and afterwards, unless the socket is paused.
	socket.once("ready", () => {
		end();
		listener.connected(socket);
	});
	socket.once("error", (error) => {
		end();
		socket.on("error", () => {});
		listener.failed(error);
	});
	socket.connect({
		host: to.address,
		port: to.port,
		...(localAddress === undefined ? {} : { localAddress }),
		...(localPort === undefined ? {} : { localPort }),
	});
	return abandon;
}
