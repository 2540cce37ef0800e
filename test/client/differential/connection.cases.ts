// connection.cases.ts - programs over node:net's connect and Socket, each a function of a side.
//
// Must never: depend on time, or on the number of a port that the kernel chose.

import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import net, { type NetConnectOpts, type Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import type { Case } from "./datagram.cases.js";
import type { Place, Side } from "./sides.js";
import { first, order, outcome, show, turn } from "./transcript.js";

/** With a socket that is being connected, and destroyed afterwards. */
const connecting =
	(run: (socket: Socket, at: Place) => unknown, options: object = {}): Case =>
	async ({ connect }, at) => {
		const socket = connect({ port: at.port, host: at.host, ...options } as NetConnectOpts);
		socket.on("error", () => {});
		try {
			return await run(socket, at);
		} finally {
			socket.destroy();
		}
	};

const connected = (run: (socket: Socket, at: Place) => unknown, options: object = {}) =>
	connecting(async (socket, at) => {
		await once(socket, "connect");
		return run(socket, at);
	}, options);

const fails =
	(options: (at: Place) => object): Case =>
	async ({ connect }, at) => {
		try {
			const socket = connect(options(at) as NetConnectOpts);
			const error = await first(socket, "error", "connect");
			socket.destroy();
			return error;
		} catch (error) {
			return `throws ${show(error)}`;
		}
	};

const echo = async (socket: Socket, text: string | Buffer) => {
	socket.write(text);
	const [bytes] = await once(socket, "data");
	return show(bytes);
};

const names =
	(host: string, log: unknown[] = []) =>
	(
		name: string,
		options: { all?: boolean; family?: number; hints?: number },
		done: (error: null, ...found: unknown[]) => void,
	) => {
		log.push([name, options.all ?? false, options.family, options.hints]);
		setImmediate(() => (options.all ? done(null, [{ address: host, family: 4 }]) : done(null, host, 4)));
	};

/** The states of a socket that a program can read. */
const states = ({ connecting, pending, readyState, destroyed, readable, writable, timeout }: Socket) =>
	[connecting, pending, readyState, destroyed, readable, writable, timeout].map(String).join(" ");

const EVENTS = [
	"lookup",
	"connectionAttempt",
	"connectionAttemptFailed",
	"connect",
	"ready",
	"data",
	"end",
	"timeout",
	"error",
	"close",
];

export const CONNECTION_CASES: Record<string, Case> = {
	"connect: instanceof net.Socket": connecting((socket) => socket instanceof net.Socket),
	"connect: (port, host)": async ({ connect }: Side, at) => {
		const socket = connect(at.port, at.host);
		const seen = await echo(socket, "one");
		socket.destroy();
		return seen;
	},
	"connect: (port, host, listener)": async ({ connect }, at) => {
		let socket: Socket | undefined;
		const seen = await new Promise<unknown[]>((resolve) => {
			socket = connect(at.port, at.host, (...all: unknown[]) => resolve(all));
		});
		socket?.destroy();
		return seen;
	},
	"connect: (options, listener)": async ({ connect }, at) => {
		const seen: unknown[] = [];
		const socket = connect({ port: at.port, host: at.host }, function (this: unknown) {
			seen.push(this === socket);
		});
		await once(socket, "ready");
		socket.destroy();
		return seen;
	},
	"connect: port as text": connected((socket) => echo(socket, "one"), {}),
	"connect: no argument": ({ connect }) => outcome(() => (connect as unknown as () => void)()),
	"connect: no port": ({ connect }) => outcome(() => connect({ host: "127.0.0.1" } as never)),
	"connect: port 70000": fails((at) => ({ port: 70_000, host: at.host })),
	"connect: port of another type": fails((at) => ({ port: {}, host: at.host })),
	"connect: port -1": fails((at) => ({ port: -1, host: at.host })),
	"connect: localAddress that is none": fails((at) => ({ port: at.port, host: at.host, localAddress: "name" })),
	"connect: localPort that is none": fails((at) => ({ port: at.port, host: at.host, localPort: "x" })),
	"connect: lookup that is none": fails((at) => ({ port: at.port, host: "service.example", lookup: 5 })),
	"connect: signal that is none": fails((at) => ({ port: at.port, host: at.host, signal: 5 })),
	"connect: autoSelectFamily that is none": fails((at) => ({ port: at.port, host: at.host, autoSelectFamily: 5 })),
	"connect: a refusal": fails((at) => ({ port: at.closedPort, host: at.host })),
	"connect: a refusal, from an address of one's own": fails((at) => ({
		port: at.closedPort,
		host: at.host,
		localAddress: "127.0.0.9",
	})),
	"connect: unknown name": fails((at) => ({ port: at.port, host: "no.such.invalid" })),
	"connect: a look-up that fails": fails((at) => ({
		port: at.port,
		host: "service.example",
		lookup: (_: string, __: object, done: (error: Error) => void) => done(new Error("no")),
	})),
	"connect: a look-up that finds nonsense": fails((at) => ({
		port: at.port,
		host: "service.example",
		family: 4,
		lookup: (_: string, __: object, done: (error: null, address: string, family: number) => void) => done(null, "x", 4),
	})),
	"connect: a path": fails(() => ({ path: "/no/such/socket" })),
	"connect: a path as text": async ({ connect }) => first(connect("/no/such/socket"), "error", "connect"),

	"events of a literal address": connecting(async (socket) => {
		const seen = order(socket, ...EVENTS.filter((name) => !name.startsWith("connectionAttempt")));
		socket.end("one");
		socket.resume();
		await once(socket, "close");
		return seen;
	}),
	"events of a name": async ({ connect }, at) => {
		const log: unknown[] = [];
		const socket = connect({ port: at.port, host: "service.example", lookup: names(at.host, log) as never });
		const seen = order(socket, ...EVENTS.filter((name) => !name.startsWith("connectionAttempt")));
		const looked = first(socket, "lookup");
		await once(socket, "ready");
		socket.destroy();
		await once(socket, "close");
		return [seen, await looked, log];
	},
	"events of a name, one family": async ({ connect }, at) => {
		const log: unknown[] = [];
		const options = {
			port: at.port,
			host: "service.example",
			family: 4,
			hints: 0,
			lookup: names(at.host, log) as never,
		};
		const socket = connect(options);
		const looked = first(socket, "lookup");
		const text = await echo(socket, "one");
		socket.destroy();
		return [await looked, text, log];
	},
	"events of a refusal": async ({ connect }, at) => {
		const socket = connect({ port: at.closedPort, host: at.host });
		const seen = order(socket, ...EVENTS);
		await first(socket, "close");
		return seen;
	},
	"event connectionAttempt": connecting(async (socket) => {
		const attempt = first(socket, "connectionAttempt");
		await once(socket, "ready");
		return (await attempt).replaceAll(/\d{4,}/g, "PORT");
	}),
	"a name with two addresses, of which the first refuses": async ({ connect }, at) => {
		const lookup = (_: string, { all }: { all?: boolean }, done: (error: null, ...found: unknown[]) => void) =>
			all
				? done(null, [
						{ address: "::1", family: 6 },
						{ address: at.host, family: 4 },
					])
				: done(null, at.host, 4);
		const socket = connect({ port: at.port, host: "service.example", autoSelectFamily: true, lookup: lookup as never });
		const text = await echo(socket, "one");
		socket.destroy();
		return text;
	},
	"states at once, connected and afterwards": connecting(async (socket) => {
		const seen = [states(socket)];
		await once(socket, "connect");
		seen.push(states(socket));
		socket.destroy();
		seen.push(states(socket));
		await once(socket, "close");
		return [...seen, states(socket)];
	}),
	"addresses before the connection": connecting((socket) => [
		socket.address(),
		socket.remoteAddress,
		socket.remotePort,
		socket.remoteFamily,
		socket.localAddress,
		socket.localFamily,
		socket.bytesRead,
		socket.bytesWritten,
	]),
	"addresses of the connection": connected((socket, at) => [
		socket.remotePort === at.port,
		socket.remoteFamily,
		socket.localAddress,
		socket.localFamily,
		socket.localPort === (socket.address() as net.AddressInfo).port,
	]),
	remoteAddress: connected((socket) => socket.remoteAddress),
	localAddress: connected(
		(socket) => [socket.localAddress, socket.address()].map((one) => show(one).replace(/"port":\d+/, "")),
		{
			localAddress: "127.0.0.9",
		},
	),
	"bytesRead, bytesWritten": connected(async (socket) => [
		await echo(socket, "12345"),
		socket.bytesRead,
		socket.bytesWritten,
	]),
	"write before the connection": connecting(async (socket) => {
		const seen: string[] = [];
		socket.write("one", () => seen.push("written"));
		seen.push(`${socket.bytesWritten} ${socket.writableLength} ${socket.bufferSize}`);
		const [bytes] = await once(socket, "data");
		return [...seen, show(bytes)];
	}),
	"write: encodings, buffers and cork": connected(async (socket) => {
		socket.cork();
		socket.write("6f6e65", "hex");
		socket.write(Buffer.from("two"));
		socket.uncork();
		let text = "";
		for await (const chunk of socket) {
			text += chunk;
			if (text.length >= 6) break;
		}
		return text;
	}),
	"write: a number": connected((socket) => outcome(() => socket.write(5 as never))),
	"write: after destroy": connected(async (socket) => {
		socket.destroy();
		return new Promise((resolve) => socket.write("one", (error) => resolve(show(error))));
	}),
	"write: 1 MB": connected(async (socket) => {
		const data = Buffer.alloc(1_000_000, "x");
		socket.end(data);
		return (await buffer(socket)).equals(data);
	}),
	"end before the connection": connecting(async (socket) => {
		socket.end("one");
		return show(await buffer(socket));
	}),
	"end: half open": connected(
		async (socket) => {
			const seen = order(socket, "end", "finish", "close");
			socket.end("one");
			socket.resume();
			await once(socket, "close");
			return [seen, socket.writableEnded];
		},
		{ allowHalfOpen: true },
	),
	destroySoon: connected(async (socket) => {
		socket.resume();
		socket.write("one");
		socket.destroySoon();
		await once(socket, "close");
		return socket.destroyed;
	}),
	"setEncoding, pause and resume": connected(async (socket) => {
		socket.setEncoding("hex");
		socket.pause();
		socket.write("one");
		const paused = socket.isPaused();
		setImmediate(() => socket.resume());
		const [text] = await once(socket, "data");
		return [paused, text];
	}),
	"option onread": async ({ connect }, at) => {
		let text = "";
		let socket: Socket | undefined;
		await new Promise<void>((resolve) => {
			const onread = {
				buffer: Buffer.alloc(64),
				callback: (size: number, bytes: Uint8Array) => {
					text += Buffer.from(bytes.subarray(0, size)).toString();
					resolve();
					return true;
				},
			};
			socket = connect({ port: at.port, host: at.host, onread } as never);
			socket.write("one");
		});
		socket?.destroy();
		return text;
	},
	"destroy before the connection": connecting(async (socket) => {
		const seen = order(socket, ...EVENTS);
		socket.destroy();
		await once(socket, "close");
		await turn();
		return seen;
	}),
	"destroy with an error": connecting(async (socket) => {
		socket.destroy(new Error("mine"));
		return first(socket, "error");
	}),
	resetAndDestroy: connected(async (socket) => {
		socket.resetAndDestroy();
		return first(socket, "close", "error");
	}),
	"resetAndDestroy before the connection": connecting(async (socket) => {
		const seen = order(socket, "connect", "close", "error");
		socket.resetAndDestroy();
		await once(socket, "close");
		return seen;
	}),
	"option timeout": connected(async (socket) => [await first(socket, "timeout"), socket.timeout], { timeout: 30 }),
	"setTimeout before the connection": connecting((socket) => {
		socket.setTimeout(30);
		return first(socket, "timeout");
	}),
	"setTimeout: callback, and no longer": connected(async (socket) => {
		await new Promise<void>((resolve) => socket.setTimeout(10, resolve));
		const count = socket.listenerCount("timeout");
		socket.setTimeout(0);
		return [count, socket.timeout];
	}),
	"setTimeout: not a number": connecting((socket) => outcome(() => socket.setTimeout("x" as never))),
	"signal: before": async ({ connect }, at) => {
		const socket = connect({ port: at.port, host: at.host, signal: AbortSignal.abort() } as never);
		return first(socket, "error", "connect");
	},
	"signal: while it connects": async ({ connect }, at) => {
		const abort = new AbortController();
		const socket = connect({ port: at.port, host: at.host, signal: abort.signal } as never);
		const error = first(socket, "error", "connect");
		abort.abort();
		return [await error, socket.destroyed];
	},
	"signal: afterwards": async ({ connect }, at) => {
		const abort = new AbortController();
		const socket = connect({ port: at.port, host: at.host, signal: abort.signal } as never);
		await once(socket, "connect");
		const error = first(socket, "error", "close");
		abort.abort();
		return [await error, socket.destroyed];
	},
	"setNoDelay, setKeepAlive, ref and unref": connecting(async (socket) => {
		const calls = () => [socket.setNoDelay(true), socket.setKeepAlive(true, 1000), socket.unref(), socket.ref()];
		const before = calls().every((one) => one === socket);
		await once(socket, "connect");
		return [before, calls().every((one) => one === socket)];
	}),
	"options noDelay, keepAlive, keepAliveInitialDelay": connected((socket) => echo(socket, "one"), {
		noDelay: true,
		keepAlive: true,
		keepAliveInitialDelay: 1000,
	}),
	"connect again": connected(async (socket, at) => {
		socket.destroy();
		await once(socket, "close");
		socket.connect(at.port, at.host);
		await once(socket, "connect");
		return echo(socket, "two");
	}),
	AsyncLocalStorage: async ({ connect }, at) => {
		const storage = new AsyncLocalStorage<string>();
		return storage.run("mine", () => {
			const socket = connect({ port: at.port, host: at.host });
			return new Promise((resolve) => {
				socket.once("connect", () => {
					socket.destroy();
					resolve(storage.getStore());
				});
			});
		});
	},
	"listeners of a connected socket": connected((socket) =>
		socket.eventNames().map((name) => `${String(name)} ${socket.listenerCount(name)}`),
	),
};
