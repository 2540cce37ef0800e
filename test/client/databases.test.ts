// Clients of databases over the sockets of this library, against Debian's servers: each through the gateway first, then
// to the target.

import { setTimeout as delay } from "node:timers/promises";
import { AbstractConnector, type CommonRedisOptions, Redis, type StandaloneConnectionOptions } from "ioredis";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Connection, connect, type Dialer } from "../../src/client/index.js";
import { type DatabaseServer, startPostgres, startRedis } from "./database-servers.js";
import { dialerTo, until } from "./loopback.js";
import { Peer, SERVICE } from "./peer.js";

const TARGET = "127.0.0.11";
const SLOW = 180_000;

let peer: Peer;
let dialer: Dialer;
let server: DatabaseServer;

/** The peer is the gateway's control port and the target's probes; connections are the database's. */
async function begin(start: (port: number, addresses: readonly string[]) => Promise<DatabaseServer>): Promise<void> {
	peer = await Peer.start();
	for (const address of [SERVICE, TARGET]) await peer.refuse(address);
	server = await start(peer.port, [SERVICE, TARGET]);
	dialer = dialerTo(peer);
}

async function end(): Promise<void> {
	dialer?.close();
	peer?.close();
	await server?.stop();
}

const bound = () => until("a target", () => dialer.target(SERVICE, peer.port) !== undefined);

describe("ioredis", () => {
	beforeAll(() => begin(startRedis), SLOW);
	afterAll(end, SLOW);

	class RedirectedConnector extends AbstractConnector {
		readonly #options: StandaloneConnectionOptions;

		constructor(options: StandaloneConnectionOptions & CommonRedisOptions) {
			super(options.disconnectTimeout ?? 2000);
			this.#options = options;
		}

		override connect() {
			const { host, port } = this.#options as { host: string; port: number };
			this.stream = connect({ host, port, dialer });
			return Promise.resolve(this.stream);
		}
	}
	const open = () => new Redis({ host: SERVICE, port: peer.port, Connector: RedirectedConnector as never });
	/** The server's address of this connection. */
	const reached = async (redis: Redis) => /laddr=([^:]+):/.exec(String(await redis.call("CLIENT", "INFO")))?.[1];

	test("R26: ioredis", async () => {
		const first = open();
		expect(await reached(first)).toBe(SERVICE);
		await bound();
		const second = open();
		expect(await reached(second)).toBe(TARGET);
		await first.set("key", "value");
		expect(await second.get("key")).toBe("value");
		const many = await second.pipeline().incr("n").incr("n").exec();
		expect(many).toEqual([
			[null, 1],
			[null, 2],
		]);
		// The server ends the first connection; the library connects again, and now to the target.
		const again = new Promise((resolve) => first.once("ready", resolve));
		const id = await first.client("ID");
		await second.client("KILL", "ID", id);
		await again;
		expect(await reached(first)).toBe(TARGET);
		await Promise.all([first.quit(), second.quit()]);
	}, 60_000);
});

describe("pg", () => {
	beforeAll(() => begin(startPostgres), SLOW);
	afterAll(end, SLOW);

	const to = () => ({ host: SERVICE, port: peer.port, user: "test", database: "postgres" });
	const open = () => new pg.Client({ ...to(), stream: () => new Connection({ dialer }) });
	const WHERE = "select host(inet_server_addr()) as address";

	/** The server listens before it is ready. */
	async function connected(): Promise<pg.Client> {
		for (;;) {
			const client = open();
			try {
				await client.connect();
				return client;
			} catch (error) {
				if ((error as { code?: string }).code !== "57P03") throw error; // it is starting up
				await delay(20);
			}
		}
	}

	test("R26: pg, a client and a pool", async () => {
		const first = await connected();
		const before = (await first.query(WHERE)).rows;
		await bound();
		const second = await connected();
		expect((await second.query(WHERE)).rows).toEqual([{ address: TARGET }]);
		expect(before).toEqual([{ address: expect.stringMatching(`^(${SERVICE}|${TARGET})$`) }]);
		expect((await second.query({ name: "sum", text: "select $1::int + 1 as n", values: [41] })).rows).toEqual([
			{ n: 42 },
		]);
		await expect(second.query("select nonsense")).rejects.toMatchObject({ code: "42703" });
		const pool = new pg.Pool({ ...to(), max: 2, stream: () => new Connection({ dialer }) });
		const answers = await Promise.all(Array.from({ length: 6 }, () => pool.query(WHERE)));
		expect(new Set(answers.map(({ rows }) => rows[0].address))).toEqual(new Set([TARGET]));
		await Promise.all([first.end(), second.end(), pool.end()]);
	}, 60_000);
});
