// datagram.cases.ts - programs over node:dgram, each a function of a side: every method, event and option that Node
// documents.
//
// Must never: depend on time, or on the number of a port that the kernel chose.

import dgram, { type Socket, type SocketType } from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import type { Place, Side } from "./sides.js";
import { first, order, outcome, show, turn, wait } from "./transcript.js";

export type Case = (side: Side, at: Place) => unknown;

/** With a socket that is closed afterwards. */
const withSocket =
	(run: (socket: Socket, at: Place) => unknown, type: SocketType | dgram.SocketOptions = "udp4"): Case =>
	async ({ createSocket }, at) => {
		const socket = createSocket(type as SocketType);
		try {
			return await run(socket, at);
		} finally {
			outcome(() => socket.close());
		}
	};

const bound = (run: (socket: Socket, at: Place) => unknown, type: SocketType | dgram.SocketOptions = "udp4") =>
	withSocket(async (socket, at) => {
		socket.bind(0, type === "udp6" ? "::1" : "127.0.0.1");
		await once(socket, "listening");
		return run(socket, at);
	}, type);

const connected = (run: (socket: Socket, at: Place) => unknown) =>
	withSocket(async (socket, at) => {
		socket.connect(at.port, at.host);
		await once(socket, "connect");
		return run(socket, at);
	});

const message = async (socket: Socket, at: Place) => {
	const [bytes, from] = await once(socket, "message");
	return [String(bytes), { ...from, port: from.port === at.port ? "the service's" : "another" }].map(show);
};

const sends = (send: (socket: Socket, at: Place) => void) =>
	withSocket((socket, at) => {
		send(socket, at);
		return message(socket, at);
	});

const called = (send: (socket: Socket, at: Place, done: (...values: unknown[]) => void) => void) =>
	withSocket(async (socket, at) =>
		(await new Promise<unknown[]>((resolve) => send(socket, at, (...all) => resolve(all)))).map(show),
	);

const throws = (call: (socket: Socket, at: Place) => unknown) =>
	withSocket((socket, at) => outcome(() => call(socket, at)));
const boundCall = (call: (socket: Socket, at: Place) => unknown) =>
	bound((socket, at) => outcome(() => call(socket, at)));

const lookup =
	(asked: string[]) => (name: string, family: number, done: (error: null, address: string, family: number) => void) => {
		asked.push(`${name} ${family}`);
		done(null, name.startsWith("service") ? "127.0.0.53" : name, 4);
	};

export const DATAGRAM_CASES: Record<string, Case> = {
	"instanceof dgram.Socket": withSocket((socket) => socket instanceof dgram.Socket),
	"createSocket: no type": ({ createSocket }) => outcome(() => createSocket(undefined as never)),
	"createSocket: unknown type": ({ createSocket }) => outcome(() => createSocket("udp5" as never)),
	"createSocket: null": ({ createSocket }) => outcome(() => createSocket(null as never)),
	"createSocket: listener": async ({ createSocket }, at) => {
		const [got] = await new Promise<unknown[]>((resolve) => {
			const socket = createSocket("udp4", (...values) => {
				socket.close();
				resolve(values);
			});
			socket.send("one", at.port, at.host);
		});
		return show(got);
	},
	"option lookup": async ({ createSocket }, at) => {
		const asked: string[] = [];
		const socket = createSocket({ type: "udp4", lookup: lookup(asked) as never });
		socket.send("one", at.port, "service.example");
		const got = await message(socket, at);
		socket.send("two", at.port, at.host);
		const again = await message(socket, at);
		socket.close();
		return [got, again, asked];
	},
	"option lookup: an error": async ({ createSocket }, at) => {
		const failing = (_: string, __: number, done: (error: Error) => void) => done(new Error("no"));
		const socket = createSocket({ type: "udp4", lookup: failing as never });
		socket.bind = (() => socket) as never;
		const error = first(socket, "error");
		outcome(() => (dgram.Socket.prototype.bind as (...values: unknown[]) => void).call(socket, 0, "name.example"));
		const seen = await error;
		socket.close();
		return [seen, at.host];
	},
	"option lookup: no function": ({ createSocket }) => outcome(() => createSocket({ type: "udp4", lookup: 5 as never })),
	"option signal: before bind": async ({ createSocket }) =>
		first(createSocket({ type: "udp4", signal: AbortSignal.abort() }), "close"),
	"option signal: afterwards": async ({ createSocket }) => {
		const abort = new AbortController();
		const socket = createSocket({ type: "udp4", signal: abort.signal });
		socket.bind(0);
		await once(socket, "listening");
		const closed = first(socket, "close");
		abort.abort();
		return [await closed, outcome(() => socket.close())];
	},
	"option signal: no signal": ({ createSocket }) => outcome(() => createSocket({ type: "udp4", signal: 5 as never })),
	"options recvBufferSize, sendBufferSize": bound(
		(socket) => [socket.getRecvBufferSize(), socket.getSendBufferSize()],
		{ type: "udp4", recvBufferSize: 20_000, sendBufferSize: 20_000 },
	),
	"option recvBufferSize: no number": ({ createSocket }) =>
		outcome(() => createSocket({ type: "udp4", recvBufferSize: "x" as never })),
	"option reuseAddr": async ({ createSocket }) => {
		const [one, two] = [
			createSocket({ type: "udp4", reuseAddr: true }),
			createSocket({ type: "udp4", reuseAddr: true }),
		];
		one.bind(0, "127.0.0.1");
		await once(one, "listening");
		two.bind(one.address().port, "127.0.0.1");
		const seen = await first(two, "listening", "error");
		one.close();
		two.close();
		return seen;
	},
	"option ipv6Only": withSocket(
		async (socket) => {
			socket.bind(0);
			await once(socket, "listening");
			return socket.address().address;
		},
		{ type: "udp6", ipv6Only: true },
	),

	"send: port and address": sends((socket, at) => socket.send("one", at.port, at.host)),
	"send: port as text": sends((socket, at) => socket.send("one", String(at.port) as never, at.host)),
	"send: offset and length": sends((socket, at) => socket.send(Buffer.from("abcdef"), 2, 3, at.port, at.host)),
	"send: string, offset and length": sends((socket, at) => socket.send("abcdef", 1, 2, at.port, at.host)),
	"send: list": sends((socket, at) => socket.send(["ab", Buffer.from("cd")], at.port, at.host)),
	sendto: sends((socket, at) => {
		const sendto = (socket as unknown as { sendto?: (...values: unknown[]) => void }).sendto;
		if (sendto === undefined) socket.send("one", at.port, at.host);
		else (socket as never as { sendto: typeof sendto }).sendto("one", 0, 3, at.port, at.host);
	}),
	"send: empty list": sends((socket, at) => socket.send([], at.port, at.host)),
	"send: empty": sends((socket, at) => socket.send("", at.port, at.host)),
	"send: DataView": sends((socket, at) => socket.send(new DataView(new ArrayBuffer(3)), at.port, at.host)),
	"send: Uint16Array": sends((socket, at) => socket.send(new Uint16Array([0x4141, 0x4242]), at.port, at.host)),
	"send: callback": called((socket, at, done) => socket.send("one", at.port, at.host, done)),
	"send: offset, length and callback": called((socket, at, done) =>
		socket.send("abcdef", 1, 2, at.port, at.host, done),
	),
	"send: callback instead of the address": called((socket, at, done) =>
		socket.send("one", at.closedPort, done as never),
	),
	"send: too long, callback": called((socket, at, done) => socket.send(Buffer.alloc(70_000), at.port, at.host, done)),
	"send: unknown name, callback": called((socket, at, done) => socket.send("one", at.port, "no.such.invalid", done)),
	"send: unknown name, no callback": withSocket((socket, at) => {
		socket.send("one", at.port, "no.such.invalid");
		return first(socket, "error");
	}),
	"send: IPv6 address, udp4": called((socket, at, done) => socket.send("one", at.port, "::1", done)),
	"send: a number": throws((socket, at) => socket.send(5 as never, at.port, at.host)),
	"send: list with a number": throws((socket, at) => socket.send([5] as never, at.port, at.host)),
	"send: nothing": throws((socket) => (socket.send as () => void)()),
	"send: port 0": throws((socket, at) => socket.send("one", 0, at.host)),
	"send: port 70000": throws((socket, at) => socket.send("one", 70_000, at.host)),
	"send: port of another type": throws((socket, at) => socket.send("one", {} as never, at.host)),
	"send: address of another type": throws((socket, at) => socket.send("one", at.port, 5 as never)),
	"send: offset out of bounds": boundCall((socket, at) => socket.send("one", 9, 1, at.port, at.host)),
	"send: length out of bounds": boundCall((socket, at) => socket.send("one", 1, 9, at.port, at.host)),
	"send: a number, bound": boundCall((socket, at) => socket.send(5 as never, at.port, at.host)),
	"send: port 0, bound": boundCall((socket, at) => socket.send("one", 0, at.host)),
	"send: address of another type, bound": boundCall((socket, at) => socket.send("one", at.port, 5 as never)),
	"send: returns": boundCall((socket, at) => socket.send("one", at.port, at.host)),
	"send: after close": withSocket((socket, at) => {
		socket.close();
		return outcome(() => socket.send("one", at.port, at.host));
	}),
	"send, then close in the callback": async ({ createSocket }, at) => {
		const receiver = dgram.createSocket("udp4");
		receiver.bind(0, "127.0.0.1");
		await once(receiver, "listening");
		const socket = createSocket("udp4");
		socket.send("bye", receiver.address().port, "127.0.0.1", () => socket.close());
		const [bytes] = await once(receiver, "message");
		receiver.close();
		return [show(bytes), at.host];
	},
	"send: callbacks in order": bound(async (socket, at) => {
		const seen: string[] = [];
		await new Promise<void>((resolve) => {
			socket.send("one", at.port, at.host, () => seen.push("one"));
			process.nextTick(() => seen.push("tick"));
			socket.send("two", at.port, at.host, () => seen.push("two"));
			socket.send("three", at.port, at.host, () => {
				seen.push("three");
				resolve();
			});
			seen.push("returned");
		});
		return seen;
	}),
	"200 datagrams in order": bound(async (socket, at) => {
		const seen: number[] = [];
		const all = new Promise<void>((resolve) =>
			socket.on("message", (bytes) => seen.push(Number(String(bytes))) === 200 && resolve()),
		);
		for (let i = 0; i < 200; i++) socket.send(String(i), at.port, at.host);
		await all;
		return seen.every((one, i) => one === i);
	}),
	"udp6 to an IPv4-mapped address": withSocket((socket, at) => {
		socket.send("one", at.port, `::ffff:${at.host}`);
		return message(socket, at);
	}, "udp6"),
	"option sendBlockList": async ({ createSocket }, at) => {
		const list = new net.BlockList();
		list.addAddress("127.0.0.9");
		const socket = createSocket({ type: "udp4", sendBlockList: list } as never);
		const seen = await new Promise((resolve) =>
			socket.send("one", at.port, "127.0.0.9", (error) => resolve(error?.name)),
		);
		socket.close();
		return seen ?? "none";
	},

	"connect: events, remoteAddress, message": connected(async (socket, at) => {
		const { address, family, port } = socket.remoteAddress();
		socket.send("one");
		return [address, family, port === at.port, await message(socket, at)];
	}),
	"connect: the socket's own address": connected((socket) => socket.address().address),
	"connect: callback": withSocket(
		(socket, at) =>
			new Promise((resolve) => socket.connect(at.port, at.host, (...all: unknown[]) => resolve(all.map(show)))),
	),
	"connect: order of events": withSocket(async (socket, at) => {
		const seen = order(socket, "listening", "connect");
		socket.connect(at.port, at.host, () => seen.push("callback"));
		seen.push("returned");
		await once(socket, "connect");
		return seen;
	}),
	"connect: offset and length": connected((socket, at) => {
		socket.send("abcdef", 2, 3);
		return message(socket, at);
	}),
	"connect: send's callback": connected(async (socket) =>
		(await new Promise<unknown[]>((resolve) => socket.send("one", (...all) => resolve(all)))).map(show),
	),
	"connect: twice": connected((socket, at) => outcome(() => socket.connect(at.port, at.host))),
	"connect: twice at once": withSocket((socket, at) => {
		socket.connect(at.port, at.host);
		return outcome(() => socket.connect(at.port, at.host));
	}),
	"connect: send with a destination": connected((socket, at) =>
		outcome(() => socket.send("one", 0, 3, at.port, at.host)),
	),
	"connect: send of a number": connected((socket) => outcome(() => socket.send(5 as never))),
	"connect: send out of bounds": connected((socket) => outcome(() => socket.send("one", 9, 1))),
	"connect: send before it is connected": withSocket((socket, at) => {
		socket.connect(at.port, at.host);
		return outcome(() => socket.send("one"));
	}),
	"connect: port 0": throws((socket, at) => socket.connect(0, at.host)),
	"connect: address of another type": throws((socket, at) => socket.connect(at.port, 5 as never)),
	"connect: unknown name": withSocket((socket, at) => {
		socket.connect(at.port, "no.such.invalid");
		return first(socket, "error");
	}),
	"connect: unknown name, callback": withSocket(
		(socket, at) =>
			new Promise((resolve) =>
				socket.connect(at.port, "no.such.invalid", ((error: Error) => resolve(show(error))) as never),
			),
	),
	"connect: disconnect, and connect again": connected(async (socket, at) => {
		socket.disconnect();
		const seen = [outcome(() => socket.remoteAddress()), outcome(() => socket.disconnect())];
		socket.connect(at.port, at.host);
		await once(socket, "connect");
		socket.send("two");
		return [seen, await message(socket, at)];
	}),
	"connect: a refusal (ICMP)": withSocket(async (socket, at) => {
		socket.connect(at.closedPort, at.host);
		await once(socket, "connect");
		socket.send("one");
		return Promise.race([first(socket, "error"), wait(1000).then(() => "no error")]);
	}),
	"connect: strangers": connected(async (socket, at) => {
		const stranger = dgram.createSocket("udp4");
		const seen: string[] = [];
		socket.on("message", (bytes) => seen.push(String(bytes)));
		await new Promise((resolve) => stranger.send("stranger", socket.address().port, "127.0.0.1", resolve));
		stranger.close();
		const own = once(socket, "message");
		socket.send("own");
		await own;
		return [seen, at.host];
	}),
	"disconnect: not connected": throws((socket) => socket.disconnect()),
	"remoteAddress: not connected": throws((socket) => socket.remoteAddress()),

	"bind: event and address": bound((socket) => [socket.address().address, socket.address().family]),
	"bind: returns the socket": withSocket(async (socket) => {
		const same = socket.bind(0) === socket;
		await once(socket, "listening");
		return same;
	}),
	"bind: options and callback": withSocket(
		(socket) =>
			new Promise((resolve) =>
				socket.bind({ port: 0, address: "127.0.0.1", exclusive: true }, () => resolve(socket.address().address)),
			),
	),
	"bind: twice": bound((socket) => outcome(() => socket.bind(0))),
	"bind: in use": withSocket((socket, at) => {
		socket.bind(at.port, at.host);
		return first(socket, "error", "listening").then((text) => text.replaceAll(String(at.port), "PORT"));
	}),
	"bind: a descriptor that is none": throws((socket) => socket.bind({ fd: 999 })),
	"address: not bound": throws((socket) => socket.address()),
	"close: event and callback": withSocket(async (socket) => {
		const seen = order(socket, "listening", "close");
		socket.bind(0);
		await once(socket, "listening");
		await new Promise<void>((resolve) => socket.close(resolve));
		return seen;
	}),
	"close: while it is being bound": withSocket(async (socket, at) => {
		const seen = order(socket, "listening", "close", "error");
		socket.send("one", at.port, at.host, (error) => seen.push(`sent ${show(error)}`));
		const closed = once(socket, "close");
		socket.close();
		await closed;
		await turn();
		return seen;
	}),
	"close: twice": withSocket((socket) => {
		socket.close();
		return outcome(() => socket.close());
	}),
	asyncDispose: bound(async (socket) => {
		await socket[Symbol.asyncDispose]();
		return outcome(() => socket.close());
	}),
	"ref and unref": withSocket((socket) => [socket.unref() === socket, socket.ref() === socket]),
	"buffer sizes, not bound": withSocket((socket) => [
		outcome(() => socket.getRecvBufferSize()),
		outcome(() => socket.getSendBufferSize()),
		outcome(() => socket.setRecvBufferSize(1)),
		outcome(() => socket.setSendBufferSize(1)),
	]),
	"setRecvBufferSize, setSendBufferSize": bound((socket) => [
		outcome(() => socket.setRecvBufferSize(30_000)),
		outcome(() => socket.setSendBufferSize(30_000)),
		socket.getRecvBufferSize(),
		outcome(() => socket.setRecvBufferSize(-1)),
	]),
	"getSendQueueSize, getSendQueueCount": withSocket((socket) => [
		socket.getSendQueueSize(),
		socket.getSendQueueCount(),
	]),
	"setTTL, setMulticastTTL": bound((socket) => [
		outcome(() => socket.setTTL(9)),
		outcome(() => socket.setTTL(900)),
		outcome(() => socket.setMulticastTTL(3)),
		outcome(() => socket.setMulticastTTL("x" as never)),
	]),
	"setBroadcast, setMulticastLoopback, setMulticastInterface": bound((socket) => [
		outcome(() => socket.setBroadcast(true)),
		outcome(() => socket.setMulticastLoopback(true)),
		outcome(() => socket.setMulticastInterface("127.0.0.1")),
		outcome(() => socket.setMulticastInterface("name")),
	]),
	membership: bound((socket) => [
		outcome(() => socket.addMembership("239.1.2.3", "127.0.0.1")),
		outcome(() => socket.dropMembership("239.1.2.3", "127.0.0.1")),
		outcome(() => socket.dropMembership("239.1.2.3", "127.0.0.1")),
		outcome(() => socket.addSourceSpecificMembership("127.0.0.1", "232.1.2.3", "127.0.0.1")),
		outcome(() => socket.dropSourceSpecificMembership("127.0.0.1", "232.1.2.3", "127.0.0.1")),
		outcome(() => socket.addMembership(undefined as never)),
	]),
};
